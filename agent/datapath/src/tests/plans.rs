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
    on_a_kernel(flows, true)
}

/// As on any other, also where this is one: programs that a test runs one by one do not interrupt each
/// other.
pub(super) fn with_tables(flows: u32) -> Plan {
    on_a_kernel(flows, false)
}

fn on_a_kernel(flows: u32, is_preemptible: bool) -> Plan {
    let machine = Machine {
        is_preemptible,
        ..Machine::this().expect("possible CPUs")
    };
    Plan::new(DEFAULT_BUDGET, Some(flows), machine).expect("the object file")
}

/// So many datagrams of 100 bytes, each to a peer of its own.
pub(super) fn to_peers(number: u32) -> impl Iterator<Item = Frame> {
    (0..number).map(|index| to_peer(0x0a00_0000 + index))
}

/// The same, to peers from all over the address space. Those of a range are spread over the buckets of
/// an index more evenly than by chance, and none of these is full.
pub(super) fn to_scattered_peers(number: u32) -> impl Iterator<Item = Frame> {
    // Each number but 0 comes once (Marsaglia, Xorshift RNGs, 2003).
    let next = |last: &u32| {
        let mut next = *last;
        next ^= next << 13;
        next ^= next >> 17;
        next ^= next << 5;
        Some(next)
    };
    let peers = std::iter::successors(Some(1), next);
    peers.take(number as usize).map(to_peer)
}

fn to_peer(address: u32) -> Frame {
    let peer = IpAddr::from(address.to_be_bytes()).to_string();
    Frame::ipv4(POD, &peer).udp(40000, 53, 72)
}

/// Each CPU has slots of its own.
pub(super) fn stay_on_this_cpu() {
    // SAFETY: takes no arguments.
    let cpu = unsafe { libc::sched_getcpu() };
    // SAFETY: a set of CPUs is plain integers.
    let mut only: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: a CPU that is there, and a set that outlives the call; 0 is the calling thread.
    let result = unsafe {
        libc::CPU_SET(cpu as usize, &mut only);
        libc::sched_setaffinity(0, size_of_val(&only), &only)
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
