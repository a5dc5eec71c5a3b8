//! What the IANA special-purpose address registries say about an address.
//!
//! Sources: RFC 6890 and the registries it set up, as of 2026 (iana-ipv4-special-registry,
//! iana-ipv6-special-registry), the multicast ranges of RFC 5771 and RFC 4291, and the ranges
//! outside of 2000::/3 that RFC 4291 leaves unassigned. One range is AWS's own: fd00:ec2::/32,
//! where Nitro serves instance metadata, time and DNS over IPv6; like 169.254/16 it never leaves
//! the host.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::prefixes::Prefixes;

/// The use of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Range {
    /// Never forwarded by a router: 169.254/16, fe80::/10, fd00:ec2::/32.
    LinkLocal,
    /// To a group: 224/4, ff00::/8.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// 127/8, ::1.
    Loopback,
    /// 0/8, ::.
    Unspecified,
    /// Private use: RFC 1918, shared address space (RFC 6598, 100.64/10), unique local addresses
    /// (RFC 4193, fc00::/7).
    Private,
    /// For examples in documents.
    Documentation,
    /// Not to be used, or not on the Internet: benchmarking, discard, future use, unassigned.
    Reserved,
    /// Reachable on the Internet.
    Global,
}

impl Range {
    /// The range of an address.
    pub fn of(address: IpAddr) -> Self {
        RANGES
            .find(address)
            .map_or(Self::Global, |(_, range)| *range)
    }

    /// The range of the registries that an address is in; none says that it is like any other.
    pub fn network_of(address: IpAddr) -> Option<IpNet> {
        RANGES.find(address).map(|(network, _)| network)
    }

    /// As the explanation of an address writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LinkLocal => "link-local",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Loopback => "loopback",
            Self::Unspecified => "unspecified",
            Self::Private => "private",
            Self::Documentation => "documentation",
            Self::Reserved => "reserved",
            Self::Global => "global",
        }
    }
}

static RANGES: LazyLock<Prefixes<Range>> = LazyLock::new(|| {
    let mut ranges = Prefixes::default();
    for (network, range) in V4 {
        ranges.insert(IpNet::V4(network), range);
    }
    for (network, range) in V6 {
        ranges.insert(IpNet::V6(network), range);
    }
    ranges
});

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, c: u16, d: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), length)
}

/// Whole addresses among the IPv6 ranges.
const fn v6_host(a: u16, b: u16, h: u16) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, h), 128)
}

const V4: [(Ipv4Net, Range); 21] = [
    (v4(0, 0, 0, 0, 8), Range::Unspecified), // RFC 791: this network
    (v4(10, 0, 0, 0, 8), Range::Private),    // RFC 1918
    (v4(100, 64, 0, 0, 10), Range::Private), // RFC 6598: shared address space
    (v4(127, 0, 0, 0, 8), Range::Loopback),  // RFC 1122
    (v4(169, 254, 0, 0, 16), Range::LinkLocal), // RFC 3927
    (v4(172, 16, 0, 0, 12), Range::Private), // RFC 1918
    (v4(192, 0, 0, 0, 24), Range::Reserved), // RFC 6890: protocol assignments
    (v4(192, 0, 0, 9, 32), Range::Global),   // RFC 7723: PCP anycast
    (v4(192, 0, 0, 10, 32), Range::Global),  // RFC 8155: TURN anycast
    (v4(192, 0, 2, 0, 24), Range::Documentation), // RFC 5737: TEST-NET-1
    (v4(192, 31, 196, 0, 24), Range::Global), // RFC 7535: AS112-v4
    (v4(192, 52, 193, 0, 24), Range::Global), // RFC 7450: AMT
    (v4(192, 88, 99, 0, 24), Range::Reserved), // RFC 7526: 6to4 relay, withdrawn
    (v4(192, 168, 0, 0, 16), Range::Private), // RFC 1918
    (v4(192, 175, 48, 0, 24), Range::Global), // RFC 7534: direct delegation AS112
    (v4(198, 18, 0, 0, 15), Range::Reserved), // RFC 2544: benchmarking
    (v4(198, 51, 100, 0, 24), Range::Documentation), // RFC 5737: TEST-NET-2
    (v4(203, 0, 113, 0, 24), Range::Documentation), // RFC 5737: TEST-NET-3
    (v4(224, 0, 0, 0, 4), Range::Multicast), // RFC 5771
    (v4(240, 0, 0, 0, 4), Range::Reserved),  // RFC 1112: future use
    (v4(255, 255, 255, 255, 32), Range::Broadcast), // RFC 8190
];

const V6: [(Ipv6Net, Range); 27] = [
    (v6(0, 0, 0, 0, 0), Range::Reserved), // RFC 4291: outside of 2000::/3
    (v6_host(0, 0, 0), Range::Unspecified), // RFC 4291
    (v6_host(0, 0, 1), Range::Loopback),  // RFC 4291
    (v6(0x64, 0xff9b, 0, 0, 96), Range::Global), // RFC 6052: IPv4 behind NAT64
    (v6(0x64, 0xff9b, 1, 0, 48), Range::Private), // RFC 8215: local NAT64
    (v6(0x100, 0, 0, 0, 64), Range::Reserved), // RFC 6666: discard
    (v6(0x100, 0, 0, 1, 64), Range::Reserved), // RFC 9780: dummy
    (v6(0x2000, 0, 0, 0, 3), Range::Global), // RFC 4291: global unicast
    (v6(0x2001, 0, 0, 0, 23), Range::Reserved), // RFC 2928: protocol assignments
    (v6(0x2001, 0, 0, 0, 32), Range::Reserved), // RFC 4380: Teredo
    (v6_host(0x2001, 1, 1), Range::Global), // RFC 7723: PCP anycast
    (v6_host(0x2001, 1, 2), Range::Global), // RFC 8155: TURN anycast
    (v6_host(0x2001, 1, 3), Range::Global), // RFC 9665: DNS-SD anycast
    (v6(0x2001, 2, 0, 0, 48), Range::Reserved), // RFC 5180: benchmarking
    (v6(0x2001, 3, 0, 0, 32), Range::Global), // RFC 7450: AMT
    (v6(0x2001, 4, 0x112, 0, 48), Range::Global), // RFC 7535: AS112-v6
    (v6(0x2001, 0x10, 0, 0, 28), Range::Reserved), // RFC 4843: ORCHID, withdrawn
    (v6(0x2001, 0x20, 0, 0, 28), Range::Global), // RFC 7343: ORCHIDv2
    (v6(0x2001, 0x30, 0, 0, 28), Range::Global), // RFC 9374: drone remote id
    (v6(0x2001, 0xdb8, 0, 0, 32), Range::Documentation), // RFC 3849
    (v6(0x2002, 0, 0, 0, 16), Range::Reserved), // RFC 3056: 6to4
    (v6(0x3fff, 0, 0, 0, 20), Range::Documentation), // RFC 9637
    (v6(0x5f00, 0, 0, 0, 16), Range::Reserved), // RFC 9602: SRv6 SIDs
    (v6(0xfc00, 0, 0, 0, 7), Range::Private), // RFC 4193: unique local
    (v6(0xfd00, 0xec2, 0, 0, 32), Range::LinkLocal), // AWS: instance services
    (v6(0xfe80, 0, 0, 0, 10), Range::LinkLocal), // RFC 4291
    (v6(0xff00, 0, 0, 0, 8), Range::Multicast), // RFC 4291
];

#[cfg(test)]
mod tests {
    use super::*;

    /// First and last addresses of ranges, and their neighbours, by the registries' text.
    #[test]
    fn addresses_are_in_the_ranges_of_the_registries() {
        for (address, range) in [
            ("0.0.0.0", Range::Unspecified),
            ("1.0.0.0", Range::Global),
            ("10.255.255.255", Range::Private),
            ("100.63.255.255", Range::Global),
            ("100.64.0.0", Range::Private),
            ("100.127.255.255", Range::Private),
            ("100.128.0.0", Range::Global),
            ("127.0.0.53", Range::Loopback),
            ("169.254.169.254", Range::LinkLocal),
            ("172.15.255.255", Range::Global),
            ("172.31.255.255", Range::Private),
            ("172.32.0.0", Range::Global),
            ("192.0.0.8", Range::Reserved),
            ("192.0.0.9", Range::Global),
            ("192.0.2.1", Range::Documentation),
            ("192.168.0.1", Range::Private),
            ("198.19.255.255", Range::Reserved),
            ("203.0.113.7", Range::Documentation),
            ("224.0.0.251", Range::Multicast),
            ("239.255.255.255", Range::Multicast),
            ("240.0.0.1", Range::Reserved),
            ("255.255.255.254", Range::Reserved),
            ("255.255.255.255", Range::Broadcast),
            ("52.94.0.1", Range::Global),
            ("::", Range::Unspecified),
            ("::1", Range::Loopback),
            ("::2", Range::Reserved),
            ("64:ff9b::8.8.8.8", Range::Global),
            ("64:ff9b:1::1", Range::Private),
            ("100::1", Range::Reserved),
            ("2001::1", Range::Reserved),
            ("2001:1::1", Range::Global),
            ("2001:1::4", Range::Reserved),
            ("2001:200::1", Range::Global),
            ("2001:db8::1", Range::Documentation),
            ("2600:1f16::1", Range::Global),
            ("3fff:fff::1", Range::Documentation),
            ("3fff:1000::1", Range::Global),
            ("4000::1", Range::Reserved),
            ("fc00::1", Range::Private),
            ("fd00:ec2::254", Range::LinkLocal),
            ("fd00:ec3::254", Range::Private),
            ("fe80::1", Range::LinkLocal),
            ("febf::1", Range::LinkLocal),
            ("fec0::1", Range::Reserved),
            ("ff02::1", Range::Multicast),
        ] {
            assert_eq!(Range::of(address.parse().unwrap()), range, "{address}");
        }
    }
}
