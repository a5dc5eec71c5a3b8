//! Counts what passes the uplinks: all of it by class, and by flow and cgroup what sockets of the
//! node itself send and receive there.
//!
//! A packet that leaves still has its socket, so that one program names it; it is one packet on
//! the wire by then, translated and cut into fragments. One that comes in has none yet: the socket's
//! cgroup is known where the packet is put into it.

use core::{hint::cold_path, mem::transmute};

use aya_ebpf::{
    bindings::{BPF_NOEXIST, bpf_hdr_start_off::BPF_HDR_START_MAC},
    helpers::generated::{bpf_skb_cgroup_id, bpf_skb_load_bytes_relative},
};
use zonemeter_common::{
    Class, Count, Direction, HostKey4, HostKey6, SkipReason, Totals, hardware_address,
    wire::{fold_ephemeral, on_wire},
};

use crate::{
    maps::{
        Flows, HOST4_0, HOST4_1, HOST6_0, HOST6_1, TOTALS, UPLINK_RECEIVED, UPLINK_SKIPPED,
        active_set, add, add_atomically, constant, is_translated, is_uplink, uplink_receives,
    },
    packet::{Address4, Address6, Buffer, Headers, Packet, TCP, UDP, any, plain},
    tables::part,
};

/// `PACKET_BROADCAST` and `PACKET_MULTICAST` (`include/uapi/linux/if_packet.h`).
const BROADCAST: u32 = 1;
const MULTICAST: u32 = 2;

/// Who sent or received a packet.
#[derive(Clone, Copy)]
struct Socket {
    class: Class,
    cgroup: u64,
}

/// Counts a packet that leaves by an uplink.
#[inline(always)]
pub(crate) fn sent(buffer: Buffer) {
    match plain::frame(buffer) {
        Some(packet) => add_sent(buffer, &packet),
        None => {
            cold_path();
            zonemeter_any_sent(buffer);
        }
    }
}

/// Counts any packet that leaves: a function of its own as `zonemeter_ipv4_tx` of [`crate::count`] is.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zonemeter_any_sent(buffer: Buffer) -> u32 {
    match any::frame(buffer) {
        Ok(packet) => add_sent(buffer, &packet),
        Err(reason) => skip(buffer, reason),
    }
    0
}

#[inline(always)]
fn add_sent(buffer: Buffer, packet: &Packet) {
    add_packet(buffer, Direction::Transmit, sender(buffer), packet);
}

/// Counts a packet that comes in by an uplink. Who gets it is seen later.
#[inline(always)]
pub(crate) fn arrived(buffer: Buffer) {
    match plain::frame(buffer) {
        Some(packet) => add_arrived(buffer, &packet),
        None => {
            cold_path();
            zonemeter_any_arrived(buffer);
        }
    }
}

/// Counts any packet that comes in: as [`zonemeter_any_sent`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zonemeter_any_arrived(buffer: Buffer) -> u32 {
    match any::frame(buffer) {
        Ok(packet) => add_arrived(buffer, &packet),
        Err(reason) => skip(buffer, reason),
    }
    0
}

#[inline(always)]
fn add_arrived(buffer: Buffer, packet: &Packet) {
    let count = match packet {
        Packet::Ipv4(headers) => on_the_wire(buffer, headers),
        Packet::Ipv6(headers) => on_the_wire(buffer, headers),
    };
    if let Some(received) = UPLINK_RECEIVED.get_ptr_mut(0) {
        // SAFETY: a map value of this CPU; the program runs with bottom halves off.
        unsafe { add(received, count) };
    }
}

/// Counts a packet that a socket of the node receives, where it came in by an uplink. TCP and
/// unicast UDP only: a copy for each socket that listens is made of everything else.
#[inline(always)]
pub(crate) fn received(buffer: Buffer) {
    // SAFETY: the context is valid for the whole run of the program.
    let context = unsafe { &*buffer };
    // First the index, which most packets of other namespaces fail by.
    if !is_uplink(context.ifindex)
        || matches!(context.pkt_type, BROADCAST | MULTICAST)
        || !destination(buffer).is_some_and(|address| uplink_receives(context.ifindex, address))
    {
        return;
    }
    match plain::of_socket(buffer) {
        Some(packet) => add_received(buffer, &packet),
        None => {
            cold_path();
            zonemeter_any_received(buffer);
        }
    }
}

/// Counts any packet that a socket receives: as [`zonemeter_any_sent`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zonemeter_any_received(buffer: Buffer) -> u32 {
    if let Some(packet) = any::of_socket(buffer) {
        add_received(buffer, &packet);
    }
    0
}

#[inline(always)]
fn add_received(buffer: Buffer, packet: &Packet) {
    if matches!(packet.protocol(), TCP | UDP) {
        let class = Class::Host;
        let cgroup = cgroup(buffer);
        let socket = Socket { class, cgroup };
        add_packet(buffer, Direction::Receive, socket, packet);
    }
}

/// Adds what a socket sent or received. It names the maps: the kernel then knows at load which map each
/// lookup is for, and puts the lookup inline.
#[inline(always)]
fn add_packet(buffer: Buffer, direction: Direction, socket: Socket, packet: &Packet) {
    match packet {
        Packet::Ipv4(headers) => {
            let count = on_the_wire(buffer, headers);
            match active_set() {
                0 => add4(0, &HOST4_0, direction, socket, count, headers),
                _ => add4(1, &HOST4_1, direction, socket, count, headers),
            }
        }
        Packet::Ipv6(headers) => {
            let count = on_the_wire(buffer, headers);
            match active_set() {
                0 => add6(0, &HOST6_0, direction, socket, count, headers),
                _ => add6(1, &HOST6_1, direction, socket, count, headers),
            }
        }
    }
}

/// The Ethernet address that the packet came to.
#[inline(always)]
fn destination(buffer: Buffer) -> Option<u64> {
    let mut address = [0u8; 6];
    // SAFETY: as much room as is said; the helper fills it or fails.
    let failed = unsafe {
        bpf_skb_load_bytes_relative(
            buffer.cast_const().cast(),
            0,
            address.as_mut_ptr().cast(),
            address.len() as u32,
            BPF_HDR_START_MAC,
        )
    };
    (failed == 0).then(|| hardware_address(address))
}

/// Who sent a packet: one that came in by an interface was only passed on.
#[inline(always)]
fn sender(buffer: Buffer) -> Socket {
    // SAFETY: the context is valid for the whole run of the program.
    let came_by = unsafe { (*buffer).ingress_ifindex };
    let mut socket = Socket {
        class: Class::Pod,
        cgroup: 0,
    };
    if came_by != 0 {
        if is_uplink(came_by) {
            socket.class = Class::Relay;
        }
        return socket;
    }
    socket.class = Class::Kernel;
    let cgroup = cgroup(buffer);
    if cgroup > constant!(kernel_cgroups) {
        socket.class = Class::Host;
        socket.cgroup = cgroup;
    }
    socket
}

/// The cgroup of the packet's socket: the inode of its directory. 0 without a full socket.
#[inline(always)]
fn cgroup(buffer: Buffer) -> u64 {
    // SAFETY: the context is valid for the whole run of the program.
    unsafe { bpf_skb_cgroup_id(buffer) }
}

/// The packet as it goes on the wire. A short one is padded on Ethernet, and so is longer here than
/// its header says.
#[inline(always)]
fn on_the_wire<A>(buffer: Buffer, headers: &Headers<A>) -> Count {
    // SAFETY: the context is valid for the whole run of the program.
    let packet = unsafe { &*buffer };
    // The buffer is longer: an IP header was read behind layer 2.
    let there = packet.len.wrapping_sub(headers.layer2_bytes);
    let stated = headers.stated_bytes;
    let is_padded = packet.gso_size == 0 && stated != 0 && stated < there;
    let length = if is_padded { stated } else { there };
    on_wire(
        length,
        headers.header_bytes,
        packet.gso_segs,
        packet.gso_size,
    )
}

macro_rules! add_of {
    ($name:ident, $key:ident, $address:ty) => {
        /// Adds to the totals, and to the flow where a socket of the node, or the kernel, is an end
        /// of it.
        #[inline(always)]
        fn $name(
            set: u32,
            flows: &Flows<$key>,
            direction: Direction,
            socket: Socket,
            count: Count,
            headers: &Headers<$address>,
        ) {
            let Some(totals) = TOTALS.get_ptr_mut(part(set)) else {
                return;
            };
            // SAFETY: this CPU's totals; the program runs with bottom halves off.
            unsafe { add(total_of(totals, direction, socket.class), count) };
            if matches!(socket.class, Class::Pod | Class::Relay) {
                return;
            }
            let source = (headers.source, headers.source_port);
            let destination = (headers.destination, headers.destination_port);
            let ((local, local_port), (peer, peer_port)) = match direction {
                Direction::Transmit => (source, destination),
                Direction::Receive => (destination, source),
            };
            // What leaves is translated by then.
            let translated = matches!(direction, Direction::Receive) && is_translated(peer);
            // SAFETY: same size; the words were read as they lie in the header.
            let [local, peer] = unsafe { transmute::<[$address; 2], [_; 2]>([local, peer]) };
            let (local_port, peer_port) = match constant!(fold_ports) != 0 && !translated {
                true => fold_ephemeral(local_port, peer_port, constant!(ephemeral_ports)),
                false => (local_port, peer_port),
            };
            // The kernel answers whoever asks on any port: only whom is of use.
            let named = matches!(socket.class, Class::Host);
            let key = $key {
                cgroup: socket.cgroup,
                local,
                peer,
                local_port: if named {
                    local_port.to_be_bytes()
                } else {
                    [0; 2]
                },
                peer_port: if named {
                    peer_port.to_be_bytes()
                } else {
                    [0; 2]
                },
                protocol: headers.protocol,
                direction: direction as u8,
                pad: [0; 2],
            };
            if !add_to_flow(flows, &key, count) {
                // SAFETY: as above.
                unsafe { add(&raw mut (*totals).host_unplaced[direction as usize], count) };
            }
        }
    };
}

add_of!(add4, HostKey4, Address4);
add_of!(add6, HostKey6, Address6);

/// Adds to a flow; false where there is no room for another. Another CPU may insert the flow between
/// the lookup and the insert, so a failed insert looks once more.
#[inline(always)]
fn add_to_flow<K>(flows: &Flows<K>, key: &K, count: Count) -> bool {
    let mut known = flows.get_ptr_mut(key);
    if known.is_none() {
        if flows.insert(key, count, u64::from(BPF_NOEXIST)).is_ok() {
            return true;
        }
        known = flows.get_ptr_mut(key);
    }
    let Some(known) = known else { return false };
    // SAFETY: a map value; other CPUs add to it atomically, too.
    unsafe { add_atomically(known, count) };
    true
}

#[inline(always)]
fn total_of(totals: *mut Totals, direction: Direction, class: Class) -> *mut Count {
    // SAFETY: inside the totals.
    unsafe {
        match (direction, class) {
            (Direction::Receive, _) => &raw mut (*totals).host_received,
            (Direction::Transmit, Class::Pod) => &raw mut (*totals).sent[Class::Pod as usize],
            (Direction::Transmit, Class::Relay) => &raw mut (*totals).sent[Class::Relay as usize],
            (Direction::Transmit, Class::Host) => &raw mut (*totals).sent[Class::Host as usize],
            (Direction::Transmit, Class::Kernel) => &raw mut (*totals).sent[Class::Kernel as usize],
        }
    }
}

/// Counts a frame of an uplink that is not counted as traffic.
#[inline(always)]
fn skip(buffer: Buffer, reason: SkipReason) {
    let Some(skipped) = UPLINK_SKIPPED.get_ptr_mut(reason as u32) else {
        return;
    };
    // SAFETY: a map value of this CPU and a valid context; bottom halves are off.
    unsafe {
        let frame = Count {
            bytes: (*buffer).len.into(),
            packets: 1,
        };
        add(skipped, frame);
    }
}
