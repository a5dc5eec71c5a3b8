//! The flow tables: for each CPU and set a part, made of slots of a cache line each, which flows take
//! in the order in which they come, and of an index that leads to them. The agent maps all of it into
//! its memory.
//!
//! | map | index | element |
//! |---|---|---|
//! | tables | `part * slots`, then the number of the slot | [`Slot4`], [`Slot6`] |
//! | indexes | `part * buckets`, then the bucket | [`Bucket`] |
//! | claims | `part * 2`, then the family | [`Claims`] |
//! | totals | `part` | [`crate::Totals`] |

use crate::{Count, Direction};

/// Flows that a bucket has room for: half a cache line.
pub const BUCKET_FLOWS: usize = 8;
/// Address families: the number of tables.
pub const FAMILIES: usize = 2;
/// Slots for each bucket of an index, at most. With fewer for each the index is larger, and lies in no
/// cache where there are many flows; with more, more flows find their bucket full.
pub const BUCKET_SLOTS: usize = 8;
/// As many as a [`Bucket`] can number.
pub const MOST_SLOTS: u32 = 1 << 16;
/// Interfaces whose indices differ by a multiple of this share a row of [`Claims`].
pub const CLAIM_ROWS: usize = 512;

/// Bits of [`Slot4::kind`] and [`Slot6::kind`] below the interface's index, where they fit the
/// immediate of an instruction.
pub mod kind {
    use super::Direction;

    /// The slot is taken.
    const TAKEN: u64 = 1 << 9;
    /// Packets had other ports than the first ones.
    pub const OTHERS: u64 = 1 << 10;

    /// The kind of a flow that has one slot for both directions.
    #[inline(always)]
    pub fn of(interface: u32, protocol: u8) -> u64 {
        (interface as u64) << 32 | protocol as u64 | TAKEN
    }

    /// The kind of a flow that has a slot for each direction.
    #[inline(always)]
    pub fn directed(interface: u32, protocol: u8, direction: Direction) -> u64 {
        of(interface, protocol) | (direction as u64) << 8
    }

    /// Index of the interface.
    pub fn interface(kind: u64) -> u32 {
        (kind >> 32) as u32
    }

    /// IP protocol number.
    pub fn protocol(kind: u64) -> u8 {
        kind as u8
    }

    /// The direction of a slot that has one.
    pub fn direction(kind: u64) -> Direction {
        match kind >> 8 & 1 {
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
    /// [`ports`] of the last packet. One with the same changes neither [`Self::first_ports`] nor
    /// [`kind::OTHERS`].
    pub last_ports: u32,
    /// Up to a cache line.
    pub spare: u32,
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

/// Up to eight flows whose hashes choose this bucket. Each entry is 15 bits of the hash ([`tag`]) and the
/// number of the slot; 0 is free. The search starts at an entry that the hash chooses, and wraps.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// See [`tag`] and [`slot_of`].
    pub flows: [u32; BUCKET_FLOWS],
}

/// What a hash is known by in its bucket: never 0.
#[inline(always)]
pub fn tag(hash: u32) -> u32 {
    hash & 0xffff_0000 | 0x1_0000
}

/// The entry of a bucket at which the search for a [`tag`] begins.
#[inline(always)]
pub fn start(tag: u32) -> usize {
    const { assert!(BUCKET_FLOWS == 1 << 3) }
    (tag >> (32 - 3)) as usize
}

/// The number of a slot, where the flow of a bucket has this tag.
#[inline(always)]
pub fn slot_of(flow: u32, tag: u32) -> Option<u32> {
    let slot = flow ^ tag;
    (slot < MOST_SLOTS).then_some(slot)
}

/// Who holds how many slots of a part of one family.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// All slots that are taken, from the first on.
    pub used: u32,
    /// Always 0.
    pub pad: u32,
    /// Those of an interface, by the lowest bits of its index. Who shares a row shares what one
    /// may take of the table; what of the hash map behind it is each interface's own.
    pub rows: [u32; CLAIM_ROWS],
}

impl Claims {
    /// Takes the next of `slots` for an interface, and tells its number: as long as the interface has
    /// fewer than are free. So one alone gets half of them, and one that has none always gets one
    /// while there is any.
    #[inline(always)]
    pub fn take(&mut self, interface: u32, slots: u32) -> Option<u32> {
        let slot = self.used;
        let row = &mut self.rows[interface as usize % CLAIM_ROWS];
        if *row >= slots.saturating_sub(slot) {
            return None;
        }
        *row += 1;
        self.used += 1;
        Some(slot)
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

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use super::*;

    #[test]
    fn a_slot_is_a_cache_line() {
        assert_eq!(size_of::<Slot4>(), 64);
        assert_eq!(size_of::<Slot6>(), 64);
        assert_eq!(size_of::<Bucket>(), 32);
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
    fn a_bucket_leads_to_the_slots_of_a_hash() {
        for (hash, other) in [(0, 0x2_0000), (0xffff_1234, 0xfffc_1234)] {
            for slot in [0, 1, MOST_SLOTS - 1] {
                let flow = tag(hash) | slot;
                assert_ne!(flow, 0);
                assert_eq!(slot_of(flow, tag(hash)), Some(slot));
                assert_eq!(slot_of(flow, tag(other)), None);
            }
            assert_eq!(slot_of(0, tag(hash)), None);
        }
    }

    #[test]
    fn nobody_takes_what_others_need() {
        let mut claims = Claims {
            used: 0,
            pad: 0,
            rows: [0; CLAIM_ROWS],
        };
        let greedy = (0..100).filter(|_| claims.take(7, 64).is_some()).count();
        assert_eq!(greedy, 32);
        let second = (0..100).filter(|_| claims.take(8, 64).is_some()).count();
        assert_eq!(second, 16);
        assert_eq!(claims.take(9, 64), Some(48));
        assert_eq!(claims.take(7, 64), None);
        // Without tables, as on a kernel with PREEMPT_RT.
        assert_eq!(claims.take(10, 0), None);
    }
}
