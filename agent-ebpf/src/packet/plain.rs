//! Nearly all packets: an IP header without options or extensions where the packet or its Ethernet
//! header begins, no fragment, TCP or UDP, all in the buffer's linear part. They are read in place.

use super::{
    Buffer, ETHERNET_BYTES, Headers, IPV4_BYTES, IPV6_BYTES, Packet, TCP, TYPE_IPV4, TYPE_IPV6,
    UDP, stated_by_ipv6,
};

/// Bytes of a UDP header, and of a TCP header without options.
const UDP_BYTES: u32 = 8;
const TCP_BYTES: u32 = 20;

const START: usize = ETHERNET_BYTES as usize;

/// Reads the headers of a frame; `None` for what is left to [`super::any`], which would read the same of
/// this one.
#[inline(always)]
pub(crate) fn frame(buffer: Buffer) -> Option<Packet> {
    let (start, end) = ends(buffer);
    if start + START + (IPV4_BYTES + UDP_BYTES) as usize > end {
        return None;
    }
    // SAFETY: inside the packet by the check above.
    let kind = unsafe { word::<u16>(start + 12) };
    match u16::from_be(kind) {
        TYPE_IPV4 => ipv4::<START>(start, end).map(Packet::Ipv4),
        TYPE_IPV6 => ipv6::<START>(start, end).map(Packet::Ipv6),
        _ => None,
    }
}

/// Where the buffer's linear part begins and ends.
#[inline(always)]
pub(super) fn ends(buffer: Buffer) -> (usize, usize) {
    // SAFETY: the buffer is valid for the whole run of the program.
    unsafe { ((*buffer).data as usize, (*buffer).data_end as usize) }
}

/// Reads a packet whose IPv4 header begins `OFFSET` bytes behind `start`.
#[inline(always)]
pub(super) fn ipv4<const OFFSET: usize>(start: usize, end: usize) -> Option<Headers<u32>> {
    let transport = start + OFFSET + IPV4_BYTES as usize;
    if transport + UDP_BYTES as usize > end {
        return None;
    }
    let start = start + OFFSET;
    // SAFETY: inside the packet by the check above.
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
    let transport_bytes = plain_transport(protocol, transport, end)?;
    // SAFETY: as above.
    let (source, destination, total_bytes, ports) = unsafe {
        (
            word(start + 12),
            word(start + 16),
            word::<u16>(start + 2),
            u32::from_be(word(transport)),
        )
    };
    Some(Headers {
        source,
        destination,
        protocol,
        source_port: (ports >> 16) as u16,
        destination_port: ports as u16,
        layer2_bytes: OFFSET as u32,
        header_bytes: IPV4_BYTES + transport_bytes,
        stated_bytes: u16::from_be(total_bytes).into(),
        is_unfinished: false,
    })
}

/// Reads a packet whose IPv6 header begins `OFFSET` bytes behind `start`.
#[inline(always)]
pub(super) fn ipv6<const OFFSET: usize>(start: usize, end: usize) -> Option<Headers<[u64; 2]>> {
    let transport = start + OFFSET + IPV6_BYTES as usize;
    if transport + UDP_BYTES as usize > end {
        return None;
    }
    let start = start + OFFSET;
    // SAFETY: inside the packet by the check above.
    let (first, protocol) = unsafe { (word::<u8>(start), word::<u8>(start + 6)) };
    if first >> 4 != 6 {
        return None;
    }
    let transport_bytes = plain_transport(protocol, transport, end)?;
    // SAFETY: as above.
    let (source, destination, payload_bytes, ports) = unsafe {
        (
            [word(start + 8), word(start + 16)],
            [word(start + 24), word(start + 32)],
            word::<u16>(start + 4),
            u32::from_be(word(transport)),
        )
    };
    Some(Headers {
        source,
        destination,
        protocol,
        source_port: (ports >> 16) as u16,
        destination_port: ports as u16,
        layer2_bytes: OFFSET as u32,
        header_bytes: IPV6_BYTES + transport_bytes,
        stated_bytes: stated_by_ipv6(payload_bytes),
        is_unfinished: false,
    })
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

/// Reads a part of a packet.
///
/// # Safety
/// It must be inside the packet. A load of any width may be at any address: the verifier lets that pass
/// where the machine does (`CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS`), as amd64 and arm64 do.
#[inline(always)]
unsafe fn word<T: Copy>(address: usize) -> T {
    // SAFETY: the caller's promise.
    unsafe { (address as *const T).read() }
}
