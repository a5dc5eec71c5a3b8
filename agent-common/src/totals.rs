//! Totals by direction, kept apart from the flow maps so that the sums can be checked.

use crate::{Count, Direction};

/// What one CPU saw on all interfaces since the set was last drained.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All IP traffic, by [`Direction`] code.
    pub seen: [Count; 2],
    /// The part of `seen` that found no room in the flow map nor in the overflow map, by
    /// [`Direction`] code.
    pub unplaced: [Count; 2],
}

impl Totals {
    /// All IP traffic in one direction.
    pub fn seen(&self, direction: Direction) -> Count {
        self.seen[direction as usize]
    }

    /// The traffic in one direction that neither map had room for.
    pub fn unplaced(&self, direction: Direction) -> Count {
        self.unplaced[direction as usize]
    }
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use super::*;

    #[test]
    fn totals_have_no_hidden_padding() {
        assert_eq!(size_of::<Totals>(), 4 * 16);
    }
}
