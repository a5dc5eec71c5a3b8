//! Totals by direction, kept apart from the flow maps so that the sums can be checked.

use crate::{Class, Count, Direction};

/// What one CPU saw on all interfaces since the set was last drained.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All IP traffic of pods, by [`Direction`] code.
    pub seen: [Count; 2],
    /// The part of `seen` that pods received and that had come in by an uplink; in the same cache
    /// line.
    pub from_uplinks: Count,
    /// The part of `seen` that found no room in the tables, in the flow map nor by interface, by
    /// [`Direction`] code.
    pub unplaced: [Count; 2],
    /// All IP traffic that left by an uplink, by [`Class`] code.
    pub sent: [Count; 4],
    /// What sockets of the node received by an uplink.
    pub host_received: Count,
    /// What found no room in the flow map of the node's own sockets, by [`Direction`] code: a part
    /// of `sent` and of `host_received`.
    pub host_unplaced: [Count; 2],
}

impl Totals {
    /// All IP traffic of pods in one direction.
    pub fn seen(&self, direction: Direction) -> Count {
        self.seen[direction as usize]
    }

    /// The traffic of pods in one direction that neither map had room for.
    pub fn unplaced(&self, direction: Direction) -> Count {
        self.unplaced[direction as usize]
    }

    /// What left by an uplink and is of this class.
    pub fn sent(&self, class: Class) -> Count {
        self.sent[class as usize]
    }
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use super::*;

    #[test]
    fn totals_have_no_hidden_padding() {
        assert_eq!(size_of::<Totals>(), (2 + 1 + 2 + 4 + 1 + 2) * 16);
    }
}
