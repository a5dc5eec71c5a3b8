//! Per-interface counters, kept apart from the flow maps so that the sums can be checked.

use crate::{Count, Direction};

/// Index of a host-side veth: the key of the interface maps.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceKey {
    /// `ifindex` in the node's network namespace.
    pub index: u32,
}

/// What one CPU saw on one interface since the set was last drained.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounters {
    /// All IP traffic, by [`Direction`] code.
    pub seen: [Count; 2],
    /// The part of `seen` that found no room in the flow map, by [`Direction`] code.
    pub overflow: [Count; 2],
}

impl InterfaceCounters {
    /// All IP traffic in one direction.
    pub fn seen(&self, direction: Direction) -> Count {
        self.seen[direction as usize]
    }

    /// The traffic in one direction that the flow map had no room for.
    pub fn overflow(&self, direction: Direction) -> Count {
        self.overflow[direction as usize]
    }
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use super::*;

    #[test]
    fn counters_have_no_hidden_padding() {
        assert_eq!(size_of::<InterfaceCounters>(), 4 * 16);
        assert_eq!(size_of::<InterfaceKey>(), 4);
    }
}
