//! Adds one packet to the counters: to the totals, and to its flow.

use core::hint::cold_path;

use aya_ebpf::programs::TcContext;
use aya_log_ebpf::warn;
use zonemeter_common::{
    Count, Direction, SkipReason, Totals,
    conntrack::Address,
    table::{self, Entry, ports},
    wire::{fold_ephemeral, on_wire},
};

use crate::{
    conntrack,
    fallback::{self, Place},
    flow::{Family, Flow, HashMaps},
    maps::{SKIPPED, TOTALS, active_set, add, constant, is_translated, is_uplink},
    packet::{Buffer, Headers, Packet, any, plain},
    tables::{self, Added, Found},
};

/// Places of a bucket in which nearly all flows are, also where the table is nearly full.
const USUAL_PLACES: usize = table::BUCKET_FLOWS / 2;

/// Counts one packet, or the reason why it is not counted.
#[inline(always)]
pub(crate) fn packet(context: &TcContext, direction: Direction) {
    if !add_known(context, direction) {
        cold_path();
        match direction {
            Direction::Transmit => zonemeter_any_tx(context.skb.skb),
            Direction::Receive => zonemeter_any_rx(context.skb.skb),
        };
    }
}

/// Counts nearly all packets: plain ones of a flow that has a slot. False for another one, which is not
/// counted then.
#[inline(always)]
fn add_known(context: &TcContext, direction: Direction) -> bool {
    match plain::frame(context.skb.skb) {
        Some(Packet::Ipv4(headers)) => add_to_slot(context, direction, &headers),
        Some(Packet::Ipv6(headers)) => add_to_slot(context, direction, &headers),
        None => false,
    }
}

#[inline(always)]
fn add_to_slot<A: Address>(context: &TcContext, direction: Direction, headers: &Headers<A>) -> bool
where
    Flow<A>: Family,
{
    let (flow, is_tracked) = flow_of(context, direction, headers);
    if is_tracked && flow.ports == 0 {
        return false;
    }
    let set = active_set();
    let part = tables::part(set);
    let Found::Slot(slot) = tables::search(USUAL_PLACES, part, &flow, direction) else {
        return false;
    };
    let counted = flow.count(slot, direction);
    if counted.packets == 0 {
        return false;
    }
    let count = on_the_wire(context, headers);
    if total(context, direction, part, count).is_none() {
        return false;
    }
    *counted += count;
    true
}

/// Counts any packet from a pod. What nearly all packets run lies together in the CPU's cache, because
/// this is a function of its own; and it is visible outside the object, as
/// `zonemeter_extensions` of [`any`] is.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zonemeter_any_tx(buffer: Buffer) -> u32 {
    add_any(buffer, Direction::Transmit)
}

/// Counts any packet to a pod: as [`zonemeter_any_tx`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zonemeter_any_rx(buffer: Buffer) -> u32 {
    add_any(buffer, Direction::Receive)
}

#[inline(always)]
fn add_any(buffer: Buffer, direction: Direction) -> u32 {
    let context = &TcContext::new(buffer);
    match any::frame(buffer) {
        Ok(Packet::Ipv4(headers)) => add_all(context, direction, &headers),
        Ok(Packet::Ipv6(headers)) => {
            if headers.is_unfinished {
                skip(context, SkipReason::ExtensionDepth);
            }
            add_all(context, direction, &headers);
        }
        Err(reason) => skip(context, reason),
    }
    0
}

/// Adds to the totals, then to the flow; a flow that finds no room is added to what found none of
/// its interface, so that detail is lost and neither bytes nor whose they are.
#[inline(always)]
fn add_all<A: Address>(context: &TcContext, direction: Direction, headers: &Headers<A>)
where
    Flow<A>: Family,
{
    let count = on_the_wire(context, headers);
    let (mut flow, is_tracked) = flow_of(context, direction, headers);
    if is_tracked
        && flow.ports == 0
        && let Some((local, peer)) = conntrack::ports(context)
    {
        flow.ports = ports(u16::from_be_bytes(local), u16::from_be_bytes(peer));
    }
    let set = active_set();
    let part = tables::part(set);
    let Some(totals) = total(context, direction, part, count) else {
        return;
    };
    let added = tables::add(part, &flow, direction, count);
    if matches!(added, Added::Known) {
        return;
    }
    let new = NewFlow {
        added,
        flow,
        direction,
        count,
        is_tracked,
        totals,
    };
    let [first, second] = Flow::<A>::hash_maps();
    match set {
        0 => new.place(context, 0, first),
        _ => new.place(context, 1, second),
    }
}

/// A packet that is not one more of a flow in a table.
struct NewFlow<A> {
    added: Added,
    flow: Flow<A>,
    direction: Direction,
    count: Count,
    /// Its connection is to be captured.
    is_tracked: bool,
    totals: *mut Totals,
}

impl<A> NewFlow<A>
where
    Flow<A>: Family,
{
    /// Finds it another place, where it has none, and captures its connection.
    ///
    /// Callers name the maps: the kernel then knows at load which map each lookup is for, and puts
    /// the lookup inline.
    #[inline(always)]
    fn place(
        self,
        context: &TcContext,
        set: u32,
        (flows, tracked): HashMaps<<Flow<A> as Family>::Key>,
    ) {
        let key = self.flow.key(self.direction);
        let mut added = self.added;
        if matches!(added, Added::NoRoom) {
            let family = Flow::<A>::FAMILY;
            let entry = Entry {
                count: self.count,
                first_ports: self.flow.first_ports,
                others: 0,
            };
            let interface = self.flow.interface;
            let place = Place { set, family };
            added = fallback::add(flows, place, &key, interface, entry, self.direction);
            if matches!(added, Added::NoRoom) {
                // SAFETY: this CPU's totals; the program runs with bottom halves off.
                unsafe {
                    let unplaced = &raw mut (*self.totals).unplaced[self.direction as usize];
                    add(unplaced, self.count);
                }
            }
        }
        if self.is_tracked && matches!(added, Added::New) {
            conntrack::capture(context, tracked, &key);
        }
    }
}

/// The flow of a packet, and whether its connection tells whom the pod speaks with: that of what comes
/// from an address that the node translates. Such a flow keeps both ports, because only the whole
/// tuple names a connection.
#[inline(always)]
fn flow_of<A: Address>(
    context: &TcContext,
    direction: Direction,
    headers: &Headers<A>,
) -> (Flow<A>, bool) {
    let (source, destination) = (headers.source, headers.destination);
    let (source_port, destination_port) = (headers.source_port, headers.destination_port);
    let ((local, local_port), (peer, peer_port)) = match direction {
        Direction::Transmit => ((source, source_port), (destination, destination_port)),
        Direction::Receive => ((destination, destination_port), (source, source_port)),
    };
    let is_translated = is_translated(peer);
    let (ports, first_ports) = if is_translated || constant!(fold_ports) == 0 {
        (ports(local_port, peer_port), 0)
    } else {
        let (local, peer) = fold_ephemeral(local_port, peer_port, constant!(ephemeral_ports));
        (0, ports(local, peer))
    };
    let flow = Flow {
        interface: interface(context),
        protocol: headers.protocol,
        local,
        peer,
        ports,
        first_ports,
    };
    let is_tracked = is_translated && matches!(direction, Direction::Receive);
    (flow, is_tracked)
}

/// Adds to the totals of this CPU and set, which are apart from the flows.
#[inline(always)]
fn total(
    context: &TcContext,
    direction: Direction,
    part: u32,
    count: Count,
) -> Option<*mut Totals> {
    let totals = TOTALS.get_ptr_mut(part)?;
    // SAFETY: this CPU's totals; the program runs with bottom halves off.
    unsafe {
        add(&raw mut (*totals).seen[direction as usize], count);
        if matches!(direction, Direction::Receive) && came_by_an_uplink(context) {
            add(&raw mut (*totals).from_uplinks, count);
        }
    }
    Some(totals)
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
    // The buffer is longer: an IP header was read behind layer 2.
    let length = buffer.len.wrapping_sub(headers.layer2_bytes);
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
