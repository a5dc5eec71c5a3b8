//! Every metric of the agent in one table: `/metrics` describes itself with it, and
//! `docs/metrics.md` is written from it.

/// What is fixed about a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name of its samples in Prometheus text; a histogram's without the suffixes.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Names of its labels, in the order in which they are written.
    pub labels: &'static [&'static str],
    /// One sentence without its full stop, free of characters that need escaping.
    pub help: &'static str,
    /// Whether users may build on it.
    pub stability: Stability,
}

impl Metric {
    /// The OpenMetrics family: a counter's name without `_total`.
    pub fn family(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        }
    }

    /// The unit, where the family's name ends in a base unit.
    pub fn unit(&self) -> Option<&'static str> {
        let (_, last) = self.family().rsplit_once('_')?;
        ["bytes", "seconds"].into_iter().find(|unit| *unit == last)
    }
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up while the process runs.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
}

impl Kind {
    /// As a TYPE line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// How much users may build on a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// Name, labels and meaning stay within a major version.
    Stable,
    /// May change in any version.
    Unstable,
}

impl Stability {
    /// As the reference has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Unstable => "unstable",
        }
    }
}

macro_rules! catalogue {
    ($($constant:ident = $stability:ident $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help, ".")]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
                stability: Stability::$stability,
            };
        )+

        /// Every metric, in the order of `/metrics`.
        pub const ALL: &[Metric] = &[$($constant),+];
    };
}

catalogue! {
    POD_BYTES = Stable Counter "zonemeter_pod_bytes_total"
        ["namespace", "pod", "zone", "direction", "scope", "peer_zone", "via"]
        "Layer-3 bytes on the wire from (transmit) or to (receive) a pod of this node, by what lies between it and its peer";
    POD_PACKETS = Stable Counter "zonemeter_pod_packets_total"
        ["namespace", "pod", "zone", "direction", "scope", "peer_zone", "via"]
        "Packets on the wire from (transmit) or to (receive) a pod of this node, by what lies between it and its peer";
    WORKLOAD_BYTES = Stable Counter "zonemeter_workload_bytes_total"
        ["namespace", "workload", "workload_kind", "zone", "direction", "scope",
         "peer_namespace", "peer_workload", "peer_workload_kind", "peer_zone",
         "via"]
        "Layer-3 bytes on the wire between a workload's pods on this node and a peer workload, node or network";
    HOST_BYTES = Stable Counter "zonemeter_host_bytes_total"
        ["kind", "namespace", "pod", "workload", "workload_kind", "zone", "direction", "scope",
         "peer_namespace", "peer_workload", "peer_workload_kind", "peer_zone", "via"]
        "Layer-3 bytes on the wire that this node's own sockets sent and received by an uplink: pods of the host's network, host processes by their systemd unit, and what the kernel sent by itself";
    HOST_PACKETS = Stable Counter "zonemeter_host_packets_total"
        ["kind", "namespace", "pod", "workload", "workload_kind", "zone", "direction", "scope",
         "peer_namespace", "peer_workload", "peer_workload_kind", "peer_zone", "via"]
        "Packets on the wire that this node's own sockets sent and received by an uplink";
    UPLINK_BYTES = Stable Counter "zonemeter_uplink_bytes_total" ["direction", "class"]
        "All layer-3 bytes on the node's uplinks by whose they are, counted apart from the flows; received as kernel is what no pod, socket or relay received";
    UPLINK_PACKETS = Stable Counter "zonemeter_uplink_packets_total" ["direction", "class"]
        "All IP packets on the node's uplinks by whose they are, counted apart from the flows";
    HOST_RETIRED_BYTES = Stable Counter "zonemeter_host_retired_bytes_total" ["direction"]
        "Last values in bytes of host series that are no longer exposed: for sums, not for rate()";
    HOST_RETIRED_PACKETS = Stable Counter "zonemeter_host_retired_packets_total" ["direction"]
        "Last values in packets of host series that are no longer exposed: for sums, not for rate()";
    INTERFACE_BYTES = Stable Counter "zonemeter_interface_bytes_total" ["direction"]
        "All layer-3 bytes seen on the interfaces of pods, counted apart from the flows";
    INTERFACE_PACKETS = Stable Counter "zonemeter_interface_packets_total" ["direction"]
        "All IP packets seen on the interfaces of pods, counted apart from the flows";
    UNATTRIBUTED_BYTES = Stable Counter "zonemeter_unattributed_bytes_total" ["direction", "reason"]
        "Layer-3 bytes that could not be attributed to a pod, by reason";
    UNATTRIBUTED_PACKETS = Stable Counter "zonemeter_unattributed_packets_total" ["direction", "reason"]
        "Packets that could not be attributed to a pod, by reason";
    FLOW_OVERFLOW_BYTES = Stable Counter "zonemeter_flow_overflow_bytes_total" ["direction"]
        "Layer-3 bytes that found no room in the flow map since the agent started: in the pod family with scope unknown, so not a part of the sums by itself";
    FLOW_OVERFLOW_PACKETS = Stable Counter "zonemeter_flow_overflow_packets_total" ["direction"]
        "Packets that found no room in the flow map since the agent started: in the pod family with scope unknown, so not a part of the sums by itself";
    PENDING_BYTES = Stable Gauge "zonemeter_pending_bytes" ["direction"]
        "Layer-3 bytes drained and held back because the name of a pod or a peer is still awaited";
    PENDING_PACKETS = Stable Gauge "zonemeter_pending_packets" ["direction"]
        "Packets drained and held back because the name of a pod or a peer is still awaited";
    RETIRED_BYTES = Stable Counter "zonemeter_retired_bytes_total" ["direction"]
        "Last values in bytes of pod series that are no longer exposed: for sums, not for rate()";
    RETIRED_PACKETS = Stable Counter "zonemeter_retired_packets_total" ["direction"]
        "Last values in packets of pod series that are no longer exposed: for sums, not for rate()";
    BEFORE_ATTACH_BYTES = Stable Counter "zonemeter_before_attach_bytes_total" ["direction"]
        "Bytes that interfaces of pods carried before counting began, by their own counters: in no other metric";
    BEFORE_ATTACH_PACKETS = Stable Counter "zonemeter_before_attach_packets_total" ["direction"]
        "Packets that interfaces of pods carried before counting began, by their own counters: in no other metric";
    ZONE_INFO = Stable Gauge "zonemeter_zone_info" ["node", "zone", "zone_id"]
        "Zone of this agent's node, always 1";
    SERIES_FOLDED = Stable Counter "zonemeter_series_folded_total" []
        "Increments that went to a series named other because the ceiling of series was reached";
    RECONCILIATION_ERRORS = Stable Counter "zonemeter_reconciliation_errors_total" []
        "Drains where the sum of the flows differs from the interface total";
    SERVICE_BYTES = Stable Counter "zonemeter_service_bytes_total" ["method"]
        "Bytes to and from Service addresses by the method that named the backend";
    SERVICE_PACKETS = Stable Counter "zonemeter_service_packets_total" ["method"]
        "Packets to and from Service addresses by the method that named the backend";
    CLUSTER_OBJECTS = Stable Gauge "zonemeter_cluster_objects" ["kind"]
        "Kubernetes objects known to the agent";
    BUILD_INFO = Stable Gauge "zonemeter_build_info" ["version", "revision"]
        "Version of the agent and revision of its source, always 1";
    READY = Stable Gauge "zonemeter_ready" []
        "1 when /readyz answers 200, else 0";
    CONDITION = Stable Gauge "zonemeter_condition" ["condition"]
        "1 while what the agent needs to count and name everything holds, 0 while it does not, holds in part or is not known yet; /readyz has the reason";
    UNCOUNTED_PODS = Stable Gauge "zonemeter_uncounted_pods" []
        "Pods of this node with an address and no interface that is counted: their bytes are in no metric";
    FLOWS = Stable Gauge "zonemeter_flows" []
        "Flows in the last drain of the kernel's maps";
    FLOW_CAPACITY = Stable Gauge "zonemeter_flow_capacity" []
        "Flows that the kernel's maps hold between two drains";
    MAP_MEMORY = Stable Gauge "zonemeter_map_memory_bytes" []
        "Kernel memory that the agent's maps take, all of it from the start";
    DRAIN_DURATION = Stable Histogram "zonemeter_drain_duration_seconds" []
        "Time from the switch to the other set of maps until the new snapshot";
    LAST_DRAIN = Stable Gauge "zonemeter_last_drain_timestamp_seconds" []
        "When the last drain ended, as Unix time; 0 before the first";
    INTERFACES = Stable Gauge "zonemeter_interfaces" ["mode"]
        "Interfaces of pods that are counted now, by the way the programs are attached";
    SHADOWED = Stable Gauge "zonemeter_shadowed_interfaces" []
        "Interfaces of pods where another program may take packets before they are counted";
    REATTACHMENTS = Stable Counter "zonemeter_reattachments_total" []
        "Times the agent re-attached its program at the head of a hook, after another program came first or its own was detached";
    ATTACH_FAILURES = Stable Counter "zonemeter_attach_failures_total" []
        "Failed attempts to attach to an interface, or to take an earlier agent's program off one that is not counted any more";
    MISSED_BYTES = Stable Counter "zonemeter_missed_bytes_total" ["reason"]
        "Bytes that interfaces of pods carried by their own counters while the agent had no program there through its own doing or delay: in no traffic metric, and at most so many missed, by reason";
    SKIPPED_PACKETS = Stable Counter "zonemeter_skipped_packets_total" ["reason"]
        "Packets on interfaces of pods that are no IP traffic or cannot be read: in no traffic metric, but for extension_depth (IPv6 packets with more extension headers than are walked), which are counted without ports";
    SKIPPED_BYTES = Stable Counter "zonemeter_skipped_bytes_total" ["reason"]
        "Frame bytes, Ethernet header included, of the skipped packets";
    UPLINKS = Stable Gauge "zonemeter_uplinks" []
        "Interfaces by which packets leave the node and that are counted now";
    HOST_CGROUPS = Stable Gauge "zonemeter_host_cgroups" ["state"]
        "Cgroups to which the program is linked that counts what the node's own sockets receive, and those where that failed";
    UPLINK_SKIPPED_PACKETS = Stable Counter "zonemeter_uplink_skipped_packets_total" ["reason"]
        "Packets on uplinks that are no IP traffic or cannot be read: in no traffic metric";
    BACKEND_METHOD_ENABLED = Stable Gauge "zonemeter_backend_method_enabled" ["method"]
        "1 while this way to find the backend of a Service is in use; 0 where --name-backends-by leaves it out or the kernel does not describe its types (BTF)";
    CONNTRACK_LOOKUPS = Stable Counter "zonemeter_conntrack_lookups_total" ["result"]
        "Conntrack table lookups: answered, failed, or not made because a drain had more than its limit";
    WATCH_ERRORS = Stable Counter "zonemeter_cluster_watch_errors_total" ["kind"]
        "Failed reads of Kubernetes objects, from the API or the cluster file";
    UNREAD_FIELDS = Stable Counter "zonemeter_cluster_unread_fields_total" ["kind"]
        "Fields of Kubernetes objects that could not be read and were passed over, by kind of the object; the log names each";
    CLUSTER_MISSING_SINCE = Stable Gauge "zonemeter_cluster_missing_since_timestamp_seconds" ["part"]
        "Since when this part of the cluster cannot be read or was not read yet, as Unix time; 0 while it can";
    RELOAD_FAILURES = Stable Counter "zonemeter_config_reload_failures_total" ["file"]
        "Changed files that could not be used; the last good contents stay in force";
    STATE_WRITTEN_BYTES = Stable Counter "zonemeter_state_written_bytes_total" []
        "Bytes written to the state directory";
    STATE_WRITE_FAILURES = Stable Counter "zonemeter_state_write_failures_total" []
        "Failed attempts to keep the totals in the state directory: what was counted since the last good one would not survive the process";
    STATE_REFUSED = Stable Gauge "zonemeter_state_refused" []
        "1 when the kept totals could not be used at the start, were set aside, and counters began at 0";
    HTTP_REFUSED = Stable Counter "zonemeter_http_refused_total" ["reason"]
        "Connections and requests refused (503, 403), or closed while idle to make room for others, by reason";
    PROCESS_CPU = Stable Counter "process_cpu_seconds_total" []
        "User and system CPU time of the agent in seconds";
    PROCESS_RESIDENT = Stable Gauge "process_resident_memory_bytes" []
        "Resident memory of the agent in bytes";
    PROCESS_VIRTUAL = Stable Gauge "process_virtual_memory_bytes" []
        "Virtual memory of the agent in bytes";
    PROCESS_OPEN_FDS = Stable Gauge "process_open_fds" []
        "Open file descriptors of the agent";
    PROCESS_MAX_FDS = Stable Gauge "process_max_fds" []
        "Most file descriptors that the agent may open";
    PROCESS_START = Stable Gauge "process_start_time_seconds" []
        "When the agent started, as Unix time in seconds";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_help_are_unique_and_need_no_escaping() {
        let names: BTreeSet<_> = ALL.iter().map(Metric::family).collect();
        let helps: BTreeSet<_> = ALL.iter().map(|metric| metric.help).collect();
        assert_eq!((names.len(), helps.len()), (ALL.len(), ALL.len()));
        for Metric { name, help, .. } in ALL {
            assert!(
                !help.contains(['\\', '"', '\n']) && !help.ends_with('.'),
                "{name}"
            );
        }
    }

    #[test]
    fn names_follow_the_kind() {
        for Metric { name, kind, .. } in ALL {
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        }
        assert_eq!(POD_BYTES.family(), "zonemeter_pod_bytes");
        assert_eq!(POD_BYTES.unit(), Some("bytes"));
        assert_eq!(PROCESS_CPU.unit(), Some("seconds"));
        assert_eq!(POD_PACKETS.unit(), None);
    }
}
