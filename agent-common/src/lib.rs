//! The seam between the kernel programs and the agent: every type that lies in a map, and every
//! name by which both sides find a map or a program.
//!
//! Addresses and ports are byte arrays in **network order**, everything else is in the order of
//! the machine. There is no implicit padding, and no `bool`, `Option` or Rust enum in a mapped
//! type: the verifier and the other side see plain bytes. Changing a layout here means raising
//! [`names::LAYOUT`], because pinned maps outlive the process.

#![no_std]

pub mod conntrack;
mod constants;
mod control;
mod flow;
pub mod hash;
pub mod names;
mod skip;
pub mod table;
mod totals;
mod uplink;
pub mod wire;

pub use constants::{Constants, SEEDS};
pub use control::Control;
pub use flow::{Count, Direction, FlowKey4, FlowKey6, HostKey4, HostKey6};
pub use skip::SkipReason;
pub use totals::Totals;
pub use uplink::{Class, Uplinks, hardware_address};

#[cfg(feature = "user")]
mod pod {
    //! `aya::Pod`: plain old data that may be copied to and from kernel maps as bytes.

    macro_rules! plain {
        ($($mapped:ty),+) => {
            // SAFETY: `repr(C)`, `Copy`, made of integers and byte arrays only, without padding
            // (the layout tests check sizes), so every bit pattern is a value.
            $(unsafe impl aya::Pod for $mapped {})+
        };
    }

    plain!(
        crate::Constants,
        crate::Control,
        crate::Count,
        crate::FlowKey4,
        crate::FlowKey6,
        crate::HostKey4,
        crate::HostKey6,
        crate::Totals,
        crate::Uplinks,
        crate::conntrack::Filter,
        crate::conntrack::Tracked,
        crate::table::Bucket,
        crate::table::Claims,
        crate::table::Entry,
        crate::table::Share,
        crate::table::Slot4,
        crate::table::Slot6
    );
}
