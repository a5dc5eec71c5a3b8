//! Who is on the hooks of an interface, and whether this agent comes first.
//!
//! Packets meet TCX programs in the order of their list, then the filters of clsact by priority,
//! the newest first within one. Whoever ends the walk (OK, SHOT, PIPE and the like) hides the
//! packet from all behind it; an agent's programs never do. [`chain`] asks for TCX programs,
//! [`filter`] for filters, [`qdisc`] for what they hang on; [`agents`] tells other agents'
//! programs from those of others; [`watch`] says when to look again, and [`rounds`] where.

pub(super) mod agents;
pub(super) mod chain;
pub(super) mod filter;
pub(super) mod netlink;
pub(super) mod qdisc;
pub(super) mod rounds;
pub mod watch;

/// Where this agent's program is on a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nobody who may hide a packet runs before it.
    First,
    /// These run before it, and it can be put in front of them.
    Behind(String),
    /// These run before it wherever it is put: TCX programs, seen from clsact, or filters of a
    /// kind that bars ours from their priority.
    Beneath(String),
    /// It was taken away.
    Missing,
}
