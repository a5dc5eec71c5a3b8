//! Names by which the loader finds maps, programs and globals in the object file.

/// Version of every layout in this crate; part of the pin path.
pub const LAYOUT: u32 = 2;

/// Program on tc ingress of the host-side veth: packets from the pod.
pub const PROGRAM_TRANSMIT: &str = "zonemeter_tx";
/// Program on tc egress of the host-side veth: packets to the pod.
pub const PROGRAM_RECEIVE: &str = "zonemeter_rx";

/// One [`crate::Control`].
pub const MAP_CONTROL: &str = "CONTROL";
/// IPv4 flows, one map for each set.
pub const MAP_FLOWS4: [&str; 2] = ["FLOWS4_0", "FLOWS4_1"];
/// IPv6 flows, one map for each set.
pub const MAP_FLOWS6: [&str; 2] = ["FLOWS6_0", "FLOWS6_1"];
/// One [`crate::Totals`], one map for each set.
pub const MAP_TOTALS: [&str; 2] = ["TOTALS_0", "TOTALS_1"];
/// What found no room in a flow map, by [`crate::OverflowKey`], one map for each set.
pub const MAP_OVERFLOW: [&str; 2] = ["OVERFLOW_0", "OVERFLOW_1"];
/// [`crate::conntrack::Tracked`] of IPv4 flows to translated addresses, one map for each set.
pub const MAP_TRACKED4: [&str; 2] = ["TRACKED4_0", "TRACKED4_1"];
/// [`crate::conntrack::Tracked`] of IPv6 flows to translated addresses, one map for each set.
pub const MAP_TRACKED6: [&str; 2] = ["TRACKED6_0", "TRACKED6_1"];
/// IPv4 addresses whose other end conntrack must name.
pub const MAP_TRANSLATED4: &str = "TRANSLATED4";
/// IPv6 addresses whose other end conntrack must name.
pub const MAP_TRANSLATED6: &str = "TRANSLATED6";
/// One [`crate::conntrack::Filter`] in front of both.
pub const MAP_FILTER: &str = "FILTER";
/// Skipped packets and frame bytes by [`crate::SkipReason`], cumulative.
pub const MAP_SKIPPED: &str = "SKIPPED";

/// Global: 1 folds a connection's ephemeral port to 0, 0 keeps both ports.
pub const GLOBAL_FOLD_PORTS: &str = "FOLD_PORTS";
/// Global: [`crate::conntrack::ConntrackOffsets`].
pub const GLOBAL_CONNTRACK: &str = "CONNTRACK";
/// Global: lowest and highest ephemeral port (`net.ipv4.ip_local_port_range`), as two `u16`.
pub const GLOBAL_EPHEMERAL_PORTS: &str = "EPHEMERAL_PORTS";
