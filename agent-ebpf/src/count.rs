//! Adds one packet to the counters: first to the totals, then to its flow.

use aya_ebpf::{maps::HashMap, programs::TcContext};
use aya_log_ebpf::warn;
use zonemeter_common::{
    Count, Direction, FlowKey4, FlowKey6, SkipReason, Totals,
    table::{Entry, ports, split_ports},
    wire::{fold_ephemeral, on_wire},
};

use crate::{
    conntrack,
    fallback::{self, Place},
    maps::{
        FLOWS4_0, FLOWS4_1, FLOWS6_0, FLOWS6_1, SKIPPED, TOTALS, TRACKED4_0, TRACKED4_1,
        TRACKED6_0, TRACKED6_1, active_set, add, ephemeral_ports, fold_ports, is_translated,
        is_uplink,
    },
    packet::{Headers, Packet, packet as headers_of},
    tables::{self, Added, Flow4, Flow6},
};

/// Counts one packet, or the reason why it is not counted.
#[inline(always)]
pub(crate) fn packet(context: &TcContext, direction: Direction) {
    if let Err(reason) = try_packet(context, direction) {
        skip(context, reason);
    }
}

/// Adds to the totals, then to the flow; a flow that finds no room is added to what found none of
/// its interface, so that detail is lost and neither bytes nor whose they are.
#[inline(always)]
fn try_packet(context: &TcContext, direction: Direction) -> Result<(), SkipReason> {
    match headers_of(context.skb.skb)? {
        Packet::Ipv4(headers) => count4(context, direction, &headers),
        Packet::Ipv6(headers) => {
            if headers.is_unfinished {
                skip(context, SkipReason::ExtensionDepth);
            }
            count6(context, direction, &headers);
        }
    }
    Ok(())
}

/// Where one packet is counted.
struct Target {
    set: u32,
    part: u32,
    totals: *mut Totals,
}

#[inline(always)]
fn count4(context: &TcContext, direction: Direction, headers: &Headers<u32>) {
    let count = on_the_wire(context, headers);
    let Some(target) = total(context, direction, count) else {
        return;
    };
    let (local, peer) = sides(direction, headers.source, headers.destination);
    let is_translated = is_translated(peer);
    let (ports, first_ports) = ports_of(context, direction, headers, is_translated);
    let flow = Flow4 {
        interface: interface(context),
        protocol: headers.protocol,
        ends: u64::from(local) | u64::from(peer) << 32,
        ports,
        first_ports,
    };
    let added = tables::add(target.part, &flow, direction, count);
    if matches!(added, Added::Known) {
        return;
    }
    let (local_port, peer_port) = split_ports(ports);
    let key = FlowKey4 {
        interface: flow.interface,
        local: local.to_ne_bytes(),
        peer: peer.to_ne_bytes(),
        local_port: local_port.to_be_bytes(),
        peer_port: peer_port.to_be_bytes(),
        protocol: flow.protocol,
        direction: direction as u8,
        pad: [0; 2],
    };
    let new = NewFlow {
        added,
        interface: flow.interface,
        entry: entry(count, first_ports),
        is_tracked: is_translated && matches!(direction, Direction::Receive),
        family: 0,
    };
    match target.set {
        0 => new.place(context, direction, &target, &key, (&FLOWS4_0, &TRACKED4_0)),
        _ => new.place(context, direction, &target, &key, (&FLOWS4_1, &TRACKED4_1)),
    }
}

#[inline(always)]
fn count6(context: &TcContext, direction: Direction, headers: &Headers<[u64; 2]>) {
    let count = on_the_wire(context, headers);
    let Some(target) = total(context, direction, count) else {
        return;
    };
    let (local, peer) = sides(direction, headers.source, headers.destination);
    let is_translated = is_translated(peer);
    let (ports, first_ports) = ports_of(context, direction, headers, is_translated);
    let flow = Flow6 {
        interface: interface(context),
        protocol: headers.protocol,
        local,
        peer,
        ports,
        first_ports,
    };
    let added = tables::add(target.part, &flow, direction, count);
    if matches!(added, Added::Known) {
        return;
    }
    let (local_port, peer_port) = split_ports(ports);
    let key = FlowKey6 {
        interface: flow.interface,
        local: bytes(local),
        peer: bytes(peer),
        local_port: local_port.to_be_bytes(),
        peer_port: peer_port.to_be_bytes(),
        protocol: flow.protocol,
        direction: direction as u8,
        pad: [0; 2],
    };
    let new = NewFlow {
        added,
        interface: flow.interface,
        entry: entry(count, first_ports),
        is_tracked: is_translated && matches!(direction, Direction::Receive),
        family: 1,
    };
    match target.set {
        0 => new.place(context, direction, &target, &key, (&FLOWS6_0, &TRACKED6_0)),
        _ => new.place(context, direction, &target, &key, (&FLOWS6_1, &TRACKED6_1)),
    }
}

/// A packet that is not one more of a flow in a table.
struct NewFlow {
    added: Added,
    interface: u32,
    entry: Entry,
    /// Its connection is to be captured.
    is_tracked: bool,
    family: u32,
}

impl NewFlow {
    /// Finds it another place, where it has none, and captures its connection.
    ///
    /// Callers name the maps: the kernel then knows at load which map each lookup is for, and puts
    /// the lookup inline.
    #[inline(always)]
    fn place<K>(
        self,
        context: &TcContext,
        direction: Direction,
        target: &Target,
        key: &K,
        (flows, tracked): (&HashMap<K, Entry>, &crate::maps::TrackedFlows<K>),
    ) {
        let mut added = self.added;
        if matches!(added, Added::NoRoom) {
            let place = Place {
                set: target.set,
                family: self.family,
            };
            added = fallback::add(flows, place, key, self.interface, self.entry, direction);
            if matches!(added, Added::NoRoom) {
                // SAFETY: this CPU's totals; the program runs with bottom halves off.
                unsafe {
                    let unplaced = &raw mut (*target.totals).unplaced[direction as usize];
                    add(unplaced, self.entry.count);
                }
            }
        }
        if self.is_tracked && matches!(added, Added::New) {
            conntrack::capture(context, tracked, key);
        }
    }
}

#[inline(always)]
fn entry(count: Count, first_ports: u32) -> Entry {
    Entry {
        count,
        first_ports,
        others: 0,
    }
}

/// Local and peer.
#[inline(always)]
fn sides<T>(direction: Direction, source: T, destination: T) -> (T, T) {
    match direction {
        Direction::Transmit => (source, destination),
        Direction::Receive => (destination, source),
    }
}

/// The bytes of an address as the header has them.
#[inline(always)]
fn bytes([first, last]: [u64; 2]) -> [u8; 16] {
    // SAFETY: same size, and all values of the one are values of the other.
    unsafe { core::mem::transmute([first.to_ne_bytes(), last.to_ne_bytes()]) }
}

/// Ports that are a part of the key, and those that are kept beside it. A translated peer keeps both,
/// because only the whole tuple names a connection.
#[inline(always)]
fn ports_of<A>(
    context: &TcContext,
    direction: Direction,
    headers: &Headers<A>,
    is_translated: bool,
) -> (u32, u32) {
    let (local, peer) = sides(direction, headers.source_port, headers.destination_port);
    if !is_translated {
        return match fold_ports() {
            true => {
                let (local, peer) = fold_ephemeral(local, peer, ephemeral_ports());
                (0, ports(local, peer))
            }
            false => (ports(local, peer), 0),
        };
    }
    if matches!(direction, Direction::Receive)
        && local | peer == 0
        && let Some((local, peer)) = conntrack::ports(context)
    {
        let ports = ports(u16::from_be_bytes(local), u16::from_be_bytes(peer));
        return (ports, 0);
    }
    (ports(local, peer), 0)
}

/// Adds to the totals, which are apart from the flows.
#[inline(always)]
fn total(context: &TcContext, direction: Direction, count: Count) -> Option<Target> {
    let set = active_set();
    let part = tables::part(set);
    let totals = TOTALS.get_ptr_mut(part)?;
    // SAFETY: this CPU's totals; the program runs with bottom halves off.
    unsafe {
        add(&raw mut (*totals).seen[direction as usize], count);
        if matches!(direction, Direction::Receive) && came_by_an_uplink(context) {
            add(&raw mut (*totals).from_uplinks, count);
        }
    }
    Some(Target { set, part, totals })
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

/// Counts a frame that is not counted as traffic. Reasons that should not happen are logged, at
/// powers of two only.
#[inline(always)]
fn skip(context: &TcContext, reason: SkipReason) {
    let Some(skipped) = SKIPPED.get_ptr_mut(reason as u32) else {
        return;
    };
    let frame = Count {
        bytes: context.len().into(),
        packets: 1,
    };
    // SAFETY: a map value of this CPU; the program runs with bottom halves off.
    let skipped = unsafe {
        add(skipped, frame);
        *skipped
    };
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
