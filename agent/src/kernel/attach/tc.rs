//! Filters of the clsact qdisc: every kernel, and before Linux 6.6 the only way.
//!
//! They outlive the process by themselves. A filter that an earlier process left is replaced in
//! place, never doubled.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use anyhow::{Context as _, Result, bail};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcBpfFlags, TcFilterBpfOption, TcHandle, TcMessage, TcOption},
};

use super::Link;
use crate::{
    kernel::hooks::{
        filter::{self, parent},
        netlink::Route,
        qdisc::{self, Qdisc},
    },
    model::traffic::Direction,
};

/// The AWS network policy agent's own priority: a filter before or after it would hide one of
/// the two from the other.
pub(in crate::kernel) const PRIORITY: u16 = 1;
/// Any handle but 1, which the AWS network policy agent deletes whoever owns it.
pub(in crate::kernel) const HANDLE: u16 = 0x5a;
/// Every protocol (`ETH_P_ALL`, `include/uapi/linux/if_ether.h`).
const ALL_PROTOCOLS: u16 = 3;

/// Adds our filter to a hook of `link`, by its index; true where it replaced one that was there.
pub(super) fn attach(
    (name, program): (&str, BorrowedFd<'_>),
    route: &mut Route,
    link: &Link,
    direction: Direction,
) -> Result<bool> {
    let mut message = ours(link.index, direction);
    message.attributes = vec![
        TcAttribute::Kind("bpf".to_owned()),
        TcAttribute::Options(vec![
            TcOption::Bpf(TcFilterBpfOption::ProgFd(program.as_raw_fd() as u32)),
            TcOption::Bpf(TcFilterBpfOption::ProgName(name.to_owned())),
            TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
        ]),
    ];
    let message = RouteNetlinkMessage::NewTrafficFilter(message);
    match route.request(message.clone(), NLM_F_CREATE | NLM_F_EXCL) {
        Ok(_) => Ok(false),
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
            if !has_own(route, link, direction)? {
                bail!("somebody else's filter has priority {PRIORITY} and our handle");
            }
            route.request(message, NLM_F_CREATE)?;
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes our filter, whoever of us put it there; true where there was one.
pub(in crate::kernel) fn remove(
    route: &mut Route,
    link: &Link,
    direction: Direction,
) -> Result<bool> {
    if !has_own(route, link, direction)? {
        return Ok(false);
    }
    let message = RouteNetlinkMessage::DelTrafficFilter(ours(link.index, direction));
    route
        .request(message, 0)
        .with_context(|| format!("{}: removing our filter", link.name))?;
    Ok(true)
}

/// The head of a message about our filter.
fn ours(index: u32, direction: Direction) -> TcMessage {
    let mut message = TcMessage::with_index(index as i32);
    message.header.parent = parent(direction);
    message.header.handle = TcHandle {
        major: 0,
        minor: HANDLE,
    };
    message.header.info = u32::from(PRIORITY) << 16 | u32::from(ALL_PROTOCOLS.to_be());
    message
}

fn has_own(route: &mut Route, link: &Link, direction: Direction) -> Result<bool> {
    let filters = filter::list(route, link.index, direction);
    let filters = filters.with_context(|| format!("listing the filters of {}", link.name))?;
    Ok(filters.iter().any(|filter| filter.own))
}

/// What the interface's filters hang on: what is there, or else clsact, where it may be added.
pub(super) fn prepare(route: &mut Route, link: &Link, may_add_clsact: bool) -> Result<Qdisc> {
    let name = &link.name;
    let found = qdisc::of(route, link.index);
    if let Some(found) = found.with_context(|| format!("asking for the qdisc of {name}"))? {
        return Ok(found);
    }
    if !may_add_clsact {
        bail!(
            "{name}: not counted: the CNI chains the bandwidth plugin, and once clsact is there \
             the plugin and the pod fail: TCX (Linux 6.6) keeps out of its way"
        );
    }
    add_clsact(route, link)?;
    // Somebody may have been faster.
    let found = qdisc::of(route, link.index);
    found
        .with_context(|| format!("asking for the qdisc of {name}"))?
        .with_context(|| format!("{name}: the clsact qdisc went away"))
}

/// The qdisc may be there already, by the policy agent or by an earlier process of ours.
fn add_clsact(route: &mut Route, link: &Link) -> Result<()> {
    let mut message = TcMessage::with_index(link.index as i32);
    message.header.parent = TcHandle::CLSACT;
    message.header.handle = TcHandle {
        major: TcHandle::CLSACT.major,
        minor: 0,
    };
    message.attributes = vec![TcAttribute::Kind("clsact".to_owned())];
    let message = RouteNetlinkMessage::NewQueueDiscipline(message);
    match route.request(message, NLM_F_CREATE | NLM_F_EXCL) {
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        Err(error) => {
            Err(error).with_context(|| format!("adding the clsact qdisc to {}", link.name))
        }
    }
}
