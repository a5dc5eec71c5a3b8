//! Adds one packet to the counters: to the totals, and to its flow.

use core::hint::cold_path;

use aya_ebpf::programs::TcContext;
use aya_log_ebpf::warn;
use zonemeter_common::{
    Count, Direction, SkipReason, Totals,
    conntrack::Address,
    table::{self, Entry, ports},
    wire::on_wire,
};

use crate::{
    conntrack,
    fallback::{self, Place},
    flow::{Family, Flow, HashMaps},
    maps::{SKIPPED, TOTALS, active_set, add, constant, is_translated, is_uplink},
    packet::{Buffer, Headers, Packet, Version, any, plain},
    tables::{self, Added, Found},
};

/// Places of a bucket in which nearly all flows are, also where the table is nearly full.
const USUAL_PLACES: usize = table::BUCKET_FLOWS / 2;

/// Counts one packet, or the reason why it is not counted.
#[inline(always)]
pub(crate) fn packet(context: &TcContext, direction: Direction) {
    // First, because the helper that it calls would displace from registers what is read before.
    let part = tables::part(active_set());
    if !add_known(context, direction, part) {
        cold_path();
        add_unknown(context.skb.skb, direction, part);
    }
}

/// Counts nearly all packets: plain ones of a flow that has a slot. False for another one, which is not
/// counted then.
#[inline(always)]
fn add_known(context: &TcContext, direction: Direction, part: u32) -> bool {
    match plain::frame(context.skb.skb) {
        Some(Packet::Ipv4(headers)) => add_to_slot(context, direction, part, &headers),
        Some(Packet::Ipv6(headers)) => add_to_slot(context, direction, part, &headers),
        None => false,
    }
}

/// Counts a plain packet of a flow that has a slot. False for another one, which is not counted then.
#[inline(always)]
fn add_to_slot<A: Address>(
    context: &TcContext,
    direction: Direction,
    part: u32,
    headers: &Headers<A>,
) -> bool
where
    Flow<A>: Family,
{
    let (flow, is_tracked) = flow_of(context, direction, headers);
    if is_tracked && flow.ports == 0 {
        return false;
    }
    let known_first = Flow::<A>::NEEDS_FIRST_PORTS.then(|| flow.first_ports());
    let Found::Slot(slot) = tables::search(USUAL_PLACES, part, &flow, direction) else {
        return false;
    };
    let counted = flow.count(slot, direction, || {
        known_first.unwrap_or_else(|| flow.first_ports())
    });
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

/// Counts any packet, by functions of their own: what nearly all packets run lies together in the CPU's
/// cache then, and the stack (512 bytes) holds a program and only one of them. They are visible outside
/// the object, as `zonemeter_extensions` of [`any`] is.
#[inline(always)]
fn add_unknown(buffer: Buffer, direction: Direction, part: u32) {
    let found = zonemeter_layer3(buffer);
    let offset = found >> 1;
    match (found & 1, direction) {
        _ if found == 0 => 0,
        (0, Direction::Transmit) => zonemeter_ipv4_tx(buffer, offset, part),
        (0, Direction::Receive) => zonemeter_ipv4_rx(buffer, offset, part),
        (_, Direction::Transmit) => zonemeter_ipv6_tx(buffer, offset, part),
        (_, Direction::Receive) => zonemeter_ipv6_rx(buffer, offset, part),
    };
}

/// Finds the IP header: its offset, doubled, and 1 more for IPv6. 0 where there is none, which is counted
/// here.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zonemeter_layer3(buffer: Buffer) -> u32 {
    match any::layer3(buffer) {
        Ok((Version::Ipv4, offset)) => offset << 1,
        Ok((Version::Ipv6, offset)) => offset << 1 | 1,
        Err(reason) => {
            skip(&TcContext::new(buffer), reason);
            0
        }
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zonemeter_ipv4_tx(buffer: Buffer, offset: u32, part: u32) -> u32 {
    add_any(buffer, Direction::Transmit, part, any::ipv4(buffer, offset))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zonemeter_ipv4_rx(buffer: Buffer, offset: u32, part: u32) -> u32 {
    add_any(buffer, Direction::Receive, part, any::ipv4(buffer, offset))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zonemeter_ipv6_tx(buffer: Buffer, offset: u32, part: u32) -> u32 {
    add_any(buffer, Direction::Transmit, part, any::ipv6(buffer, offset))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zonemeter_ipv6_rx(buffer: Buffer, offset: u32, part: u32) -> u32 {
    add_any(buffer, Direction::Receive, part, any::ipv6(buffer, offset))
}

#[inline(always)]
fn add_any<A: Address>(
    buffer: Buffer,
    direction: Direction,
    part: u32,
    headers: Result<Headers<A>, SkipReason>,
) -> u32
where
    Flow<A>: Family,
{
    let context = &TcContext::new(buffer);
    match headers {
        Ok(headers) => {
            if headers.is_unfinished {
                skip(context, SkipReason::ExtensionDepth);
            }
            add_all(context, direction, part, &headers);
        }
        Err(reason) => skip(context, reason),
    }
    0
}

/// Adds to the totals, then to the flow; a flow that finds no room is added to what found none of
/// its interface, so that detail is lost and neither bytes nor whose they are.
#[inline(always)]
fn add_all<A: Address>(context: &TcContext, direction: Direction, part: u32, headers: &Headers<A>)
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
    let Some(totals) = total(context, direction, part, count) else {
        return;
    };
    let first_ports = flow.first_ports();
    let added = tables::add(part, &flow, direction, first_ports, count);
    if matches!(added, Added::Known) {
        return;
    }
    let new = NewFlow {
        added,
        flow,
        first_ports,
        direction,
        count,
        is_tracked,
        totals,
    };
    let [first, second] = Flow::<A>::hash_maps();
    match part & 1 {
        0 => new.place(context, 0, first),
        _ => new.place(context, 1, second),
    }
}

/// A packet that is not one more of a flow in a table.
struct NewFlow<A> {
    added: Added,
    flow: Flow<A>,
    first_ports: u32,
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
                first_ports: self.first_ports,
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
    let packet_ports = ports(local_port, peer_port);
    let mut ports = 0;
    if is_translated || constant!(fold_ports) == 0 {
        cold_path();
        ports = packet_ports;
    }
    let flow = Flow {
        interface: interface(context),
        protocol: headers.protocol,
        local,
        peer,
        ports,
        packet_ports,
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
