//! Whom a packet really speaks with, where the node translates addresses: the connection that a
//! packet to the pod still carries names the backend of a Service, or the client behind the
//! node's own address. Read once for each flow and drain.
//!
//! A packet from the pod carries none: it is taken off when it crosses the veth.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::{
    bindings::BPF_ANY, helpers::generated::bpf_probe_read_kernel, maps::HashMap,
    programs::TcContext,
};
use zonemeter_common::conntrack::{Tracked, Tuple, filter_bit};

use crate::maps::{FILTER, TrackedFlows, conntrack_offsets};

/// The low bits of `_nfct` hold `enum ip_conntrack_info` (`include/linux/skbuff.h`, `NFCT_PTRMASK`).
const POINTER: u64 = !7;

/// True for an address that the node translates. One bit answers for all others, nearly always.
#[inline(always)]
pub(crate) fn is_translated<const N: usize>(
    addresses: &HashMap<[u8; N], u8>,
    address: &[u8; N],
) -> bool {
    let bit = filter_bit(address);
    let Some(filter) = FILTER.get(0) else {
        return false;
    };
    filter.words[bit / 64] & 1 << (bit % 64) != 0 && addresses.get_ptr(address).is_some()
}

/// Notes the connection of a packet under its flow. Where there is none (NOTRACK) or it cannot be
/// read, the agent asks the kernel's table.
#[inline(always)]
pub(crate) fn note<K>(context: &TcContext, tracked: &TrackedFlows<K>, key: &K) {
    if let Some(connection) = connection(context) {
        // A full map loses a name that the agent then asks for.
        let _ = tracked.insert(key, connection, BPF_ANY.into());
    }
}

#[inline(always)]
fn connection(context: &TcContext) -> Option<Tracked> {
    let offsets = conntrack_offsets();
    if offsets.connection == 0 {
        return None;
    }
    let buffer = context.skb.skb as usize;
    let connection = read::<u64>(buffer + offsets.connection as usize)? & POINTER;
    if connection == 0 {
        return None;
    }
    Some(Tracked {
        original: read::<Tuple>(connection as usize + offsets.original as usize)?,
        reply: read::<Tuple>(connection as usize + offsets.reply as usize)?,
    })
}

/// Reads kernel memory; `None` where there is none at that address.
#[inline(always)]
fn read<T: Copy>(address: usize) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper checks the address, fills `value` or fails.
    let failed = unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            address as *const c_void,
        )
    };
    // SAFETY: filled, because the helper did not fail; every `T` here is plain integers.
    (failed == 0).then(|| unsafe { value.assume_init() })
}
