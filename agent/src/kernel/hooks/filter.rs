//! The filters of a hook, in the order in which they run.

use std::io;

use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcFilterBpfOption, TcHandle, TcHeader, TcMessage, TcOption},
};
use zonemeter_common::names;

use super::{Place, netlink::Route};
use crate::{
    kernel::attach::tc::{HANDLE, PRIORITY},
    model::traffic::Direction,
};

/// One filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kernel) struct Filter {
    pub(in crate::kernel) priority: u16,
    /// In words: kind, program, priority and handle.
    pub(in crate::kernel) what: String,
    /// This agent's, or that of another process of ours.
    pub(in crate::kernel) own: bool,
}

/// All filters of one hook of an interface that has clsact, or `ingress` and the hook from the
/// pod; none where the interface is gone.
pub(in crate::kernel) fn list(
    route: &mut Route,
    interface: u32,
    direction: Direction,
) -> io::Result<Vec<Filter>> {
    let mut question = TcMessage::with_index(interface as i32);
    question.header.parent = parent(direction);
    let all = route.list(RouteNetlinkMessage::GetTrafficFilter(question))?;
    Ok(all
        .iter()
        .filter_map(|message| match message {
            RouteNetlinkMessage::NewTrafficFilter(message) => Filter::read(message),
            _ => None,
        })
        .collect())
}

/// The hook, as filters name it.
pub(in crate::kernel) fn parent(direction: Direction) -> TcHandle {
    TcHandle {
        major: TcHandle::CLSACT.major,
        minor: match direction {
            Direction::Transmit => TcHandle::MIN_INGRESS,
            Direction::Receive => TcHandle::MIN_EGRESS,
        },
    }
}

/// Where ours is among them.
pub(in crate::kernel) fn place(filters: &[Filter]) -> Place {
    match filters.iter().position(|filter| filter.own) {
        Some(0) => Place::First,
        Some(_) => Place::Behind(filters[0].what.clone()),
        None => Place::Missing,
    }
}

impl Filter {
    /// `None` for the head of a list of filters, which has no handle, and for filters of chains
    /// to which only others lead.
    fn read(message: &TcMessage) -> Option<Self> {
        let TcHeader {
            handle: TcHandle { major, minor },
            info,
            ..
        } = message.header;
        let handle = u32::from(major) << 16 | u32::from(minor);
        // TC_H_MAJ of tcm_info is the priority (include/uapi/linux/rtnetlink.h, struct tcmsg).
        let priority = (info >> 16) as u16;
        let program = program(message);
        let ours = |name: &str| [names::PROGRAM_TRANSMIT, names::PROGRAM_RECEIVE].contains(&name);
        let named = program.map(|name| format!(" {name}")).unwrap_or_default();
        let kind = kind(message).unwrap_or("?");
        (handle != 0 && chain(message) == 0).then(|| Self {
            priority,
            what: format!("tc {kind}{named}, priority {priority}, handle {handle:#x}"),
            own: priority == PRIORITY && handle == u32::from(HANDLE) && program.is_some_and(ours),
        })
    }
}

/// `clsact`, `bpf` and so on.
pub(super) fn kind(message: &TcMessage) -> Option<&str> {
    message.attributes.iter().find_map(|attribute| {
        let TcAttribute::Kind(kind) = attribute else {
            return None;
        };
        Some(kind.as_str())
    })
}

fn chain(message: &TcMessage) -> u32 {
    let chain = message.attributes.iter().find_map(|attribute| {
        let TcAttribute::Chain(chain) = attribute else {
            return None;
        };
        Some(*chain)
    });
    chain.unwrap_or(0)
}

fn program(message: &TcMessage) -> Option<&str> {
    let options = message.attributes.iter().filter_map(|attribute| {
        let TcAttribute::Options(options) = attribute else {
            return None;
        };
        Some(options)
    });
    options.flatten().find_map(|option| {
        let TcOption::Bpf(TcFilterBpfOption::ProgName(name)) = option else {
            return None;
        };
        Some(name.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(handle: u32, own: bool) -> Filter {
        Filter {
            priority: 1,
            what: format!("handle {handle}"),
            own,
        }
    }

    #[test]
    fn who_comes_before_ours_is_named() {
        let (ours, other) = (filter(0x5a, true), filter(1, false));
        assert_eq!(place(&[ours.clone(), other.clone()]), Place::First);
        let behind = Place::Behind("handle 1".to_owned());
        assert_eq!(place(&[other.clone(), ours]), behind);
        assert_eq!(place(&[other]), Place::Missing);
    }
}
