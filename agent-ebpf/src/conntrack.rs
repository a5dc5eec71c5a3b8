//! Whom a packet really speaks with, where the node translates addresses: the connection that a
//! packet to the pod still carries names the backend of a Service, or the client behind the
//! node's own address. Read once for each flow and drain.
//!
//! A packet from the pod carries none: it is taken off when it crosses the veth.

use core::{ffi::c_void, mem::offset_of};

use aya_ebpf::{bindings::BPF_ANY, helpers::generated::bpf_probe_read_kernel, programs::TcContext};
use zonemeter_common::conntrack::{ConntrackOffsets, Tracked, Tuple};

use crate::{
    maps::{TrackedFlows, constant},
    packet::{DCCP, SCTP, TCP, UDP},
};

/// The low bits of `_nfct` hold `enum ip_conntrack_info` (`include/linux/skbuff.h`, `NFCT_PTRMASK`).
const POINTER: u64 = !7;
/// `IP_CT_ESTABLISHED_REPLY` (`include/uapi/linux/netfilter/nf_conntrack_common.h`).
const ESTABLISHED_REPLY: u64 = 3;
/// `IP_CT_RELATED_REPLY`: an ICMP error about what the connection's opener sent.
const RELATED_REPLY: u64 = 4;
/// `IP_CT_UNTRACKED`, without a pointer.
const UNTRACKED: u64 = 7;

/// Notes the connection of a packet under its flow. Where there is none or it cannot be read, the
/// agent asks the kernel's table.
#[inline(always)]
pub(crate) fn capture<K>(context: &TcContext, tracked: &TrackedFlows<K>, key: &K) {
    let mut found = Tracked::UNTRACKED;
    if connection(context, &mut found).is_some() {
        // A full map loses a name that the agent then asks for.
        #[expect(
            clippy::needless_borrows_for_generic_args,
            reason = "by value it would be copied to the stack, which is short"
        )]
        let _ = tracked.insert(key, &found, BPF_ANY.into());
    }
}

/// The ports by which a packet without ports of its own belongs to a connection, as the pod's veth
/// sees them, the pod's first: those of an ICMP error, and of a fragment after the first. `None`
/// where the connection has none.
#[inline(always)]
pub(crate) fn ports(context: &TcContext) -> Option<([u8; 2], [u8; 2])> {
    let offsets = constant!(conntrack);
    let carried = carried(context, offsets)?;
    // A client gets replies and knows the ports it asked for, a server those of its answers.
    let tuple = match carried & !POINTER {
        ESTABLISHED_REPLY | RELATED_REPLY => offsets.original,
        _ => offsets.reply,
    };
    let tuple = (carried & POINTER) as usize + tuple as usize;
    match read::<u8>(tuple + offset_of!(Tuple, protocol))? {
        TCP | UDP | SCTP | DCCP => Some((
            read(tuple + offset_of!(Tuple, source_port))?,
            read(tuple + offset_of!(Tuple, destination_port))?,
        )),
        _ => None,
    }
}

/// Reads it in place: the stack of a program is short.
#[inline(always)]
fn connection(context: &TcContext, found: &mut Tracked) -> Option<()> {
    let offsets = constant!(conntrack);
    let carried = carried(context, offsets)?;
    if carried == UNTRACKED {
        return Some(());
    }
    let connection = (carried & POINTER) as usize;
    read_to(&mut found.original, connection + offsets.original as usize)?;
    read_to(&mut found.reply, connection + offsets.reply as usize)
}

/// The packet's `_nfct`; `None` where that is nothing or may not be looked for.
#[inline(always)]
fn carried(context: &TcContext, offsets: ConntrackOffsets) -> Option<u64> {
    if offsets.connection == 0 {
        return None;
    }
    let carried = read::<u64>(context.skb.skb as usize + offsets.connection as usize)?;
    (carried & POINTER != 0 || carried == UNTRACKED).then_some(carried)
}

/// Reads kernel memory; `None` where there is none at that address.
#[inline(always)]
fn read<T: Copy + Default>(address: usize) -> Option<T> {
    let mut value = T::default();
    read_to(&mut value, address)?;
    Some(value)
}

/// As [`read`], for a `T` of plain integers; what the helper cannot read it sets to 0.
#[inline(always)]
fn read_to<T: Copy>(value: &mut T, address: usize) -> Option<()> {
    // SAFETY: the helper checks the address, fills `value` or fails.
    let failed = unsafe {
        bpf_probe_read_kernel(
            (&raw mut *value).cast(),
            size_of::<T>() as u32,
            address as *const c_void,
        )
    };
    (failed == 0).then_some(())
}
