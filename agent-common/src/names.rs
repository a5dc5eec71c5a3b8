//! Names by which the loader finds maps, programs and constants in the object file.

/// Version of every layout in this crate; part of the pin path.
pub const LAYOUT: u32 = 7;

/// Program on tc ingress of the host-side veth: packets from the pod.
pub const PROGRAM_TRANSMIT: &str = "zonemeter_tx";
/// Program on tc egress of the host-side veth: packets to the pod.
pub const PROGRAM_RECEIVE: &str = "zonemeter_rx";
/// Program on tc egress of an uplink: packets that leave the node.
pub const PROGRAM_UPLINK_TRANSMIT: &str = "zonemeter_uplink_tx";
/// Program on tc ingress of an uplink: packets that come to the node.
pub const PROGRAM_UPLINK_RECEIVE: &str = "zonemeter_uplink_rx";
/// Program on the ingress of cgroups: what the node's own sockets receive.
pub const PROGRAM_HOST_RECEIVE: &str = "zonemeter_host_rx";

/// One [`crate::Control`], [`GLOBAL_CONTROL`].
pub const MAP_CONTROL: &str = ".bss.CONTROL";
/// IPv4 flows by CPU and set: [`crate::table::Slot4`].
pub const MAP_TABLES4: &str = "TABLES4";
/// IPv6 flows by CPU and set: [`crate::table::Slot6`].
pub const MAP_TABLES6: &str = "TABLES6";
/// Where in the IPv4 tables a flow is: [`crate::table::Bucket`] by CPU and set.
pub const MAP_INDEX4: &str = "INDEX4";
/// Where in the IPv6 tables a flow is: [`crate::table::Bucket`] by CPU and set.
pub const MAP_INDEX6: &str = "INDEX6";
/// [`crate::table::Claims`] by CPU, set and family.
pub const MAP_CLAIMS: &str = "CLAIMS";
/// IPv4 flows that found no slot: [`crate::table::Entry`], one map for each set.
pub const MAP_FLOWS4: [&str; 2] = ["FLOWS4_0", "FLOWS4_1"];
/// IPv6 flows that found no slot: [`crate::table::Entry`], one map for each set.
pub const MAP_FLOWS6: [&str; 2] = ["FLOWS6_0", "FLOWS6_1"];
/// Entries of the flow maps that are taken, a `u64` by set and family.
pub const MAP_USED: &str = "USED";
/// [`crate::Totals`] by CPU and set.
pub const MAP_TOTALS: &str = "TOTALS";
/// [`crate::table::Share`] by the index of the interface, one map for each set.
pub const MAP_SHARES: [&str; 2] = ["SHARES_0", "SHARES_1"];
/// [`crate::conntrack::Tracked`] of IPv4 flows to translated addresses, one map for each set.
pub const MAP_TRACKED4: [&str; 2] = ["TRACKED4_0", "TRACKED4_1"];
/// [`crate::conntrack::Tracked`] of IPv6 flows to translated addresses, one map for each set.
pub const MAP_TRACKED6: [&str; 2] = ["TRACKED6_0", "TRACKED6_1"];
/// IPv4 flows of the node's own sockets, one map for each set.
pub const MAP_HOST4: [&str; 2] = ["HOST4_0", "HOST4_1"];
/// IPv6 flows of the node's own sockets, one map for each set.
pub const MAP_HOST6: [&str; 2] = ["HOST6_0", "HOST6_1"];
/// One [`crate::Uplinks`], [`GLOBAL_UPLINKS`].
pub const MAP_UPLINKS: &str = ".bss.UPLINKS";
/// Everything that came in by uplinks, cumulative: one [`crate::Count`].
pub const MAP_UPLINK_RECEIVED: &str = "UPLINK_RECEIVED";
/// Skipped packets and frame bytes of uplinks by [`crate::SkipReason`], cumulative.
pub const MAP_UPLINK_SKIPPED: &str = "UPLINK_SKIPPED";
/// One [`crate::conntrack::Filter`] of the addresses whose other end conntrack must name.
pub const MAP_FILTER: &str = ".bss.FILTER";
/// Skipped packets and frame bytes of pods by [`crate::SkipReason`], cumulative.
pub const MAP_SKIPPED: &str = "SKIPPED";

/// How the name of a section begins that holds one global: the loader makes an array map of one element
/// of it. Without this, it is the name of the map's pin.
pub const SECTION: &str = ".bss.";
/// Global: the value of [`MAP_CONTROL`].
pub const GLOBAL_CONTROL: &str = "CONTROL";
/// Global: the value of [`MAP_UPLINKS`].
pub const GLOBAL_UPLINKS: &str = "UPLINKS";
/// Global: one [`crate::Constants`].
pub const GLOBAL_CONSTANTS: &str = "CONSTANTS";
