//! Who is on the hooks of an interface, and whether this agent comes first.
//!
//! Packets meet TCX programs in the order of their list, then the filters of clsact by priority,
//! the newest first within one. Whoever ends the walk (OK, SHOT, PIPE and the like) hides the
//! packet from all behind it; this agent's programs never do. [`chain`] asks for TCX programs,
//! [`filter`] for filters, [`qdisc`] for what they hang on; [`watch`] says when to look again.

pub(super) mod chain;
pub(super) mod filter;
pub(super) mod netlink;
pub(super) mod qdisc;
pub mod watch;

/// Where this agent's program is on a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nobody runs before it.
    First,
    /// These run before it, and it can be put in front of them.
    Behind(String),
    /// These run before it wherever it is put: TCX programs, seen from clsact.
    Beneath(String),
    /// It was taken away.
    Missing,
}
