//! Adds one packet to the counters: first to the totals, then to its flow.

use core::mem::transmute;

use aya_ebpf::{bindings::BPF_NOEXIST, maps::PerCpuArray, programs::TcContext};
use aya_log_ebpf::warn;
use zonemeter_common::{
    Count, Direction, FlowKey4, FlowKey6, OverflowKey, SkipReason, Totals,
    wire::{fold_ephemeral, on_wire},
};

use crate::{
    conntrack::{self, is_translated},
    maps::{
        FLOWS4_0, FLOWS4_1, FLOWS6_0, FLOWS6_1, Flows, OVERFLOW_0, OVERFLOW_1, SKIPPED, TOTALS_0,
        TOTALS_1, TRACKED4_0, TRACKED4_1, TRACKED6_0, TRACKED6_1, TRANSLATED4, TRANSLATED6,
        TrackedFlows, active_set, ephemeral_ports, fold_ports, is_uplink,
    },
    packet::{Address4, Address6, Headers, Layer3, ipv4, ipv6, layer3},
};

/// Counts one packet, or the reason why it is not counted.
#[inline(always)]
pub(crate) fn packet(context: &TcContext, direction: Direction) {
    if let Err(reason) = try_packet(context, direction) {
        skip(context, reason);
    }
}

/// Each branch names its maps itself: the kernel then knows at load which map each lookup is
/// for, and puts the lookup inline.
#[inline(always)]
fn try_packet(context: &TcContext, direction: Direction) -> Result<(), SkipReason> {
    match layer3(context.skb.skb)? {
        Layer3::Ipv4(offset) => {
            let headers = ipv4(context.skb.skb, offset)?;
            let count = on_the_wire(context, &headers);
            let (key, translated) = key4(context, direction, &headers);
            match active_set() {
                0 => {
                    let new = add(context, direction, count, &SET_0, &FLOWS4_0, &key);
                    note_new(context, translated && new, &TRACKED4_0, &key);
                }
                _ => {
                    let new = add(context, direction, count, &SET_1, &FLOWS4_1, &key);
                    note_new(context, translated && new, &TRACKED4_1, &key);
                }
            }
        }
        Layer3::Ipv6(offset) => {
            let headers = ipv6(context.skb.skb, offset)?;
            if headers.is_unfinished {
                skip(context, SkipReason::ExtensionDepth);
            }
            let count = on_the_wire(context, &headers);
            let (key, translated) = key6(context, direction, &headers);
            match active_set() {
                0 => {
                    let new = add(context, direction, count, &SET_0, &FLOWS6_0, &key);
                    note_new(context, translated && new, &TRACKED6_0, &key);
                }
                _ => {
                    let new = add(context, direction, count, &SET_1, &FLOWS6_1, &key);
                    note_new(context, translated && new, &TRACKED6_1, &key);
                }
            }
        }
    }
    Ok(())
}

macro_rules! key_of {
    ($name:ident, $key:ident, $address:ty, $translated:ident) => {
        /// The flow that a packet belongs to, and whether the node translates its peer: then
        /// both ports are kept, because only the whole tuple names a connection.
        #[inline(always)]
        fn $name(
            context: &TcContext,
            direction: Direction,
            headers: &Headers<$address>,
        ) -> ($key, bool) {
            let source = (headers.source, headers.source_port);
            let destination = (headers.destination, headers.destination_port);
            let ((local, local_port), (peer, peer_port)) = match direction {
                Direction::Transmit => (source, destination),
                Direction::Receive => (destination, source),
            };
            // SAFETY: same size; the pairs of bytes were read as they lie in the header.
            let [local, peer] = unsafe { transmute::<[$address; 2], [_; 2]>([local, peer]) };
            let translated = is_translated(&$translated, &peer);
            let (local_port, peer_port) = match fold_ports() && !translated {
                true => fold_ephemeral(local_port, peer_port, ephemeral_ports()),
                false => (local_port, peer_port),
            };
            let mut key = $key {
                interface: interface(context),
                local,
                peer,
                local_port: local_port.to_be_bytes(),
                peer_port: peer_port.to_be_bytes(),
                protocol: headers.protocol,
                direction: direction as u8,
                pad: [0; 2],
            };
            let noted = translated && matches!(direction, Direction::Receive);
            if noted
                && local_port | peer_port == 0
                && let Some(ports) = conntrack::ports(context)
            {
                (key.local_port, key.peer_port) = ports;
            }
            (key, noted)
        }
    };
}

key_of!(key4, FlowKey4, Address4, TRANSLATED4);
key_of!(key6, FlowKey6, Address6, TRANSLATED6);

#[inline(always)]
fn note_new<K>(context: &TcContext, wanted: bool, tracked: &TrackedFlows<K>, key: &K) {
    if wanted {
        conntrack::note(context, tracked, key);
    }
}

#[inline(always)]
fn interface(context: &TcContext) -> u32 {
    // SAFETY: the context is valid for the whole run of the program.
    unsafe { (*context.skb.skb).ifindex }
}

/// True where the packet is not from this node: it came in by an uplink.
#[inline(always)]
fn came_by_an_uplink(context: &TcContext) -> bool {
    // SAFETY: the context is valid for the whole run of the program.
    is_uplink(unsafe { (*context.skb.skb).ingress_ifindex })
}

/// The packet as it goes on the wire.
#[inline(always)]
fn on_the_wire<A>(context: &TcContext, headers: &Headers<A>) -> Count {
    // SAFETY: the context is valid for the whole run of the program.
    let buffer = unsafe { &*context.skb.skb };
    let length = buffer.len.saturating_sub(headers.layer2_bytes);
    on_wire(
        length,
        headers.header_bytes,
        buffer.gso_segs,
        buffer.gso_size,
    )
}

/// The maps of a set that do not depend on the address family.
struct Common {
    totals: &'static PerCpuArray<Totals>,
    overflow: &'static Flows<OverflowKey>,
}

const SET_0: Common = Common {
    totals: &TOTALS_0,
    overflow: &OVERFLOW_0,
};
const SET_1: Common = Common {
    totals: &TOTALS_1,
    overflow: &OVERFLOW_1,
};

/// Adds to the totals, then to the flow; a flow that finds no room is added to the overflow of
/// its interface, so that detail is lost and neither bytes nor whose they are. True for the flow's first packet in this set. Totals are
/// an array, because its lookup is inline: a second hash lookup would cost as much as the first.
#[inline(always)]
fn add<K>(
    context: &TcContext,
    direction: Direction,
    count: Count,
    set: &Common,
    flows: &Flows<K>,
    key: &K,
) -> bool {
    let Some(totals) = set.totals.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: a map value of this CPU; the program runs with bottom halves off.
    let totals = unsafe { &mut *totals };
    totals.seen[direction as usize] += count;
    if matches!(direction, Direction::Receive) && came_by_an_uplink(context) {
        totals.from_uplinks += count;
    }
    match add_to_flow(flows, key, count) {
        Added::Known => false,
        Added::New => true,
        Added::NoRoom => {
            let key = OverflowKey {
                interface: interface(context),
                direction: direction as u32,
            };
            if let Added::NoRoom = add_to_flow(set.overflow, &key, count) {
                totals.unplaced[direction as usize] += count;
            }
            false
        }
    }
}

/// How a packet got into the flow map.
pub(crate) enum Added {
    Known,
    New,
    NoRoom,
}

/// Another CPU may insert the flow between the lookup and the insert, so a failed insert looks
/// once more.
#[inline(always)]
pub(crate) fn add_to_flow<K>(flows: &Flows<K>, key: &K, count: Count) -> Added {
    if let Some(value) = flows.get_ptr_mut(key) {
        // SAFETY: a map value of this CPU; the program runs with bottom halves off.
        unsafe { *value += count };
        return Added::Known;
    }
    if flows.insert(key, count, u64::from(BPF_NOEXIST)).is_ok() {
        return Added::New;
    }
    match flows.get_ptr_mut(key) {
        Some(value) => {
            // SAFETY: as above.
            unsafe { *value += count };
            Added::Known
        }
        None => Added::NoRoom,
    }
}

/// Counts a frame that is not counted as traffic. Reasons that should not happen are logged, at
/// powers of two only.
#[inline(always)]
fn skip(context: &TcContext, reason: SkipReason) {
    let Some(skipped) = SKIPPED.get_ptr_mut(reason as u32) else {
        return;
    };
    // SAFETY: a map value of this CPU; the program runs with bottom halves off.
    let skipped = unsafe { &mut *skipped };
    skipped.bytes += u64::from(context.len());
    skipped.packets += 1;
    if matches!(reason, SkipReason::Malformed) && skipped.packets & (skipped.packets - 1) == 0 {
        warn!(
            context,
            "packet not counted: reason {}, interface {}, {} so far on this CPU",
            reason as u32,
            interface(context),
            skipped.packets
        );
    }
}
