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

/// Words of a [`Filter`], as a power of two: 32 KiB. Until Linux 5.15 an update needs as much memory in one
/// piece (`kmalloc` in `map_update_elem`), which a node that has run for long has of this size.
const FILTER_BITS: u32 = 12;
/// Words of a [`Filter`].
pub const FILTER_WORDS: usize = 1 << FILTER_BITS;

/// A Bloom filter of the addresses whose other end conntrack must name: those of Services and of the
/// node itself. An address has two bits in one of the words, so that a packet pays for one load. It
/// has all that were added, and few others: less than one in a hundred with 10,000 addresses.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Filter {
    /// By [`Address::place`].
    pub words: [u64; FILTER_WORDS],
}

impl Filter {
    /// No addresses.
    pub const NONE: Self = Self {
        words: [0; FILTER_WORDS],
    };

    /// False for an address that was not added.
    #[inline(always)]
    pub fn may_have<A: Address>(&self, address: A) -> bool {
        let (word, bits) = address.place();
        self.words[word] & bits == bits
    }
}

/// An address, its bytes as words as they lie in memory.
pub trait Address: Copy {
    /// A number whose high bits depend on all of the address.
    fn hash(self) -> u64;

    /// Its word in a [`Filter`], and its bits in that word.
    #[inline(always)]
    fn place(self) -> (usize, u64) {
        let hash = self.hash();
        let bit = |number: u32| 1 << (hash >> (64 - FILTER_BITS - 6 * number) & 63);
        ((hash >> (64 - FILTER_BITS)) as usize, bit(1) | bit(2))
    }
}

/// 2^64 divided by the golden ratio, made odd: its products spread addresses that follow each other
/// (Knuth, The Art of Computer Programming, volume 3, section 6.4).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Address for u32 {
    #[inline(always)]
    fn hash(self) -> u64 {
        u64::from(u32::from_be(self)).wrapping_mul(SPREAD)
    }
}

impl Address for [u64; 2] {
    #[inline(always)]
    fn hash(self) -> u64 {
        let [first, last] = self.map(u64::from_be);
        (first.wrapping_mul(SPREAD) ^ last).wrapping_mul(SPREAD)
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

    /// How many of 65,536 others the filter takes for one of `services`.
    fn wrong<A: Address>(services: u32, service: fn(u32) -> A, other: fn(u32) -> A) -> usize {
        let mut filter = Filter {
            words: [0; FILTER_WORDS],
        };
        for (word, bits) in (0..services).map(|number| service(number).place()) {
            filter.words[word] |= bits;
        }
        assert!((0..services).all(|number| filter.may_have(service(number))));
        let others = (0..1 << 16).map(other);
        others.filter(|other| filter.may_have(*other)).count()
    }

    fn service4(number: u32) -> u32 {
        (0x0a64_0000 + number).to_be()
    }

    fn pod4(number: u32) -> u32 {
        (0xc0a8_0000 + number).to_be()
    }

    fn internet4(number: u32) -> u32 {
        number.wrapping_mul(0x8765_4321).to_be()
    }

    fn service6(number: u32) -> [u64; 2] {
        [0xfd00_0010_0000_0000, number.into()].map(u64::to_be)
    }

    fn pod6(number: u32) -> [u64; 2] {
        let prefix = 0x2001_0db8_0000_0000 + u64::from(number / 64);
        [prefix, 0xd4a7 << 32 | u64::from(number % 64)].map(u64::to_be)
    }

    #[test]
    fn the_filter_has_all_services_and_few_others() {
        for (services, most) in [(1000, 65), (10_000, 655)] {
            let found = [
                wrong(services, service4, pod4),
                wrong(services, service4, internet4),
                wrong(services, service6, pod6),
            ];
            assert!(
                found.iter().all(|found| *found <= most),
                "{services}: {found:?}"
            );
        }
    }
}
