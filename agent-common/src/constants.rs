//! What the agent tells the kernel programs once, when it loads them.

use crate::conntrack::ConntrackOffsets;

/// Values that the hash of an IPv6 flow is made of; IPv4 has fewer.
pub const SEEDS: usize = 5;

/// Values in the programs' read-only data. What most packets need stands first: a packet costs the less,
/// the fewer cache lines it needs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Constants {
    /// Slots that each CPU and set has of a table. 0 where there are no tables, as where a program may
    /// be interrupted by another on its CPU (PREEMPT_RT): then all additions are atomic.
    pub slots: u32,
    /// Buckets that each CPU and set has of an index: a power of two.
    pub buckets: u32,
    /// Lowest and highest ephemeral port (`net.ipv4.ip_local_port_range`).
    pub ephemeral_ports: [u16; 2],
    /// 1 folds a connection's ephemeral port to 0, 0 keeps both ports.
    pub fold_ports: u32,
    /// Random: what is added to the sum of the hash, and the odd factor that it is multiplied by.
    pub finish: [u64; 2],
    /// Random: one for each value that is hashed.
    pub seeds: [[u32; 2]; SEEDS],
    /// A socket whose cgroup has an id up to this one is the kernel's own. 1 is the root of cgroup
    /// v2, where no unit and no pod is; 0 where there is no cgroup v2, and every socket is in that
    /// root.
    pub kernel_cgroups: u64,
    /// Entries of each flow map.
    pub flow_entries: u32,
    /// Where the kernel keeps a packet's connection.
    pub conntrack: ConntrackOffsets,
}

#[cfg(test)]
mod tests {
    use core::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn constants_have_no_hidden_padding() {
        assert_eq!(size_of::<Constants>(), 4 * 4 + 8 * 2 + 8 * 5 + 8 + 4 + 12);
    }

    #[test]
    fn what_most_packets_need_fits_in_a_cache_line() {
        // The hash of IPv4 has two values.
        assert!(offset_of!(Constants, seeds) + 2 * 8 <= 64);
    }
}
