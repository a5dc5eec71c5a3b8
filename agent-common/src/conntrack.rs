//! What a packet to a pod carries of its connection.

/// Bytes of a `struct nf_conntrack_tuple` (`include/net/netfilter/nf_conntrack_tuple.h`).
pub const TUPLE_BYTES: usize = 40;

/// The two tuples of a connection, as the kernel has them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// As the one who opened the connection sees it: client to Service.
    pub original: Tuple,
    /// As the one who answers sees it: backend to client.
    pub reply: Tuple,
}

impl Tracked {
    /// Noted for a packet that conntrack was told to leave alone (NOTRACK): nobody has translated
    /// it. No kernel tuple is all 0.
    pub const UNTRACKED: Self = Self {
        original: Tuple::ZERO,
        reply: Tuple::ZERO,
    };
}

/// One direction of a connection: `struct nf_conntrack_tuple`. An IPv4 address lies in the first
/// 4 bytes of its 16.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// Network order.
    pub source: [u8; 16],
    /// Network order; 0 for a protocol without ports.
    pub source_port: [u8; 2],
    /// `AF_INET` (2) or `AF_INET6` (10), order of the machine.
    pub family: u16,
    /// Network order.
    pub destination: [u8; 16],
    /// Network order; 0 for a protocol without ports.
    pub destination_port: [u8; 2],
    /// IP protocol number.
    pub protocol: u8,
    /// 0 original, 1 reply.
    pub direction: u8,
}

impl Tuple {
    const ZERO: Self = Self {
        source: [0; 16],
        source_port: [0; 2],
        family: 0,
        destination: [0; 16],
        destination_port: [0; 2],
        protocol: 0,
        direction: 0,
    };
}

/// Where the kernel keeps a packet's connection; found by the agent in the kernel's BTF and
/// written into the programs when they are loaded. All 0: reading is switched off.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConntrackOffsets {
    /// `sk_buff._nfct`
    pub connection: u32,
    /// `nf_conn.tuplehash[0].tuple`
    pub original: u32,
    /// `nf_conn.tuplehash[1].tuple`
    pub reply: u32,
}

/// Bits of the filter in front of the set of translated addresses.
pub const FILTER_BITS: usize = 1 << 16;
/// The filter as words.
pub const FILTER_WORDS: usize = FILTER_BITS / 64;

/// One bit for each of the addresses whose other end conntrack must name (those of Services and
/// of the node itself), so that all other traffic pays for one test of a bit.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Filter {
    /// Bit [`Address::filter_bit`].
    pub words: [u64; FILTER_WORDS],
}

/// An address, its bytes as words as they lie in memory.
pub trait Address: Copy {
    /// Its bit in a [`Filter`].
    fn filter_bit(self) -> usize;
}

/// Any odd number: multiplied by it, addresses that differ in the 16 highest bits of their word (their
/// last bytes, where the machine is little-endian) have 16 highest bits of their own.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Address for u32 {
    #[inline(always)]
    fn filter_bit(self) -> usize {
        (u64::from(self) << 32).wrapping_mul(SPREAD) as usize >> 48
    }
}

impl Address for [u64; 2] {
    #[inline(always)]
    fn filter_bit(self) -> usize {
        let [first, last] = self;
        let first = first.wrapping_mul(SPREAD);
        (first ^ last).wrapping_mul(SPREAD) as usize >> 48
    }
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use super::*;

    #[test]
    fn tuples_are_as_the_kernel_has_them() {
        assert_eq!(size_of::<Tuple>(), TUPLE_BYTES);
        assert_eq!(size_of::<Tracked>(), 2 * TUPLE_BYTES);
    }

    #[test]
    fn addresses_of_a_range_of_services_have_bits_of_their_own() {
        let ipv4 = |host: u16| {
            let [high, low] = host.to_be_bytes();
            u32::from_ne_bytes([10, 100, high, low]).filter_bit()
        };
        let ipv6 = |host: u16| {
            let [high, low] = host.to_be_bytes();
            let last = u64::from_ne_bytes([0, 0, 0, 0, 0, 0, high, low]);
            [0xfd, last].filter_bit()
        };
        let mut found = [[false; FILTER_BITS]; 2];
        for host in 0..=u16::MAX {
            found[0][ipv4(host)] = true;
            found[1][ipv6(host)] = true;
        }
        assert!(found.as_flattened().iter().all(|found| *found));
    }
}
