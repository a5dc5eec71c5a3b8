//! Any packet: VLAN tags, options, extensions, fragments, every protocol. Its headers are copied from
//! wherever they lie in the buffer.

use core::mem::{MaybeUninit, size_of};

use aya_ebpf::helpers::generated::bpf_skb_load_bytes;
use zonemeter_common::SkipReason;

use super::{
    Address4, Address6, Buffer, DCCP, ETHERNET_BYTES, Headers, IPV6_BYTES, Packet, SCTP, TCP,
    TYPE_IPV4, TYPE_IPV6, UDP, Version, stated_by_ipv6, version_for_socket,
};

const VLAN_TAG_BYTES: u32 = 4;
/// Two tags, as in 802.1ad; the kernel takes the outer one off the data before tc sees it.
const VLAN_TAGS: usize = 2;
/// Extension headers that are walked: the verifier wants a bound. A packet with more is named by
/// [`SkipReason::ExtensionDepth`].
const EXTENSIONS: usize = 32;

const TYPE_ARP: u16 = 0x0806;
const TYPE_VLAN: u16 = 0x8100;
const TYPE_QINQ: u16 = 0x88a8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const UDP_LITE: u8 = 136;

/// Reads the headers of any frame.
#[inline(always)]
pub(crate) fn frame(buffer: Buffer) -> Result<Packet, SkipReason> {
    let (version, offset) = layer3(buffer)?;
    packet(buffer, version, offset)
}

/// Reads the headers of what a socket receives; `None` where that is no IP packet.
#[inline(always)]
pub(crate) fn of_socket(buffer: Buffer) -> Option<Packet> {
    packet(buffer, version_for_socket(buffer)?, 0).ok()
}

#[inline(always)]
fn packet(buffer: Buffer, version: Version, offset: u32) -> Result<Packet, SkipReason> {
    match version {
        Version::Ipv4 => ipv4(buffer, offset).map(Packet::Ipv4),
        Version::Ipv6 => ipv6(buffer, offset).map(Packet::Ipv6),
    }
}

/// Finds the IP header behind the Ethernet header and up to two VLAN tags: which one, and its offset.
#[inline(always)]
pub(crate) fn layer3(buffer: Buffer) -> Result<(Version, u32), SkipReason> {
    let mut offset = ETHERNET_BYTES;
    for _ in 0..=VLAN_TAGS {
        let kind: u16 = copied(buffer, offset - 2).ok_or(SkipReason::Malformed)?;
        match u16::from_be(kind) {
            TYPE_IPV4 => return Ok((Version::Ipv4, offset)),
            TYPE_IPV6 => return Ok((Version::Ipv6, offset)),
            TYPE_ARP => return Err(SkipReason::Arp),
            TYPE_VLAN | TYPE_QINQ => offset += VLAN_TAG_BYTES,
            _ => return Err(SkipReason::NotIp),
        }
    }
    Err(SkipReason::VlanDepth)
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Ipv4Header {
    version_and_words: u8,
    traffic_class: u8,
    total_bytes: u16,
    id: u16,
    fragment: u16,
    hops: u8,
    protocol: u8,
    checksum: u16,
    source: Address4,
    destination: Address4,
}

/// Reads the IPv4 header at `offset` and the ports behind it. A fragment that is not the first
/// carries payload where ports would be.
#[inline(always)]
pub(crate) fn ipv4(buffer: Buffer, offset: u32) -> Result<Headers<Address4>, SkipReason> {
    let header: Ipv4Header = copied(buffer, offset).ok_or(SkipReason::Malformed)?;
    let words = u32::from(header.version_and_words & 0x0f);
    if header.version_and_words >> 4 != 4 || words < 5 {
        return Err(SkipReason::Malformed);
    }
    let transport = transport(
        buffer,
        &Payload {
            protocol: header.protocol,
            offset: offset + words * 4,
            later_fragment: u16::from_be(header.fragment) & 0x1fff != 0,
            is_unfinished: false,
        },
    );
    Ok(Headers {
        source: header.source,
        destination: header.destination,
        protocol: header.protocol,
        source_port: transport.source_port,
        destination_port: transport.destination_port,
        layer2_bytes: offset,
        header_bytes: words * 4 + transport.bytes,
        stated_bytes: u16::from_be(header.total_bytes).into(),
        is_unfinished: false,
    })
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Ipv6Header {
    version_and_flow: [u8; 4],
    payload_bytes: u16,
    next: u8,
    hops: u8,
    source: Address6,
    destination: Address6,
}

/// Reads the IPv6 header at `offset`, its extension headers and the ports behind them.
#[inline(always)]
pub(crate) fn ipv6(buffer: Buffer, offset: u32) -> Result<Headers<Address6>, SkipReason> {
    let header: Ipv6Header = copied(buffer, offset).ok_or(SkipReason::Malformed)?;
    if header.version_and_flow[0] >> 4 != 6 {
        return Err(SkipReason::Malformed);
    }
    let payload = extensions(buffer, header.next, offset + IPV6_BYTES);
    let transport = transport(buffer, &payload);
    Ok(Headers {
        source: header.source,
        destination: header.destination,
        protocol: payload.protocol,
        source_port: transport.source_port,
        destination_port: transport.destination_port,
        layer2_bytes: offset,
        header_bytes: payload.offset - offset + transport.bytes,
        stated_bytes: stated_by_ipv6(header.payload_bytes),
        is_unfinished: payload.is_unfinished,
    })
}

/// What stands behind the last extension header.
struct Payload {
    protocol: u8,
    offset: u32,
    later_fragment: bool,
    /// More extension headers follow than are walked.
    is_unfinished: bool,
}

impl Payload {
    /// As one register: the offset above 16 bits, a byte for each of the others.
    #[inline(always)]
    fn pack(&self) -> u64 {
        u64::from(self.offset) << 16
            | u64::from(self.is_unfinished) << 9
            | u64::from(self.later_fragment) << 8
            | u64::from(self.protocol)
    }

    #[inline(always)]
    fn unpack(packed: u64) -> Self {
        Self {
            protocol: packed as u8,
            offset: (packed >> 16) as u32,
            later_fragment: packed & 1 << 8 != 0,
            is_unfinished: packed & 1 << 9 != 0,
        }
    }
}

/// Most packets have no extension header, and pay for one look at the protocol.
#[inline(always)]
fn extensions(buffer: Buffer, next: u8, offset: u32) -> Payload {
    let payload = Payload {
        protocol: next,
        offset,
        later_fragment: false,
        is_unfinished: false,
    };
    if !is_extension(next) {
        return payload;
    }
    Payload::unpack(zonemeter_extensions(buffer, payload.pack()))
}

/// Walks the extension headers, from one packed [`Payload`] to another. An unreadable one ends
/// the walk: the packet is still counted, under the protocol number of that header.
///
/// A function of its own, and visible outside the object: then the verifier looks at it once,
/// and not again for each way that leads here. That is a tenth of its work for a whole program,
/// which counts where the kernel is old or its CPU slow.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zonemeter_extensions(buffer: Buffer, packed: u64) -> u64 {
    let mut payload = Payload::unpack(packed);
    for _ in 0..EXTENSIONS {
        if !is_extension(payload.protocol) || payload.later_fragment {
            return payload.pack();
        }
        let Some([next, length, fragment_high, fragment_low]) =
            copied::<[u8; 4]>(buffer, payload.offset)
        else {
            return payload.pack();
        };
        payload.offset += match payload.protocol {
            FRAGMENT => 8,
            AUTHENTICATION => (u32::from(length) + 2) * 4,
            _ => (u32::from(length) + 1) * 8,
        };
        payload.later_fragment = payload.protocol == FRAGMENT
            && u16::from_be_bytes([fragment_high, fragment_low]) & 0xfff8 != 0;
        payload.protocol = next;
    }
    payload.is_unfinished = is_extension(payload.protocol) && !payload.later_fragment;
    payload.pack()
}

#[inline(always)]
fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS
    )
}

/// Ports in host order and the size of the transport header.
#[derive(Default)]
struct Transport {
    source_port: u16,
    destination_port: u16,
    bytes: u32,
}

/// The fields of a TCP header up to the data offset; other protocols share the ports.
#[repr(C)]
#[derive(Clone, Copy)]
struct TcpStart {
    ports: Ports,
    sequence: [u16; 2],
    acknowledged: [u16; 2],
    words: u8,
    flags: u8,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Ports {
    source: u16,
    destination: u16,
}

impl Transport {
    /// As one register.
    #[inline(always)]
    fn pack(&self) -> u64 {
        u64::from(self.bytes) << 32
            | u64::from(self.destination_port) << 16
            | u64::from(self.source_port)
    }

    #[inline(always)]
    fn unpack(packed: u64) -> Self {
        Self {
            source_port: packed as u16,
            destination_port: (packed >> 16) as u16,
            bytes: (packed >> 32) as u32,
        }
    }
}

#[inline(always)]
fn transport(buffer: Buffer, payload: &Payload) -> Transport {
    Transport::unpack(zonemeter_transport(buffer, payload.pack()))
}

/// Reads the transport header of a packed [`Payload`], and returns a packed [`Transport`]. A function
/// of its own as [`zonemeter_extensions`] is.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zonemeter_transport(buffer: Buffer, packed: u64) -> u64 {
    let Payload {
        protocol,
        offset,
        later_fragment,
        ..
    } = Payload::unpack(packed);
    if later_fragment {
        return Transport::default().pack();
    }
    let transport = match protocol {
        TCP => match copied::<TcpStart>(buffer, offset) {
            Some(tcp) => with_ports(tcp.ports, u32::from(tcp.words >> 4) * 4),
            // The first fragment of a TCP packet may end inside its header.
            None => ported(buffer, offset, 20),
        },
        UDP | UDP_LITE => ported(buffer, offset, 8),
        SCTP | DCCP => ported(buffer, offset, 12),
        _ => Transport::default(),
    };
    transport.pack()
}

#[inline(always)]
fn ported(buffer: Buffer, offset: u32, bytes: u32) -> Transport {
    copied::<Ports>(buffer, offset)
        .map_or_else(Transport::default, |ports| with_ports(ports, bytes))
}

#[inline(always)]
fn with_ports(ports: Ports, bytes: u32) -> Transport {
    Transport {
        source_port: u16::from_be(ports.source),
        destination_port: u16::from_be(ports.destination),
        bytes,
    }
}

/// Copies a header from wherever it lies in the buffer; `None` past the end of the packet.
#[inline(always)]
fn copied<T: Copy>(buffer: Buffer, offset: u32) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: `value` is as long as the length given; the helper fills it or fails.
    let failed = unsafe {
        bpf_skb_load_bytes(
            buffer.cast_const().cast(),
            offset,
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
        )
    };
    // SAFETY: filled, because the helper did not fail; every `T` here is plain integers.
    (failed == 0).then(|| unsafe { value.assume_init() })
}
