//! The filters of a hook, in the order in which they run.

use std::io;

use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcFilterBpfOption, TcHandle, TcHeader, TcMessage, TcOption},
};
use zonemeter_common::names;
use zonemeter_model::traffic::Direction;

use super::{Place, hook, netlink::Route};

/// Every protocol (`ETH_P_ALL`, `include/uapi/linux/if_ether.h`).
pub(crate) const ALL_PROTOCOLS: u16 = 3;

/// One filter, or the head of those of a priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) priority: u16,
    /// 0 for a head.
    pub(crate) handle: u32,
    /// In words: kind, program, priority and handle.
    pub(crate) what: String,
    /// Other filters of the kind and protocol of ours may have the same priority.
    pub(crate) is_akin: bool,
    /// The number by which the kernel lists its program.
    pub(crate) program: Option<u32>,
    /// An agent's, as its name says.
    pub(crate) mark: Option<Mark>,
}

/// Into which maps a filter counts: what tells one agent's filters from those of another, all of
/// which run the same program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The number of the control map, which the kernel gives to no other map.
    pub(crate) map: u32,
    /// The maps outlive their process, and the next one goes on with them.
    pub(crate) pinned: bool,
}

impl Mark {
    /// The name of a filter that runs `program`.
    pub(crate) fn name(self, program: &str) -> String {
        let kept = if self.pinned { "" } else { "/unpinned" };
        format!("{program}/{}{kept}", self.map)
    }

    fn read(name: &str) -> Option<Self> {
        let (program, rest) = name.split_once('/')?;
        let ours = [
            names::PROGRAM_TRANSMIT,
            names::PROGRAM_RECEIVE,
            names::PROGRAM_UPLINK_TRANSMIT,
            names::PROGRAM_UPLINK_RECEIVE,
        ];
        if !ours.contains(&program) {
            return None;
        }
        let (map, pinned) = match rest.strip_suffix("/unpinned") {
            Some(map) => (map, false),
            None => (rest, true),
        };
        let map = map.parse().ok()?;
        Some(Self { map, pinned })
    }
}

/// All filters of one hook of an interface that has clsact, or `ingress` and the hook from the
/// pod, with the heads of their priorities; none where the interface is gone.
pub(crate) fn with_heads(
    route: &mut Route,
    interface: u32,
    direction: Direction,
) -> io::Result<Vec<Filter>> {
    let mut question = TcMessage::with_index(interface as i32);
    question.header.parent = hook(direction).parent;
    let all = route.list(RouteNetlinkMessage::GetTrafficFilter(question))?;
    Ok(all
        .iter()
        .filter_map(|message| match message {
            RouteNetlinkMessage::NewTrafficFilter(message) => Filter::read(message),
            _ => None,
        })
        .collect())
}

/// As [`with_heads`], the filters alone.
pub(crate) fn list(
    route: &mut Route,
    interface: u32,
    direction: Direction,
) -> io::Result<Vec<Filter>> {
    let mut filters = with_heads(route, interface, direction)?;
    filters.retain(|filter| filter.handle != 0);
    Ok(filters)
}

/// Where ours is among them. Other agents' filters hide nothing from it.
pub(crate) fn place(filters: &[Filter], own: impl Fn(&Filter) -> bool) -> Place {
    let Some(at) = filters.iter().position(own) else {
        return Place::Missing;
    };
    let ahead = filters[..at].iter().find(|filter| filter.mark.is_none());
    match ahead {
        None => Place::First,
        // Where there was room for ours, its priority is behind.
        Some(ahead) if ahead.priority < filters[at].priority => {
            Place::AlwaysBehind(ahead.what.clone())
        }
        Some(ahead) => Place::Behind(ahead.what.clone()),
    }
}

impl Filter {
    /// `None` for filters of chains to which only others lead.
    fn read(message: &TcMessage) -> Option<Self> {
        let TcHeader {
            handle: TcHandle { major, minor },
            info,
            ..
        } = message.header;
        let handle = u32::from(major) << 16 | u32::from(minor);
        // TC_H_MAJ of tcm_info is the priority, TC_H_MIN the protocol in network order
        // (include/uapi/linux/rtnetlink.h, struct tcmsg).
        let (priority, protocol) = ((info >> 16) as u16, u16::from_be(info as u16));
        let (name, program) = program(message);
        let named = name.map(|name| format!(" {name}")).unwrap_or_default();
        let kind = kind(message).unwrap_or("?");
        (chain(message) == 0).then(|| Self {
            priority,
            handle,
            what: format!("tc {kind}{named}, priority {priority}, handle {handle:#x}"),
            is_akin: kind == "bpf" && protocol == ALL_PROTOCOLS,
            program,
            mark: name.and_then(Mark::read),
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

/// The name that whoever added the filter gave to its program, and the kernel's number for it.
fn program(message: &TcMessage) -> (Option<&str>, Option<u32>) {
    let options = message.attributes.iter().filter_map(|attribute| {
        let TcAttribute::Options(options) = attribute else {
            return None;
        };
        Some(options)
    });
    let (mut name, mut number) = (None, None);
    for option in options.flatten() {
        match option {
            TcOption::Bpf(TcFilterBpfOption::ProgName(text)) => name = Some(text.as_str()),
            TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => number = Some(*id),
            _ => {}
        }
    }
    (name, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Mark = Mark {
        map: 57,
        pinned: true,
    };

    fn filter(priority: u16, handle: u32, mark: Option<Mark>) -> Filter {
        Filter {
            priority,
            handle,
            what: format!("handle {handle}"),
            is_akin: true,
            program: None,
            mark,
        }
    }

    fn place_of_ours(filters: &[Filter]) -> Place {
        place(filters, |filter| filter.mark == Some(OURS))
    }

    #[test]
    fn who_comes_before_ours_is_named() {
        let (ours, other) = (filter(1, 0x5a, Some(OURS)), filter(1, 1, None));
        assert_eq!(place_of_ours(&[ours.clone(), other.clone()]), Place::First);
        let behind = Place::Behind("handle 1".to_owned());
        assert_eq!(place_of_ours(&[other.clone(), ours]), behind);
        assert_eq!(place_of_ours(&[other]), Place::Missing);
    }

    #[test]
    fn another_agents_filter_is_not_ours_and_hides_nothing() {
        let another = Mark { map: 58, ..OURS };
        let (ours, another) = (filter(1, 0x5a, Some(OURS)), filter(1, 0x5b, Some(another)));
        assert_eq!(place_of_ours(&[another.clone(), ours]), Place::First);
        assert_eq!(place_of_ours(&[another]), Place::Missing);
    }

    #[test]
    fn one_of_a_lower_priority_stays_before_ours() {
        let (ours, other) = (filter(2, 0x5a, Some(OURS)), filter(1, 1, None));
        let beneath = Place::AlwaysBehind("handle 1".to_owned());
        assert_eq!(place_of_ours(&[other, ours]), beneath);
    }

    #[test]
    fn a_name_says_whose_maps_a_filter_counts_into() {
        let unpinned = Mark {
            pinned: false,
            ..OURS
        };
        for (mark, name) in [
            (OURS, "zonemeter_tx/57"),
            (unpinned, "zonemeter_tx/57/unpinned"),
        ] {
            assert_eq!(mark.name("zonemeter_tx"), name);
            assert_eq!(Mark::read(name), Some(mark));
        }
        for name in [
            "zonemeter_tx",
            "zonemeter_tx/",
            "other/57",
            "zonemeter_rx/57/x",
        ] {
            assert_eq!(Mark::read(name), None, "{name}");
        }
    }
}
