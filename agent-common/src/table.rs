//! The flow tables: for each CPU and set a part, made of buckets of four slots, each slot a cache
//! line. The agent maps them into its memory.
//!
//! | map | index | element |
//! |---|---|---|
//! | tables | `part << bits`, then the bucket | a bucket |
//! | touched | [`touched_word`] | a bit for each bucket that has a taken slot |
//! | claims | `part * 2`, then the family | [`Claims`] |
//! | totals | `part` | [`crate::Totals`] |

use crate::{Count, Direction};

/// Slots of a bucket.
pub const SLOTS: usize = 4;
/// Address families: the number of tables.
pub const FAMILIES: usize = 2;
/// The global that says how many buckets a part has, as a power of two, says this where there are
/// no tables.
pub const NO_TABLES: u32 = 32;
/// Interfaces whose indices differ by a multiple of this share a row of [`Claims`].
pub const CLAIM_ROWS: usize = 512;

/// Bits of [`Slot4::kind`] and [`Slot6::kind`] above the interface's index.
pub mod kind {
    use super::Direction;

    /// The slot is taken.
    const TAKEN: u64 = 1 << 41;
    /// Packets had other ports than the first ones.
    pub const OTHERS: u64 = 1 << 63;

    /// The kind of a flow that has one slot for both directions.
    #[inline(always)]
    pub fn of(interface: u32, protocol: u8) -> u64 {
        interface as u64 | (protocol as u64) << 32 | TAKEN
    }

    /// The kind of a flow that has a slot for each direction.
    #[inline(always)]
    pub fn directed(interface: u32, protocol: u8, direction: Direction) -> u64 {
        of(interface, protocol) | (direction as u64) << 40
    }

    /// Index of the interface.
    pub fn interface(kind: u64) -> u32 {
        kind as u32
    }

    /// IP protocol number.
    pub fn protocol(kind: u64) -> u8 {
        (kind >> 32) as u8
    }

    /// The direction of a slot that has one.
    pub fn direction(kind: u64) -> Direction {
        match kind >> 40 & 1 {
            0 => Direction::Transmit,
            _ => Direction::Receive,
        }
    }
}

/// Both ports of a flow as one number, in the order of the machine.
#[inline(always)]
pub fn ports(local: u16, peer: u16) -> u32 {
    local as u32 | (peer as u32) << 16
}

/// The pod's port and its peer's.
pub fn split_ports(ports: u32) -> (u16, u16) {
    (ports as u16, (ports >> 16) as u16)
}

/// An IPv4 flow in both directions.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot4 {
    /// See [`kind`]; 0 where the slot is free.
    pub kind: u64,
    /// The pod's address and its peer's, as bytes in network order.
    pub ends: u64,
    /// [`ports`] by which flows are told apart: 0 but where the node translates the peer's
    /// address, or both ports are asked for.
    pub ports: u32,
    /// [`ports`] of the first packet that had any, where flows are not told apart by them.
    pub first_ports: u32,
    /// By [`Direction`] code.
    pub counts: [Count; 2],
    /// Up to a cache line.
    pub spare: u64,
}

/// An IPv6 flow in one direction.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot6 {
    /// See [`kind`]; 0 where the slot is free.
    pub kind: u64,
    /// The pod's address, as bytes in network order.
    pub local: [u64; 2],
    /// The other end's.
    pub peer: [u64; 2],
    /// As in [`Slot4`].
    pub ports: u32,
    /// As in [`Slot4`].
    pub first_ports: u32,
    /// What was counted.
    pub count: Count,
}

/// Four slots that one hash leads to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket<S> {
    /// Taken from the first on.
    pub slots: [S; SLOTS],
}

/// Who holds how many slots of a part of one family.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// All slots that are taken.
    pub used: u32,
    /// Always 0.
    pub pad: u32,
    /// Those of an interface, by the lowest bits of its index. Who shares a row shares what one
    /// may take of the table; what of the hash map behind it is each interface's own.
    pub rows: [u32; CLAIM_ROWS],
}

impl Claims {
    /// Takes one of `slots` for an interface: as long as it has fewer than are free. So one alone
    /// gets half of them, and one that has none always gets one while there is any.
    #[inline(always)]
    pub fn take(&mut self, interface: u32, slots: u32) -> bool {
        let row = &mut self.rows[interface as usize % CLAIM_ROWS];
        if *row >= slots.saturating_sub(self.used) {
            return false;
        }
        *row += 1;
        self.used += 1;
        true
    }
}

/// A flow that found no slot.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What was counted.
    pub count: Count,
    /// As in [`Slot4`].
    pub first_ports: u32,
    /// 1 where packets had other ports than the first ones.
    pub others: u32,
}

/// What one interface has of the hash maps, and what found no room in them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// By [`Direction`] code.
    pub overflow: [Count; 2],
    /// Entries by family.
    pub entries: [u64; FAMILIES],
}

/// The part of a CPU and set.
#[inline(always)]
pub fn part(cpu: u32, set: u32) -> u32 {
    cpu << 1 | set
}

/// The word of the touched map with the bit of a bucket; the bit is `bucket % 64`. Each part has
/// words of its own.
#[inline(always)]
pub fn touched_word(part: u32, bucket: u32, bits: u32) -> u32 {
    match bits > 6 {
        true => part << (bits - 6) | bucket >> 6,
        false => part,
    }
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use super::*;

    #[test]
    fn a_slot_is_a_cache_line() {
        assert_eq!(size_of::<Slot4>(), 64);
        assert_eq!(size_of::<Slot6>(), 64);
        assert_eq!(size_of::<Bucket<Slot4>>(), 256);
        assert_eq!(size_of::<Claims>(), 8 + 4 * 512);
        assert_eq!(size_of::<Entry>(), 16 + 8);
        assert_eq!(size_of::<Share>(), 32 + 16);
    }

    #[test]
    fn a_kind_tells_what_it_is_made_of() {
        let kind = kind::directed(u32::MAX, 255, Direction::Receive);
        assert_eq!(kind::interface(kind | kind::OTHERS), u32::MAX);
        assert_eq!(kind::protocol(kind | kind::OTHERS), 255);
        assert_eq!(kind::direction(kind), Direction::Receive);
        assert_ne!(kind::of(0, 0), 0);
        assert_eq!(split_ports(ports(443, 8080)), (443, 8080));
    }

    #[test]
    fn parts_have_words_of_their_own() {
        assert_eq!(touched_word(part(1, 1), 3, 2), 3);
        assert_eq!(touched_word(part(1, 1), 63, 6), 3);
        assert_eq!(touched_word(part(1, 1), 0, 7), 6);
        assert_eq!(touched_word(part(1, 1), 127, 7), 7);
    }

    #[test]
    fn nobody_takes_what_others_need() {
        let mut claims = Claims {
            used: 0,
            pad: 0,
            rows: [0; CLAIM_ROWS],
        };
        let greedy = (0..100).filter(|_| claims.take(7, 64)).count();
        assert_eq!(greedy, 32);
        let second = (0..100).filter(|_| claims.take(8, 64)).count();
        assert_eq!(second, 16);
        assert!(claims.take(9, 64) && !claims.take(7, 64));
    }
}
