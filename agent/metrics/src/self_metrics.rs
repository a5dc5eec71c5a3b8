//! What the agent says about itself. The wiring holds a [`SelfMetrics`] and reports
//! through it; `/metrics` reads it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use zonemeter_model::{
    cluster,
    condition::Condition,
    traffic::{AttachMode, BackendMethod, Missed, SkipReason},
};

pub use self::values::{ConfigFile, Refused};
use self::{
    datapath::CGROUP_STATES,
    numbers::{ByLabel, Histogram, Number, Samples, Timestamp},
};
use super::{catalogue as metric, catalogue::Metric, exposition::Exposition};

mod datapath;
mod numbers;
mod values;

/// The agent's numbers about itself. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct SelfMetrics {
    numbers: Arc<Numbers>,
}

#[derive(Debug)]
struct Numbers {
    ready: Number,
    conditions: ByLabel<Number>,
    uncounted_pods: Number,
    flows: Number,
    flow_capacity: Number,
    map_memory: Number,
    drain_duration: Histogram<12>,
    last_drain: Timestamp,
    interfaces: ByLabel<Number>,
    shadowed: Number,
    moves: Number,
    attach_failures: Number,
    missed: ByLabel<Number>,
    skipped_packets: ByLabel<Number>,
    skipped_bytes: ByLabel<Number>,
    uplinks: Number,
    host_cgroups: ByLabel<Number>,
    uplink_skipped: ByLabel<Number>,
    backend_methods: ByLabel<Number>,
    conntrack_lookups: ByLabel<Number>,
    watch_errors: ByLabel<Number>,
    unread_fields: ByLabel<Number>,
    cluster_missing_since: ByLabel<Timestamp>,
    reload_failures: ByLabel<Number>,
    state_written: Number,
    state_write_failures: Number,
    state_refused: Number,
    http_refused: ByLabel<Number>,
}

/// Seconds; a drain of 10,000 flows takes some milliseconds, one that takes longer than the
/// usual interval of 5 s is in trouble.
const DRAIN_BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// What may come of a question to the connection table.
const LOOKUPS: [&str; 3] = ["answered", "failed", "over_limit"];

impl SelfMetrics {
    /// What was set last.
    pub fn uncounted_pods(&self) -> u64 {
        self.numbers.uncounted_pods.get()
    }

    /// Flows in the last drain.
    pub fn set_flows(&self, flows: u64) {
        self.numbers.flows.set(flows);
    }

    /// Flows that fit into the kernel's maps, and the bytes that all maps take.
    pub fn set_map_capacity(&self, flows: u64, bytes: u64) {
        self.numbers.flow_capacity.set(flows);
        self.numbers.map_memory.set(bytes);
    }

    /// A drain took this long, from the switch of the sets to the new snapshot, and ended at `ended`.
    pub fn drained(&self, took: Duration, ended: SystemTime) {
        self.numbers.drain_duration.observe(took.as_secs_f64());
        self.numbers.last_drain.set(ended);
    }

    /// Interfaces that are counted now in this mode.
    pub fn set_interfaces(&self, mode: AttachMode, interfaces: u64) {
        self.numbers.interfaces.set(mode.name(), interfaces);
    }

    /// Interfaces where another program may take packets first.
    pub fn set_shadowed_interfaces(&self, interfaces: u64) {
        self.numbers.shadowed.set(interfaces);
    }

    /// Programs were put in front again.
    pub fn moved_to_front(&self, programs: u64) {
        self.numbers.moves.add(programs);
    }

    /// Attempts to attach failed.
    pub fn attach_failed(&self, attempts: u64) {
        self.numbers.attach_failures.add(attempts);
    }

    /// So many bytes passed an interface uncounted.
    pub fn missed(&self, reason: Missed, bytes: u64) {
        self.numbers.missed.add(reason.name(), bytes);
    }

    /// Whether backends are found in this way.
    pub fn set_backend_method(&self, method: BackendMethod, enabled: bool) {
        self.numbers
            .backend_methods
            .set(method.name(), enabled.into());
    }

    /// Lookups in the connection table so far: answered, failed, and not made because a drain had
    /// more than its limit. Totals.
    pub fn set_conntrack_lookups(&self, totals: [u64; 3]) {
        for (result, total) in LOOKUPS.into_iter().zip(totals) {
            self.numbers.conntrack_lookups.set(result, total);
        }
    }

    /// How often objects of this kind could not be read so far: a total, not a difference.
    pub fn set_watch_errors(&self, kind: cluster::Kind, total: u64) {
        self.numbers.watch_errors.set(kind.name(), total);
    }

    /// How many fields of objects of this kind could not be read so far: a total.
    pub fn set_unread_fields(&self, kind: cluster::Kind, total: u64) {
        self.numbers.unread_fields.set(kind.name(), total);
    }

    /// Since when this part of the cluster's feed is missing; `None` while it is there.
    pub fn set_cluster_missing_since(&self, part: &str, since: Option<SystemTime>) {
        if let Some(gauge) = self.numbers.cluster_missing_since.get(part) {
            gauge.set(since.unwrap_or(UNIX_EPOCH));
        }
    }

    /// The changed file could not be used.
    pub fn reload_failed(&self, file: ConfigFile) {
        self.numbers.reload_failures.add(file.name(), 1);
    }

    /// How many contents of this file could not be used so far: a total, not a difference.
    pub fn set_reload_failures(&self, file: ConfigFile, total: u64) {
        self.numbers.reload_failures.set(file.name(), total);
    }

    /// So many bytes went to the state directory.
    pub fn state_written(&self, bytes: u64) {
        self.numbers.state_written.add(bytes);
    }

    /// The totals could not be kept this time.
    pub fn state_write_failed(&self) {
        self.numbers.state_write_failures.add(1);
    }

    /// The totals of an earlier process could not be used.
    pub fn set_state_refused(&self) {
        self.numbers.state_refused.set(1);
    }

    /// A connection or a request over HTTP was refused.
    pub fn refused(&self, reason: Refused) {
        self.numbers.http_refused.add(reason.name(), 1);
    }

    /// Writes all of them, in the order of the catalogue.
    pub(super) fn write(&self, body: &mut Exposition, ready: bool, holds: &[(Condition, bool)]) {
        self.numbers.ready.set(ready.into());
        for (condition, holds) in holds {
            let conditions = &self.numbers.conditions;
            conditions.set(condition.name(), (*holds).into());
        }
        let revision = option_env!("ZONEMETER_REVISION").unwrap_or_default();
        body.family(&metric::BUILD_INFO)
            .sample(&[env!("CARGO_PKG_VERSION"), revision], 1);
        for (metric, samples) in self.numbers.in_order() {
            samples.write(&mut body.family(metric));
        }
    }
}

impl Default for Numbers {
    fn default() -> Self {
        let kinds = cluster::Kind::ALL.map(cluster::Kind::name);
        let reasons = SkipReason::ALL.map(SkipReason::name);
        Self {
            ready: Number::default(),
            conditions: ByLabel::new(Condition::ALL.map(Condition::name)),
            uncounted_pods: Number::default(),
            flows: Number::default(),
            flow_capacity: Number::default(),
            map_memory: Number::default(),
            drain_duration: Histogram::new(DRAIN_BUCKETS),
            last_drain: Timestamp::default(),
            interfaces: ByLabel::new(AttachMode::ALL.map(AttachMode::name)),
            shadowed: Number::default(),
            moves: Number::default(),
            attach_failures: Number::default(),
            missed: ByLabel::new(Missed::ALL.map(Missed::name)),
            skipped_packets: ByLabel::new(reasons),
            skipped_bytes: ByLabel::new(reasons),
            uplinks: Number::default(),
            host_cgroups: ByLabel::new(CGROUP_STATES),
            uplink_skipped: ByLabel::new(reasons),
            backend_methods: ByLabel::new(BackendMethod::WAYS.map(BackendMethod::name)),
            conntrack_lookups: ByLabel::new(LOOKUPS),
            watch_errors: ByLabel::new(kinds),
            unread_fields: ByLabel::new(kinds),
            cluster_missing_since: ByLabel::new(cluster::part::ALL),
            reload_failures: ByLabel::new(ConfigFile::ALL.map(ConfigFile::name)),
            state_written: Number::default(),
            state_write_failures: Number::default(),
            state_refused: Number::default(),
            http_refused: ByLabel::new(Refused::ALL.map(Refused::name)),
        }
    }
}

impl Numbers {
    /// All of them but the constant one, in the order of the catalogue.
    fn in_order(&self) -> [(&'static Metric, &dyn Samples); 28] {
        [
            (&metric::READY, &self.ready),
            (&metric::CONDITION, &self.conditions),
            (&metric::UNCOUNTED_PODS, &self.uncounted_pods),
            (&metric::FLOWS, &self.flows),
            (&metric::FLOW_CAPACITY, &self.flow_capacity),
            (&metric::MAP_MEMORY, &self.map_memory),
            (&metric::DRAIN_DURATION, &self.drain_duration),
            (&metric::LAST_DRAIN, &self.last_drain),
            (&metric::INTERFACES, &self.interfaces),
            (&metric::SHADOWED, &self.shadowed),
            (&metric::REATTACHMENTS, &self.moves),
            (&metric::ATTACH_FAILURES, &self.attach_failures),
            (&metric::MISSED_BYTES, &self.missed),
            (&metric::SKIPPED_PACKETS, &self.skipped_packets),
            (&metric::SKIPPED_BYTES, &self.skipped_bytes),
            (&metric::UPLINKS, &self.uplinks),
            (&metric::HOST_CGROUPS, &self.host_cgroups),
            (&metric::UPLINK_SKIPPED_PACKETS, &self.uplink_skipped),
            (&metric::BACKEND_METHOD_ENABLED, &self.backend_methods),
            (&metric::CONNTRACK_LOOKUPS, &self.conntrack_lookups),
            (&metric::WATCH_ERRORS, &self.watch_errors),
            (&metric::UNREAD_FIELDS, &self.unread_fields),
            (&metric::CLUSTER_MISSING_SINCE, &self.cluster_missing_since),
            (&metric::RELOAD_FAILURES, &self.reload_failures),
            (&metric::STATE_WRITTEN_BYTES, &self.state_written),
            (&metric::STATE_WRITE_FAILURES, &self.state_write_failures),
            (&metric::STATE_REFUSED, &self.state_refused),
            (&metric::HTTP_REFUSED, &self.http_refused),
        ]
    }
}
