//! The kernel side: two programs on the host-side veth of every pod. They count; they never
//! change a packet or a verdict.
//!
//! In the order of a packet: [`packet`] reads its headers, [`count`] adds it to the [`maps`],
//! [`conntrack`] notes whom the node's address translation chose.

#![no_std]
#![no_main]

mod conntrack;
mod count;
mod maps;
mod packet;

use aya_ebpf::{macros::classifier, programs::TcContext};
use zonemeter_common::Direction;

/// `TCX_NEXT` and `TC_ACT_UNSPEC` (`include/uapi/linux/bpf.h`, `pkt_cls.h`): whoever comes next
/// on the hook decides. OK would hide the packet from the AWS network policy agent.
const NEXT: i32 = -1;

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

/// Helpers such as `bpf_probe_read_kernel` are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: nothing here panics; the verifier would refuse a program that could.
    unsafe { core::hint::unreachable_unchecked() }
}
