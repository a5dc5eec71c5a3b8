//! Nearly all packets: an IP header without options or extensions right behind Ethernet's, no
//! fragment, TCP or UDP, all in the buffer's linear part.

use super::{
    Buffer, ETHERNET_BYTES, Headers, IPV4_BYTES, IPV6_BYTES, Packet, Ports, TCP, TYPE_IPV4,
    TYPE_IPV6, UDP, stated_by_ipv6,
};

/// Bytes of a UDP header, and of a TCP header without options.
const UDP_BYTES: u32 = 8;
const TCP_BYTES: u32 = 20;

const START: usize = ETHERNET_BYTES as usize;

/// One check finds the length for everything; `None` leaves a packet to [`super::any`], which comes
/// to the same.
#[inline(always)]
pub(crate) fn packet(buffer: Buffer) -> Option<Packet> {
    // SAFETY: the buffer is valid for the whole run of the program.
    let (start, end) = unsafe { ((*buffer).data as usize, (*buffer).data_end as usize) };
    if start + START + (IPV4_BYTES + UDP_BYTES) as usize > end {
        return None;
    }
    // SAFETY: inside the packet by the check above.
    let kind = unsafe { word::<u16>(start + 12) };
    match u16::from_be(kind) {
        TYPE_IPV4 => ipv4(start + START, end).map(Packet::Ipv4),
        TYPE_IPV6 => ipv6(start + START, end).map(Packet::Ipv6),
        _ => None,
    }
}

/// The header, and 8 bytes behind it, are known to be there.
#[inline(always)]
fn ipv4(start: usize, end: usize) -> Option<Headers<u32>> {
    // SAFETY: inside the packet, as is said above.
    let (first, fragment, protocol) = unsafe {
        (
            word::<u8>(start),
            word::<u16>(start + 6),
            word::<u8>(start + 9),
        )
    };
    if first != 0x45 || u16::from_be(fragment) & 0x1fff != 0 {
        return None;
    }
    let transport = start + IPV4_BYTES as usize;
    let bytes = plain_transport(protocol, transport, end)?;
    // SAFETY: as above.
    let (ends, total_bytes, ports) = unsafe {
        (
            (word(start + 12), word(start + 16)),
            word::<u16>(start + 2),
            word(transport),
        )
    };
    let stated = u16::from_be(total_bytes).into();
    Some(headers(ends, (protocol, ports), IPV4_BYTES + bytes, stated))
}

#[inline(always)]
fn ipv6(start: usize, end: usize) -> Option<Headers<[u64; 2]>> {
    if start + (IPV6_BYTES + UDP_BYTES) as usize > end {
        return None;
    }
    // SAFETY: inside the packet by the check above.
    let (first, protocol) = unsafe { (word::<u8>(start), word::<u8>(start + 6)) };
    if first >> 4 != 6 {
        return None;
    }
    let transport = start + IPV6_BYTES as usize;
    let bytes = plain_transport(protocol, transport, end)?;
    // SAFETY: as above.
    let (source, destination, payload_bytes, ports) = unsafe {
        (
            [word(start + 8), word(start + 16)],
            [word(start + 24), word(start + 32)],
            word::<u16>(start + 4),
            word(transport),
        )
    };
    let stated = stated_by_ipv6(payload_bytes);
    let ends = (source, destination);
    Some(headers(ends, (protocol, ports), IPV6_BYTES + bytes, stated))
}

/// Bytes of a header of TCP or UDP; the first 8 are known to be there.
#[inline(always)]
fn plain_transport(protocol: u8, at: usize, end: usize) -> Option<u32> {
    match protocol {
        UDP => Some(UDP_BYTES),
        TCP if at + TCP_BYTES as usize <= end => {
            // SAFETY: inside the packet by the check before it.
            let words = unsafe { word::<u8>(at + 12) };
            Some(u32::from(words >> 4) * 4)
        }
        _ => None,
    }
}

#[inline(always)]
fn headers<A>(
    (source, destination): (A, A),
    (protocol, ports): (u8, Ports),
    header_bytes: u32,
    stated_bytes: u32,
) -> Headers<A> {
    Headers {
        source,
        destination,
        protocol,
        source_port: u16::from_be(ports.source),
        destination_port: u16::from_be(ports.destination),
        layer2_bytes: ETHERNET_BYTES,
        header_bytes,
        stated_bytes,
        is_unfinished: false,
    }
}

/// Reads a part of a packet.
///
/// # Safety
/// It must be inside the packet. On this target a load of any width may be at any address where the
/// machine allows that; where it does not, the verifier checks it, and counts on an IP header at a
/// multiple of 4 (`NET_IP_ALIGN` in `include/linux/skbuff.h`).
#[inline(always)]
unsafe fn word<T: Copy>(address: usize) -> T {
    // SAFETY: the caller's promise.
    unsafe { (address as *const T).read() }
}
