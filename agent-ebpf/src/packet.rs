//! Reads the headers of a frame: addresses, protocol, ports and how many header bytes there are.
//!
//! Offsets and rules: Ethernet and VLAN tags IEEE 802.1Q, IPv4 RFC 791, IPv6 and its extension
//! headers RFC 8200, AH RFC 4302, TCP RFC 9293, UDP RFC 768.

pub(crate) mod plain;

use core::mem::{MaybeUninit, size_of};

use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_skb_load_bytes};
use zonemeter_common::SkipReason;

const ETHERNET_BYTES: u32 = 14;
const VLAN_TAG_BYTES: u32 = 4;
/// Two tags, as in 802.1ad; the kernel takes the outer one off the data before tc sees it.
const VLAN_TAGS: usize = 2;
const IPV4_BYTES: u32 = 20;
const IPV6_BYTES: u32 = 40;
/// Extension headers that are walked: the verifier wants a bound. A packet with more is named by
/// [`SkipReason::ExtensionDepth`].
const EXTENSIONS: usize = 32;

const TYPE_IPV4: u16 = 0x0800;
const TYPE_ARP: u16 = 0x0806;
const TYPE_IPV6: u16 = 0x86dd;
const TYPE_VLAN: u16 = 0x8100;
const TYPE_QINQ: u16 = 0x88a8;

const HOP_BY_HOP: u8 = 0;
const TCP: u8 = 6;
const UDP: u8 = 17;
const DCCP: u8 = 33;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;

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

/// Reads the headers of any packet.
#[inline(always)]
pub(crate) fn any(buffer: Buffer) -> Result<Packet, SkipReason> {
    Ok(match layer3(buffer)? {
        Layer3::Ipv4(offset) => Packet::Ipv4(ipv4(buffer, offset)?),
        Layer3::Ipv6(offset) => Packet::Ipv6(ipv6(buffer, offset)?),
    })
}

/// The layer that a frame carries.
pub(crate) enum Layer3 {
    /// IPv4, its header at this offset.
    Ipv4(u32),
    /// IPv6, its header at this offset.
    Ipv6(u32),
}

/// Finds the IP header behind the Ethernet header and up to two VLAN tags.
#[inline(always)]
pub(crate) fn layer3(buffer: Buffer) -> Result<Layer3, SkipReason> {
    let mut offset = ETHERNET_BYTES;
    for _ in 0..=VLAN_TAGS {
        let kind: u16 = read(buffer, offset - 2).ok_or(SkipReason::Malformed)?;
        match u16::from_be(kind) {
            TYPE_IPV4 => return Ok(Layer3::Ipv4(offset)),
            TYPE_IPV6 => return Ok(Layer3::Ipv6(offset)),
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
    source: [u16; 2],
    destination: [u16; 2],
}

/// Reads the IPv4 header at `offset` and the ports behind it. A fragment that is not the first
/// carries payload where ports would be.
#[inline(always)]
pub(crate) fn ipv4(buffer: Buffer, offset: u32) -> Result<Headers<Address4>, SkipReason> {
    let header: Ipv4Header = read(buffer, offset).ok_or(SkipReason::Malformed)?;
    let words = u32::from(header.version_and_words & 0x0f);
    if header.version_and_words >> 4 != 4 || words < 5 {
        return Err(SkipReason::Malformed);
    }
    let later_fragment = u16::from_be(header.fragment) & 0x1fff != 0;
    let transport = transport(buffer, header.protocol, offset + words * 4, later_fragment);
    Ok(Headers {
        source: address4(header.source),
        destination: address4(header.destination),
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
    source: [u16; 8],
    destination: [u16; 8],
}

/// Reads the IPv6 header at `offset`, its extension headers and the ports behind them.
#[inline(always)]
pub(crate) fn ipv6(buffer: Buffer, offset: u32) -> Result<Headers<Address6>, SkipReason> {
    let header: Ipv6Header = read(buffer, offset).ok_or(SkipReason::Malformed)?;
    if header.version_and_flow[0] >> 4 != 6 {
        return Err(SkipReason::Malformed);
    }
    let payload = extensions(buffer, header.next, offset + IPV6_BYTES);
    let transport = transport(
        buffer,
        payload.protocol,
        payload.offset,
        payload.later_fragment,
    );
    Ok(Headers {
        source: address6(header.source),
        destination: address6(header.destination),
        protocol: payload.protocol,
        source_port: transport.source_port,
        destination_port: transport.destination_port,
        layer2_bytes: offset,
        header_bytes: payload.offset - offset + transport.bytes,
        stated_bytes: stated_by_ipv6(header.payload_bytes),
        is_unfinished: payload.is_unfinished,
    })
}

/// 0 states none: a jumbogram, or a super-packet that is too large for the field.
#[inline(always)]
fn stated_by_ipv6(payload_bytes: u16) -> u32 {
    match u16::from_be(payload_bytes) {
        0 => 0,
        payload => IPV6_BYTES + u32::from(payload),
    }
}

/// Headers lie on even addresses only, so they are read by pairs of bytes.
#[inline(always)]
fn address4([first, last]: [u16; 2]) -> Address4 {
    // SAFETY: same size, and all values of the one are values of the other.
    unsafe { core::mem::transmute([first, last]) }
}

/// As [`address4`].
#[inline(always)]
fn address6(pairs: [u16; 8]) -> Address6 {
    // SAFETY: as above.
    unsafe { core::mem::transmute(pairs) }
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
pub(crate) extern "C" fn zonemeter_extensions(buffer: *mut __sk_buff, packed: u64) -> u64 {
    let mut payload = Payload::unpack(packed);
    for _ in 0..EXTENSIONS {
        if !is_extension(payload.protocol) || payload.later_fragment {
            return payload.pack();
        }
        let Some([next, length, fragment_high, fragment_low]) =
            read_copied::<[u8; 4]>(buffer, payload.offset)
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

#[inline(always)]
fn transport(buffer: Buffer, protocol: u8, offset: u32, later_fragment: bool) -> Transport {
    if later_fragment {
        return Transport::default();
    }
    match protocol {
        TCP => match read::<TcpStart>(buffer, offset) {
            Some(tcp) => with_ports(tcp.ports, u32::from(tcp.words >> 4) * 4),
            // The first fragment of a TCP packet may end inside its header.
            None => ported(buffer, offset, 20),
        },
        UDP | UDP_LITE => ported(buffer, offset, 8),
        SCTP | DCCP => ported(buffer, offset, 12),
        _ => Transport::default(),
    }
}

#[inline(always)]
fn ported(buffer: Buffer, offset: u32, bytes: u32) -> Transport {
    read::<Ports>(buffer, offset).map_or_else(Transport::default, |ports| with_ports(ports, bytes))
}

#[inline(always)]
fn with_ports(ports: Ports, bytes: u32) -> Transport {
    Transport {
        source_port: u16::from_be(ports.source),
        destination_port: u16::from_be(ports.destination),
        bytes,
    }
}

/// The largest offset at which the packet is read in place: Ethernet, two tags, an IPv4 header
/// with all its options. The verifier needs a bound on what is added to a packet pointer.
const IN_PLACE: u32 = 127;

/// Reads a header: in place where it lies in the buffer's linear part, which it does for all but
/// raw sockets and IPv6 extensions, copied otherwise. `None` past the end of the packet.
#[inline(always)]
fn read<T: Copy>(buffer: Buffer, offset: u32) -> Option<T> {
    if offset <= IN_PLACE {
        // SAFETY: the buffer is valid for the whole run of the program.
        let (data, end) = unsafe { ((*buffer).data as usize, (*buffer).data_end as usize) };
        let start = data + offset as usize;
        if start + size_of::<T>() <= end {
            // SAFETY: inside the packet by the check above; `T` is a header of integers aligned
            // to 2 at most, and packet data and header offsets are even.
            return Some(unsafe { (start as *const T).read() });
        }
    }
    read_copied(buffer, offset)
}

/// Reads a header wherever it lies in the buffer; `None` past the end of the packet.
#[inline(always)]
fn read_copied<T: Copy>(buffer: Buffer, offset: u32) -> Option<T> {
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
