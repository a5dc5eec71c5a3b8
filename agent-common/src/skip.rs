//! Why a packet was not counted: every way has a name and a counter.

/// Index into the skip map, and the `reason` label under which the agent shows it.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// ARP: resolves the pod's gateway, never leaves the node.
    Arp = 0,
    /// Neither IPv4, IPv6 nor ARP.
    NotIp = 1,
    /// Says it is IP, but the header is cut short or its version or length is wrong.
    Malformed = 2,
    /// More than two VLAN tags in the frame.
    VlanDepth = 3,
    /// More IPv6 extension headers than are walked. Counted as traffic all the same: without
    /// ports, and where it is a super-packet without the headers that were not walked.
    ExtensionDepth = 4,
}

impl SkipReason {
    /// All reasons, in the order of their codes.
    pub const ALL: [Self; 5] = [
        Self::Arp,
        Self::NotIp,
        Self::Malformed,
        Self::VlanDepth,
        Self::ExtensionDepth,
    ];

    /// The `reason` label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::NotIp => "not_ip",
            Self::Malformed => "malformed",
            Self::VlanDepth => "vlan_depth",
            Self::ExtensionDepth => "extension_depth",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_positions_in_the_map() {
        for (position, reason) in SkipReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, position);
        }
    }
}
