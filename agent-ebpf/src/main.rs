//! The kernel side: two programs on the host-side veth of every pod, two on every uplink, one on
//! cgroups of the node. They count; they never change a packet or a verdict.
//!
//! In the order of a packet: [`packet`] reads its headers, [`flow`] is whose it is, [`count`] adds a
//! pod's to the [`tables`], and what finds no slot to the [`fallback`]; [`host`] counts what passes an
//! uplink, [`conntrack`] notes whom the node's address translation chose.

#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![allow(
    internal_features,
    reason = "`core` has no stable atomic addition for this target"
)]

mod conntrack;
mod count;
mod fallback;
mod flow;
mod host;
mod maps;
mod packet;
mod tables;

use aya_ebpf::{
    macros::{cgroup_skb, classifier},
    programs::{SkBuffContext, TcContext},
};
use zonemeter_common::Direction;

/// `TCX_NEXT` and `TC_ACT_UNSPEC` (`include/uapi/linux/bpf.h`, `pkt_cls.h`): whoever comes next
/// on the hook decides. OK would hide the packet from the AWS network policy agent.
const NEXT: i32 = -1;

/// What a program on a cgroup returns to let the packet through (`net/core/filter.c`,
/// `__cgroup_bpf_run_filter_skb`).
const ALLOW: i32 = 1;

/// tc ingress of the host-side veth: a packet from the pod.
#[classifier]
fn zonemeter_tx(context: TcContext) -> i32 {
    count::packet(&context, Direction::Transmit);
    NEXT
}

/// tc egress of the host-side veth: a packet to the pod.
#[classifier]
fn zonemeter_rx(context: TcContext) -> i32 {
    count::packet(&context, Direction::Receive);
    NEXT
}

/// tc egress of an uplink: a packet leaves the node.
#[classifier]
fn zonemeter_uplink_tx(context: TcContext) -> i32 {
    host::sent(context.skb.skb);
    NEXT
}

/// tc ingress of an uplink: a packet comes to the node.
#[classifier]
fn zonemeter_uplink_rx(context: TcContext) -> i32 {
    host::arrived(context.skb.skb);
    NEXT
}

/// Ingress of a cgroup: a packet is about to be put into a socket of one of its processes.
#[cgroup_skb(ingress)]
fn zonemeter_host_rx(context: SkBuffContext) -> i32 {
    host::received(context.skb.skb);
    ALLOW
}

/// Helpers such as `bpf_probe_read_kernel` are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: nothing here panics; the verifier would refuse a program that could.
    unsafe { core::hint::unreachable_unchecked() }
}
