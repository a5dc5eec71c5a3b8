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
    /// Bit `filter_bit(address)`.
    pub words: [u64; FILTER_WORDS],
}

/// The bit of an address.
#[inline(always)]
pub fn filter_bit(address: &[u8]) -> usize {
    let mut bit = 0u16;
    let mut at = 0;
    while at + 1 < address.len() {
        bit = bit.rotate_left(1) ^ u16::from_be_bytes([address[at], address[at + 1]]);
        at += 2;
    }
    bit as usize
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
    fn addresses_of_one_service_range_have_bits_of_their_own() {
        assert_ne!(filter_bit(&[10, 100, 0, 1]), filter_bit(&[10, 100, 0, 10]));
        assert_ne!(filter_bit(&[10, 100, 1, 0]), filter_bit(&[10, 100, 0, 1]));
    }
}
