//! Reads the headers of a packet: addresses, protocol, ports and how many header bytes there are.
//!
//! Offsets and rules: Ethernet and VLAN tags IEEE 802.1Q, IPv4 RFC 791, IPv6 and its extension
//! headers RFC 8200, AH RFC 4302, TCP RFC 9293, UDP RFC 768.

pub(crate) mod any;
pub(crate) mod plain;

use aya_ebpf::bindings::__sk_buff;

const ETHERNET_BYTES: u32 = 14;
const IPV4_BYTES: u32 = 20;
const IPV6_BYTES: u32 = 40;

const TYPE_IPV4: u16 = 0x0800;
const TYPE_IPV6: u16 = 0x86dd;

/// IP protocol numbers of those with ports.
pub(crate) const TCP: u8 = 6;
/// See [`TCP`].
pub(crate) const UDP: u8 = 17;
/// See [`TCP`].
pub(crate) const DCCP: u8 = 33;
/// See [`TCP`].
pub(crate) const SCTP: u8 = 132;

/// A packet, as every program that counts gets it.
pub(crate) type Buffer = *mut __sk_buff;

/// What the counters need of one frame.
pub(crate) struct Headers<A> {
    pub(crate) source: A,
    pub(crate) destination: A,
    /// The first protocol that is no IPv6 extension.
    pub(crate) protocol: u8,
    /// Host order; 0 where there are none or they cannot be read.
    pub(crate) source_port: u16,
    /// Host order; 0 where there are none or they cannot be read.
    pub(crate) destination_port: u16,
    /// Frame bytes before the IP header.
    pub(crate) layer2_bytes: u32,
    /// Bytes of the IP header, its extensions and the transport header.
    pub(crate) header_bytes: u32,
    /// Layer-3 bytes that the IP header states: less than the frame where that is padded. 0 where
    /// it states none.
    pub(crate) stated_bytes: u32,
    /// There are more extension headers than are walked.
    pub(crate) is_unfinished: bool,
}

/// An address as the header has it, in words as it lies in memory.
pub(crate) type Address4 = u32;
/// See [`Address4`].
pub(crate) type Address6 = [u64; 2];

/// A packet's headers.
pub(crate) enum Packet {
    /// IPv4.
    Ipv4(Headers<Address4>),
    /// IPv6.
    Ipv6(Headers<Address6>),
}

impl Packet {
    /// The first protocol that is no IPv6 extension.
    #[inline(always)]
    pub(crate) fn protocol(&self) -> u8 {
        match self {
            Self::Ipv4(headers) => headers.protocol,
            Self::Ipv6(headers) => headers.protocol,
        }
    }
}

/// The version of IP.
pub(crate) enum Version {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// That of what a socket receives, which begins with the IP header; `None` for what is no IP packet.
#[inline(always)]
fn version_for_socket(buffer: Buffer) -> Option<Version> {
    // SAFETY: the context is valid for the whole run of the program.
    match u16::from_be(unsafe { (*buffer).protocol } as u16) {
        TYPE_IPV4 => Some(Version::Ipv4),
        TYPE_IPV6 => Some(Version::Ipv6),
        _ => None,
    }
}

/// 0 states none: a jumbogram, or a super-packet that is too large for the field.
#[inline(always)]
fn stated_by_ipv6(payload_bytes: u16) -> u32 {
    match u16::from_be(payload_bytes) {
        0 => 0,
        payload => IPV6_BYTES + u32::from(payload),
    }
}
