//! Addresses and address ranges as text: one reader for each, used wherever somebody writes one.
//!
//! Both sides of every comparison are canonical: an IPv4-mapped IPv6 address (RFC 4291, section
//! 2.5.5.2) is the IPv4 address. Leading zeros are refused, for some read them as octal.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

/// What [`address`] reads, for messages.
pub const ADDRESS: &str = "an IPv4 or IPv6 address";

/// Length of the prefix before an IPv4 address inside an IPv6 address.
const BEFORE_IPV4: u8 = 96;

/// Why a text is no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRange {
    /// It is not an address, a slash and the length of a prefix.
    Unreadable,
    /// Bits after the prefix are set; the range without them.
    HostBits(IpNet),
}

/// Reads an address. `None` for anything else, leading zeros included.
pub fn address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    Some(address.to_canonical())
}

/// Reads a range, like `10.8.0.0/16`.
///
/// # Errors
/// What is wrong with the text.
pub fn range(text: &str) -> Result<IpNet, NoRange> {
    let read = || {
        let (address, length) = text.split_once('/')?;
        IpNet::new(address.parse().ok()?, prefix_length(length)?).ok()
    };
    let range = read().ok_or(NoRange::Unreadable)?;
    match range.trunc() {
        whole if whole == range => Ok(canonical(range)),
        whole => Err(NoRange::HostBits(whole)),
    }
}

/// `Ipv4Net` and `Ipv6Net` would take `08` and `+8`.
fn prefix_length(text: &str) -> Option<u8> {
    let is_plain = text == "0" || !text.starts_with('0');
    let is_plain = is_plain && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

/// A range of IPv4-mapped addresses is the range of the IPv4 addresses.
fn canonical(range: IpNet) -> IpNet {
    let mapped = || {
        let length = range.prefix_len().checked_sub(BEFORE_IPV4)?;
        match range {
            IpNet::V4(_) => None,
            IpNet::V6(range) => Ipv4Net::new(range.addr().to_ipv4_mapped()?, length).ok(),
        }
    };
    mapped().map_or(range, IpNet::V4)
}

/// The IPv4 address that an IPv6 address stands for: NAT64's 64:ff9b::/96 (RFC 6052), and ::/96,
/// the deprecated IPv4-compatible addresses (RFC 4291, section 2.5.5.1), which 0.0.0.0/8 has no
/// part in (::1 is loopback).
pub fn inside(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0..=0xff, _] => None,
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => {
            Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

/// True in 64:ff9b::/96, which a NAT64 translates.
pub fn is_nat64(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_strictly_and_are_canonical() {
        for (text, expected) in [
            ("10.0.7.9", Some("10.0.7.9")),
            ("::ffff:10.0.7.9", Some("10.0.7.9")),
            ("::ffff:a00:709", Some("10.0.7.9")),
            ("2600:1f16::7", Some("2600:1f16::7")),
            ("64:ff9b::10.0.3.5", Some("64:ff9b::a00:305")),
            ("010.0.0.1", None),
            ("10.0.0.08", None),
            ("::ffff:010.0.0.1", None),
            ("10.0.0", None),
            ("10.0.0.1/32", None),
            (" 10.0.0.1", None),
            ("fe80::1%eth0", None),
            ("", None),
        ] {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(address(text), expected, "{text}");
        }
    }

    #[test]
    fn ranges_are_read_strictly_and_are_canonical() {
        let net = |text: &str| -> IpNet { text.parse().unwrap() };
        for (text, expected) in [
            ("10.0.0.0/16", Ok("10.0.0.0/16")),
            ("0.0.0.0/0", Ok("0.0.0.0/0")),
            ("2600:1f16::/32", Ok("2600:1f16::/32")),
            ("::ffff:10.0.7.0/120", Ok("10.0.7.0/24")),
            ("::ffff:a00:700/120", Ok("10.0.7.0/24")),
            ("::ffff:0:0/96", Ok("0.0.0.0/0")),
            ("64:ff9b::/96", Ok("64:ff9b::/96")),
            ("10.0.7.1/24", Err(NoRange::HostBits(net("10.0.7.0/24")))),
            (
                "::ffff:10.0.7.1/120",
                Err(NoRange::HostBits(net("::ffff:10.0.7.0/120"))),
            ),
            ("010.0.0.0/16", Err(NoRange::Unreadable)),
            ("10.0.0.0/016", Err(NoRange::Unreadable)),
            ("10.0.0.0/+16", Err(NoRange::Unreadable)),
            ("10.0.0.0/", Err(NoRange::Unreadable)),
            ("10.0.0.0/33", Err(NoRange::Unreadable)),
            ("10.0/16", Err(NoRange::Unreadable)),
            ("10.0.0.0", Err(NoRange::Unreadable)),
        ] {
            assert_eq!(range(text), expected.map(net), "{text}");
        }
    }

    #[test]
    fn ipv6_addresses_that_stand_for_ipv4() {
        for (text, expected) in [
            ("64:ff9b::10.0.3.5", Some("10.0.3.5")),
            ("64:ff9b::8.8.8.8", Some("8.8.8.8")),
            ("::10.8.0.5", Some("10.8.0.5")),
            ("::3.5.128.9", Some("3.5.128.9")),
            ("::1", None),
            ("::", None),
            ("::2", None),
            ("64:ff9b:1::10.0.3.5", None),
            ("2600:1f16::10.0.3.5", None),
            ("10.0.3.5", None),
        ] {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(inside(text.parse().unwrap()), expected, "{text}");
        }
    }
}
