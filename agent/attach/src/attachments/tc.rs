//! Filters of the clsact qdisc: every kernel, and before Linux 6.6 the only way.
//!
//! They outlive the process by themselves. A filter that an earlier process left is replaced in
//! place, never doubled. Whose a filter is, its name says: into which maps it counts.

use std::{
    collections::BTreeSet,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use anyhow::{Context as _, Result, bail};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcBpfFlags, TcFilterBpfOption, TcHandle, TcMessage, TcOption},
};
use zonemeter_model::traffic::Direction;

use super::Link;
use crate::hooks::{
    agents,
    filter::{self, ALL_PROTOCOLS, Filter, Mark},
    hook,
    netlink::Route,
    qdisc::{self, Qdisc},
};

/// The AWS network policy agent's own priority: a filter before or after it would hide one of
/// the two from the other. Where filters of another kind have it, the next one that is free.
pub(crate) const PRIORITY: u16 = 1;
/// Any handle but 1, which the AWS network policy agent deletes whoever owns it. Where another
/// agent's filter has it, the next one that is free.
const HANDLE: u32 = 0x5a;
/// How often a place is looked for that somebody else took between the question and the answer.
const RACES: usize = 8;

/// What filters of this agent are known by.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// What new ones are named.
    pub(crate) mark: Mark,
    /// Control maps of earlier agents with the same pin directory: this one is in their place.
    pub(crate) inherited: BTreeSet<u32>,
}

impl Identity {
    /// True for a filter of this agent or of one in whose place it is.
    pub(crate) fn owns(&self, filter: &Filter) -> bool {
        let map = filter.mark.map(|mark| mark.map);
        map.is_some_and(|map| map == self.mark.map || self.inherited.contains(&map))
    }
}

/// True for what an agent without a pin directory left that was killed: it counts into maps that
/// nobody can open.
fn is_orphaned(filter: &Filter) -> bool {
    let unpinned = filter.mark.is_some_and(|mark| !mark.pinned);
    unpinned
        && filter
            .program
            .is_some_and(|program| !agents::is_announced(program))
}

/// Adds our filter to a hook of `link`, by its index; true where it replaced one that was there.
pub(super) fn attach(
    (name, program): (&str, BorrowedFd<'_>),
    identity: &Identity,
    route: &mut Route,
    link: &Link,
    direction: Direction,
) -> Result<bool> {
    remove_where(route, link, direction, is_orphaned)?;
    let options = vec![
        TcOption::Bpf(TcFilterBpfOption::ProgFd(program.as_raw_fd() as u32)),
        TcOption::Bpf(TcFilterBpfOption::ProgName(identity.mark.name(name))),
        TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
    ];
    for _ in 0..RACES {
        let filters =
            filter::with_heads(route, link.index, direction).with_context(|| listing(link))?;
        let own = filters.iter().find(|filter| identity.owns(filter));
        let (place, flags) = match own {
            Some(own) => ((own.priority, own.handle), NLM_F_CREATE),
            None => (free_place(&filters)?, NLM_F_CREATE | NLM_F_EXCL),
        };
        let mut message = at(link.index, direction, place);
        message.attributes = vec![
            TcAttribute::Kind("bpf".to_owned()),
            TcAttribute::Options(options.clone()),
        ];
        match route.request(RouteNetlinkMessage::NewTrafficFilter(message), flags) {
            Ok(_) => return Ok(own.is_some()),
            Err(error) if own.is_none() && error.raw_os_error() == Some(libc::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("other filters took each place that was free: tried again later")
}

/// The first priority that filters like ours may have, and the first handle there.
fn free_place(filters: &[Filter]) -> Result<(u16, u32)> {
    let of = |priority| {
        filters
            .iter()
            .filter(move |filter| filter.priority == priority)
    };
    let priority =
        (PRIORITY..=u16::MAX).find(|priority| of(*priority).all(|filter| filter.is_akin));
    let priority = priority.context("filters of other kinds have every priority")?;
    let handle = (HANDLE..).find(|handle| of(priority).all(|filter| filter.handle != *handle));
    Ok((priority, handle.unwrap_or(HANDLE)))
}

/// Removes the filters of `identity`; how many there were.
pub(crate) fn remove(
    route: &mut Route,
    link: &Link,
    direction: Direction,
    identity: &Identity,
) -> Result<usize> {
    remove_where(route, link, direction, |filter| identity.owns(filter))
}

/// As [`remove`], those of control maps `inherited`, and those of agents without a pin directory
/// that were killed.
pub(crate) fn remove_left(
    route: &mut Route,
    link: &Link,
    direction: Direction,
    inherited: &BTreeSet<u32>,
) -> Result<usize> {
    let left = |mark: Mark| inherited.contains(&mark.map);
    remove_where(route, link, direction, |filter| {
        filter.mark.is_some_and(left) || is_orphaned(filter)
    })
}

fn remove_where(
    route: &mut Route,
    link: &Link,
    direction: Direction,
    is_meant: impl Fn(&Filter) -> bool,
) -> Result<usize> {
    let filters = filter::list(route, link.index, direction).with_context(|| listing(link))?;
    let meant: Vec<_> = filters.iter().filter(|filter| is_meant(filter)).collect();
    for filter in &meant {
        let message = at(link.index, direction, (filter.priority, filter.handle));
        route
            .request(RouteNetlinkMessage::DelTrafficFilter(message), 0)
            .with_context(|| format!("{}: removing our filter", link.name))?;
    }
    Ok(meant.len())
}

fn listing(link: &Link) -> String {
    format!("listing the filters of {}", link.name)
}

/// The head of a message about a filter with this priority and handle.
fn at(index: u32, direction: Direction, (priority, handle): (u16, u32)) -> TcMessage {
    let mut message = TcMessage::with_index(index as i32);
    message.header.parent = hook(direction).parent;
    message.header.handle = TcHandle {
        major: (handle >> 16) as u16,
        minor: handle as u16,
    };
    message.header.info = u32::from(priority) << 16 | u32::from(ALL_PROTOCOLS.to_be());
    message
}

/// What the interface's filters hang on: what is there, or else clsact, where it may be added.
pub(super) fn prepare(route: &mut Route, link: &Link, may_add_clsact: bool) -> Result<Qdisc> {
    let name = &link.name;
    // First, because the kernel lists the qdiscs of all interfaces or of none.
    if may_add_clsact && add_clsact(route, link)? {
        return Ok(Qdisc::Clsact);
    }
    let found = qdisc::of(route, link.index);
    let found = found.with_context(|| format!("asking for the qdisc of {name}"))?;
    match found {
        Some(found) => Ok(found),
        None if may_add_clsact => bail!("{name}: the clsact qdisc went away"),
        None => bail!(
            "{name}: not counted: the CNI chains the bandwidth plugin, and once clsact is there \
             the plugin and the pod fail: TCX (Linux 6.6) keeps out of its way"
        ),
    }
}

/// False where it is there already, by the policy agent or by an earlier process of ours, or where
/// `ingress` is.
fn add_clsact(route: &mut Route, link: &Link) -> Result<bool> {
    let mut message = TcMessage::with_index(link.index as i32);
    message.header.parent = TcHandle::CLSACT;
    message.header.handle = TcHandle {
        major: TcHandle::CLSACT.major,
        minor: 0,
    };
    message.attributes = vec![TcAttribute::Kind("clsact".to_owned())];
    let message = RouteNetlinkMessage::NewQueueDiscipline(message);
    match route.request(message, NLM_F_CREATE | NLM_F_EXCL) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(false),
        Err(error) => {
            Err(error).with_context(|| format!("adding the clsact qdisc to {}", link.name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(priority: u16, handle: u32, is_akin: bool) -> Filter {
        Filter {
            priority,
            handle,
            what: String::new(),
            is_akin,
            program: None,
            mark: None,
        }
    }

    #[test]
    fn the_first_free_place_is_taken() {
        let policy = filter(1, 1, true);
        let head = filter(1, 0, true);
        assert_eq!(free_place(&[]).unwrap(), (1, 0x5a));
        let (another, third) = (filter(1, 0x5a, true), filter(1, 0x5b, true));
        let filters = [head, third, another, policy];
        assert_eq!(free_place(&filters).unwrap(), (1, 0x5c));
        let other_kinds = [filter(1, 0, false), filter(2, 0x5a, true)];
        assert_eq!(free_place(&other_kinds).unwrap(), (2, 0x5b));
    }
}
