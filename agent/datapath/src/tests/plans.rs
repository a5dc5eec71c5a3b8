//! Maps of small sizes, and frames to fill them.

use std::net::IpAddr;

use super::{Frame, POD};
use crate::memory::{DEFAULT_BUDGET, Machine, Plan};

/// Room for so many flows.
pub(super) fn of_flows(flows: u32) -> Plan {
    let machine = Machine::this().expect("possible CPUs");
    Plan::new(DEFAULT_BUDGET, Some(flows), machine).expect("the object file")
}

/// As on a PREEMPT_RT kernel.
pub(super) fn without_tables(flows: u32) -> Plan {
    let machine = Machine {
        is_preemptible: true,
        ..Machine::this().expect("possible CPUs")
    };
    Plan::new(DEFAULT_BUDGET, Some(flows), machine).expect("the object file")
}

/// So many datagrams of 100 bytes, each to a peer of its own.
pub(super) fn to_peers(number: u32) -> impl Iterator<Item = Frame> {
    (0..number).map(|index| {
        let peer = IpAddr::from((0x0a00_0000 + index).to_be_bytes()).to_string();
        Frame::ipv4(POD, &peer).udp(40000, 53, 72)
    })
}
