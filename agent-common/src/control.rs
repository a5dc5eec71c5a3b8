//! What the agent tells the kernel programs while they run.

use crate::Count;

/// The single entry of the control map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Number of the drain under way; its lowest bit names the set of maps that programs write
    /// to. Only the agent writes it, and only upwards.
    pub epoch: u64,
    /// A number that tells this set of maps from any other, over restarts; 0 until the first
    /// process has given it one.
    pub instance: u64,
    /// What had come in by uplinks when the epoch before this one began, and when this one did: the
    /// difference is that epoch's, however often it is read.
    pub received: [Count; 2],
}

impl Control {
    /// Before the first drain.
    pub const NONE: Self = Self {
        epoch: 0,
        instance: 0,
        received: [Count::ZERO; 2],
    };

    /// The set, 0 or 1, that programs write to.
    #[inline(always)]
    pub fn active_set(&self) -> usize {
        (self.epoch & 1) as usize
    }
}
