//! Nearly all packets: an IP header without options or extensions where the packet or its Ethernet
//! header begins, no fragment, TCP or UDP, all in the buffer's linear part. They are read in place.

use core::hint::cold_path;

use super::{
    Address4, Address6, Buffer, ETHERNET_BYTES, Headers, IPV4_BYTES, IPV6_BYTES, Packet, TCP,
    TYPE_IPV4, TYPE_IPV6, UDP, Version, stated_by_ipv6,
};

/// Bytes of a UDP header, and of a TCP header without options.
const UDP_BYTES: u32 = 8;
const TCP_BYTES: u32 = 20;

/// Where the IP header of a frame begins.
const FRAME: usize = ETHERNET_BYTES as usize;

/// Reads the headers of a frame; `None` for what is left to [`super::any`], which would read the same of
/// this one.
#[inline(always)]
pub(crate) fn frame(buffer: Buffer) -> Option<Packet> {
    let (start, end) = ends(buffer);
    if start + FRAME + (IPV4_BYTES + UDP_BYTES) as usize > end {
        return None;
    }
    // SAFETY: inside the packet by the check above.
    let ether_type: u16 = unsafe { word(start + 12) };
    // The constants are swapped, at compile time, and not the type.
    if ether_type == TYPE_IPV4.to_be() {
        ipv4::<FRAME>(buffer).map(Packet::Ipv4)
    } else if ether_type == TYPE_IPV6.to_be() {
        // Its code goes behind that of IPv4.
        cold_path();
        ipv6::<FRAME>(buffer).map(Packet::Ipv6)
    } else {
        None
    }
}

/// Reads the headers of what a socket receives: as [`frame`].
#[inline(always)]
pub(crate) fn of_socket(buffer: Buffer) -> Option<Packet> {
    match super::version_for_socket(buffer)? {
        Version::Ipv4 => ipv4::<0>(buffer).map(Packet::Ipv4),
        Version::Ipv6 => ipv6::<0>(buffer).map(Packet::Ipv6),
    }
}

/// Where the buffer's linear part begins and ends.
#[inline(always)]
fn ends(buffer: Buffer) -> (usize, usize) {
    // SAFETY: the buffer is valid for the whole run of the program.
    unsafe { ((*buffer).data as usize, (*buffer).data_end as usize) }
}

/// Reads a packet whose IPv4 header begins `OFFSET` bytes behind the start of the buffer.
#[inline(always)]
fn ipv4<const OFFSET: usize>(buffer: Buffer) -> Option<Headers<Address4>> {
    let (start, transport, end) = bounds::<OFFSET>(buffer, IPV4_BYTES)?;
    // SAFETY: inside the packet by the check of `bounds`.
    unsafe {
        if word::<u8>(start) != 0x45 || u16::from_be(word(start + 6)) & 0x1fff != 0 {
            return None;
        }
        let protocol = word(start + 9);
        let header_bytes = IPV4_BYTES + plain_transport(protocol, transport, end)?;
        let addresses = [word(start + 12), word(start + 16)];
        let ports = u32::from_be(word(transport));
        let stated_bytes = u16::from_be(word(start + 2)).into();
        Some(headers::<OFFSET, _>(
            addresses,
            protocol,
            ports,
            header_bytes,
            stated_bytes,
        ))
    }
}

/// Reads a packet whose IPv6 header begins `OFFSET` bytes behind the start of the buffer.
#[inline(always)]
fn ipv6<const OFFSET: usize>(buffer: Buffer) -> Option<Headers<Address6>> {
    let (start, transport, end) = bounds::<OFFSET>(buffer, IPV6_BYTES)?;
    // SAFETY: inside the packet by the check of `bounds`.
    unsafe {
        if word::<u8>(start) >> 4 != 6 {
            return None;
        }
        let protocol = word(start + 6);
        let header_bytes = IPV6_BYTES + plain_transport(protocol, transport, end)?;
        let source = [word(start + 8), word(start + 16)];
        let destination = [word(start + 24), word(start + 32)];
        let ports = u32::from_be(word(transport));
        let stated_bytes = stated_by_ipv6(word(start + 4));
        Some(headers::<OFFSET, _>(
            [source, destination],
            protocol,
            ports,
            header_bytes,
            stated_bytes,
        ))
    }
}

/// Where the IP header begins, the transport header, and the end; `None` where the packet ends before the
/// ports do.
#[inline(always)]
fn bounds<const OFFSET: usize>(buffer: Buffer, ip_bytes: u32) -> Option<(usize, usize, usize)> {
    let (start, end) = ends(buffer);
    let transport = start + OFFSET + ip_bytes as usize;
    (transport + UDP_BYTES as usize <= end).then_some((start + OFFSET, transport, end))
}

/// With the source's port above the destination's.
#[inline(always)]
fn headers<const OFFSET: usize, A>(
    [source, destination]: [A; 2],
    protocol: u8,
    ports: u32,
    header_bytes: u32,
    stated_bytes: u32,
) -> Headers<A> {
    Headers {
        source,
        destination,
        protocol,
        source_port: (ports >> 16) as u16,
        destination_port: ports as u16,
        layer2_bytes: OFFSET as u32,
        header_bytes,
        stated_bytes,
        is_unfinished: false,
    }
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
