//! Who is on the hooks of an interface, and whether this agent comes first.
//!
//! Packets meet TCX programs in the order of their list, then the filters of clsact by priority,
//! the newest first within one. A terminal verdict (OK, SHOT, PIPE and the like) hides the
//! packet from the programs behind it; an agent's programs never return one. [`chain`] asks for TCX programs,
//! [`filter`] for filters, [`qdisc`] for what they hang on; [`agents`] tells other agents'
//! programs from those of others; [`watch`] says when to look again, and [`rounds`] where.

pub(super) mod agents;
pub(super) mod chain;
pub(super) mod filter;
pub(super) mod netlink;
pub(super) mod qdisc;
pub(super) mod rounds;
pub mod watch;

use aya::programs::TcAttachType;
use aya_obj::generated::bpf_attach_type;
use netlink_packet_route::tc::TcHandle;
use zonemeter_model::traffic::Direction;

/// A hook of the host's end of a veth, by each name that there is for it.
pub(super) struct Hook {
    /// For people.
    pub(super) name: TcAttachType,
    /// For links.
    pub(super) tcx: bpf_attach_type,
    /// What filters hang on.
    pub(super) parent: TcHandle,
}

/// Where the packets of this direction pass. On an uplink it is the other way round: what leaves
/// the node passes its egress.
pub(super) fn hook(direction: Direction) -> Hook {
    let (name, tcx, minor) = match direction {
        Direction::Transmit => (
            TcAttachType::Ingress,
            bpf_attach_type::BPF_TCX_INGRESS,
            TcHandle::MIN_INGRESS,
        ),
        Direction::Receive => (
            TcAttachType::Egress,
            bpf_attach_type::BPF_TCX_EGRESS,
            TcHandle::MIN_EGRESS,
        ),
    };
    let major = TcHandle::CLSACT.major;
    Hook {
        name,
        tcx,
        parent: TcHandle { major, minor },
    }
}

/// Where this agent's program is on a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nobody who may hide a packet runs before it.
    First,
    /// These run before it, and it can be put in front of them.
    Behind(String),
    /// These run before it wherever it is put: TCX programs, seen from clsact, or filters of a
    /// kind that bars ours from their priority.
    AlwaysBehind(String),
    /// It was taken away.
    Missing,
}
