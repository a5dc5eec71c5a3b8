//! What the programs have skipped, where those of the node itself are, and where none are.

use zonemeter_model::traffic::{Count, SkipReason};

use super::SelfMetrics;

/// What may come of linking to a cgroup.
pub(super) const CGROUP_STATES: [&str; 2] = ["linked", "failed"];

impl SelfMetrics {
    /// Pods of this node with an address and no interface that is counted.
    pub fn set_uncounted_pods(&self, pods: u64) {
        self.numbers.uncounted_pods.set(pods);
    }

    /// What the kernel has skipped for this reason so far: a total, not a difference. Bytes are
    /// those of frames.
    pub fn set_skipped(&self, reason: SkipReason, total: Count) {
        let numbers = &self.numbers;
        for (family, value) in [
            (&numbers.skipped_packets, total.packets),
            (&numbers.skipped_bytes, total.bytes),
        ] {
            family.set(reason.name(), value);
        }
    }

    /// Uplinks that are counted now.
    pub fn set_uplinks(&self, uplinks: u64) {
        self.numbers.uplinks.set(uplinks);
    }

    /// Cgroups that are linked, and those that could not be.
    pub fn set_host_cgroups(&self, linked: usize, failed: usize) {
        for (state, cgroups) in CGROUP_STATES.into_iter().zip([linked, failed]) {
            self.numbers.host_cgroups.set(state, cgroups as u64);
        }
    }

    /// What the kernel has skipped on uplinks for this reason so far: a total, not a difference.
    pub fn set_uplink_skipped(&self, reason: SkipReason, total: Count) {
        self.numbers
            .uplink_skipped
            .set(reason.name(), total.packets);
    }
}
