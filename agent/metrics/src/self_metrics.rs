//! What the agent says about itself. The wiring holds a [`SelfMetrics`] and reports
//! through it; `/metrics` reads it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, gauge, histogram::Histogram},
    registry::{self, Registry, Unit},
};
use zonemeter_model::{
    cluster,
    condition::Condition,
    traffic::{AttachMode, BackendMethod, Missed, SkipReason},
};

pub use self::values::{ConfigFile, Refused};
use self::{
    datapath::CGROUP_STATES,
    labelled::{Constant, Labelled},
};
use super::{catalogue as metric, catalogue::Metric, process::Process};

mod datapath;
mod labelled;
mod values;

/// The agent's numbers about itself. Clones share them.
#[derive(Clone, Debug)]
pub struct SelfMetrics {
    numbers: Numbers,
    registry: Arc<Registry>,
}

type Gauge = gauge::Gauge<u64, AtomicU64>;
type SecondsGauge = gauge::Gauge<f64, AtomicU64>;

/// Clones of these share their values with the registry's.
#[derive(Clone, Debug)]
struct Numbers {
    ready: Gauge,
    conditions: Labelled<Gauge>,
    uncounted_pods: Gauge,
    flows: Gauge,
    flow_capacity: Gauge,
    map_memory: Gauge,
    drain_duration: Histogram,
    last_drain: SecondsGauge,
    interfaces: Labelled<Gauge>,
    shadowed: Gauge,
    moves: Counter,
    attach_failures: Counter,
    missed: Labelled<Counter>,
    skipped_packets: Labelled<Counter>,
    skipped_bytes: Labelled<Counter>,
    uplinks: Gauge,
    host_cgroups: Labelled<Gauge>,
    uplink_skipped: Labelled<Counter>,
    backend_methods: Labelled<Gauge>,
    conntrack_lookups: Labelled<Counter>,
    translated_failures: Counter,
    watch_errors: Labelled<Counter>,
    unread_fields: Labelled<Counter>,
    cluster_missing_since: Labelled<SecondsGauge>,
    reload_failures: Labelled<Counter>,
    state_written: Counter,
    state_write_failures: Counter,
    state_refused: Gauge,
    http_refused: Labelled<Counter>,
}

/// Seconds; a drain of 10,000 flows takes some milliseconds, one that takes longer than the
/// usual interval of 5 s is in trouble.
const DRAIN_BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// What may come of a question to the connection table.
const LOOKUPS: [&str; 3] = ["answered", "failed", "over_limit"];

impl Default for SelfMetrics {
    fn default() -> Self {
        let numbers = Numbers::default();
        let registry = Arc::new(numbers.registry());
        Self { numbers, registry }
    }
}

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

    /// A drain took this long, from the flip to the new snapshot, and ended at `ended`.
    pub fn drained(&self, took: Duration, ended: SystemTime) {
        self.numbers.drain_duration.observe(took.as_secs_f64());
        let ended = ended.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.numbers.last_drain.set(ended.as_secs_f64());
    }

    /// Interfaces that are counted now in this mode.
    pub fn set_interfaces(&self, mode: AttachMode, interfaces: u64) {
        if let Some(gauge) = self.numbers.interfaces.get(mode.name()) {
            gauge.set(interfaces);
        }
    }

    /// Interfaces where another program may take packets first.
    pub fn set_shadowed_interfaces(&self, interfaces: u64) {
        self.numbers.shadowed.set(interfaces);
    }

    /// Programs were put in front again.
    pub fn moved_to_front(&self, programs: u64) {
        self.numbers.moves.inc_by(programs);
    }

    /// Attempts to attach failed.
    pub fn attach_failed(&self, attempts: u64) {
        self.numbers.attach_failures.inc_by(attempts);
    }

    /// So many bytes passed an interface uncounted.
    pub fn missed(&self, reason: Missed, bytes: u64) {
        if let Some(counter) = self.numbers.missed.get(reason.name()) {
            counter.inc_by(bytes);
        }
    }

    /// Whether backends are found in this way.
    pub fn set_backend_method(&self, method: BackendMethod, enabled: bool) {
        if let Some(gauge) = self.numbers.backend_methods.get(method.name()) {
            gauge.set(enabled.into());
        }
    }

    /// Lookups in the connection table so far: answered, failed, and not made because a drain had
    /// more than its limit. Totals.
    pub fn set_conntrack_lookups(&self, totals: [u64; 3]) {
        for (result, total) in LOOKUPS.into_iter().zip(totals) {
            if let Some(counter) = self.numbers.conntrack_lookups.get(result) {
                counter.inner().store(total, Ordering::Relaxed);
            }
        }
    }

    /// How often the addresses of Services could not all be told to the programs so far: a total.
    pub fn set_translated_failures(&self, total: u64) {
        let counter = &self.numbers.translated_failures;
        counter.inner().store(total, Ordering::Relaxed);
    }

    /// How often objects of this kind could not be read so far: a total, not a difference.
    pub fn set_watch_errors(&self, kind: cluster::Kind, total: u64) {
        if let Some(counter) = self.numbers.watch_errors.get(kind.name()) {
            counter.inner().store(total, Ordering::Relaxed);
        }
    }

    /// How many fields of objects of this kind could not be read so far: a total.
    pub fn set_unread_fields(&self, kind: cluster::Kind, total: u64) {
        if let Some(counter) = self.numbers.unread_fields.get(kind.name()) {
            counter.inner().store(total, Ordering::Relaxed);
        }
    }

    /// Since when this part of the cluster's feed is missing; `None` while it is there.
    pub fn set_cluster_missing_since(&self, part: &str, since: Option<SystemTime>) {
        let since = since.and_then(|since| since.duration_since(UNIX_EPOCH).ok());
        if let Some(gauge) = self.numbers.cluster_missing_since.get(part) {
            gauge.set(since.unwrap_or_default().as_secs_f64());
        }
    }

    /// The changed file could not be used.
    pub fn reload_failed(&self, file: ConfigFile) {
        if let Some(counter) = self.numbers.reload_failures.get(file.name()) {
            counter.inc();
        }
    }

    /// How many contents of this file could not be used so far: a total, not a difference.
    pub fn set_reload_failures(&self, file: ConfigFile, total: u64) {
        if let Some(counter) = self.numbers.reload_failures.get(file.name()) {
            counter.inner().store(total, Ordering::Relaxed);
        }
    }

    /// So many bytes went to the state directory.
    pub fn state_written(&self, bytes: u64) {
        self.numbers.state_written.inc_by(bytes);
    }

    /// The totals could not be kept this time.
    pub fn state_write_failed(&self) {
        self.numbers.state_write_failures.inc();
    }

    /// The totals of an earlier process could not be used.
    pub fn set_state_refused(&self) {
        self.numbers.state_refused.set(1);
    }

    /// A connection or a request over HTTP was refused.
    pub fn refused(&self, reason: Refused) {
        if let Some(counter) = self.numbers.http_refused.get(reason.name()) {
            counter.inc();
        }
    }

    /// Writes all of them as OpenMetrics without its last line.
    pub(super) fn open_metrics(
        &self,
        ready: bool,
        conditions: &[(Condition, bool)],
    ) -> Result<String, fmt::Error> {
        self.numbers.ready.set(ready.into());
        for (condition, holds) in conditions {
            if let Some(gauge) = self.numbers.conditions.get(condition.name()) {
                gauge.set((*holds).into());
            }
        }
        let mut text = String::new();
        text::encode_registry(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Numbers {
    fn default() -> Self {
        let kinds = cluster::Kind::ALL.map(cluster::Kind::name);
        let reasons = SkipReason::ALL.map(SkipReason::name);
        Self {
            ready: Gauge::default(),
            conditions: Labelled::new(&metric::CONDITION, Condition::ALL.map(Condition::name)),
            uncounted_pods: Gauge::default(),
            flows: Gauge::default(),
            flow_capacity: Gauge::default(),
            map_memory: Gauge::default(),
            drain_duration: Histogram::new(DRAIN_BUCKETS),
            last_drain: SecondsGauge::default(),
            interfaces: Labelled::new(&metric::INTERFACES, AttachMode::ALL.map(AttachMode::name)),
            shadowed: Gauge::default(),
            moves: Counter::default(),
            attach_failures: Counter::default(),
            missed: Labelled::new(&metric::MISSED_BYTES, Missed::ALL.map(Missed::name)),
            skipped_packets: Labelled::new(&metric::SKIPPED_PACKETS, reasons),
            skipped_bytes: Labelled::new(&metric::SKIPPED_BYTES, reasons),
            uplinks: Gauge::default(),
            host_cgroups: Labelled::new(&metric::HOST_CGROUPS, CGROUP_STATES),
            uplink_skipped: Labelled::new(&metric::UPLINK_SKIPPED_PACKETS, reasons),
            backend_methods: Labelled::new(
                &metric::BACKEND_METHOD_ENABLED,
                BackendMethod::WAYS.map(BackendMethod::name),
            ),
            conntrack_lookups: Labelled::new(&metric::CONNTRACK_LOOKUPS, LOOKUPS),
            translated_failures: Counter::default(),
            watch_errors: Labelled::new(&metric::WATCH_ERRORS, kinds),
            unread_fields: Labelled::new(&metric::UNREAD_FIELDS, kinds),
            cluster_missing_since: Labelled::new(
                &metric::CLUSTER_MISSING_SINCE,
                cluster::part::ALL,
            ),
            reload_failures: Labelled::new(
                &metric::RELOAD_FAILURES,
                ConfigFile::ALL.map(ConfigFile::name),
            ),
            state_written: Counter::default(),
            state_write_failures: Counter::default(),
            state_refused: Gauge::default(),
            http_refused: Labelled::new(&metric::HTTP_REFUSED, Refused::ALL.map(Refused::name)),
        }
    }
}

impl Numbers {
    /// A registry that shows these, in the order of the catalogue.
    fn registry(&self) -> Registry {
        let numbers = self.clone();
        let mut registry = Registry::default();
        register(&mut registry, &metric::BUILD_INFO, build_info());
        register(&mut registry, &metric::READY, numbers.ready);
        register(&mut registry, &metric::CONDITION, numbers.conditions);
        register(
            &mut registry,
            &metric::UNCOUNTED_PODS,
            numbers.uncounted_pods,
        );
        register(&mut registry, &metric::FLOWS, numbers.flows);
        register(&mut registry, &metric::FLOW_CAPACITY, numbers.flow_capacity);
        register(&mut registry, &metric::MAP_MEMORY, numbers.map_memory);
        register(
            &mut registry,
            &metric::DRAIN_DURATION,
            numbers.drain_duration,
        );
        register(&mut registry, &metric::LAST_DRAIN, numbers.last_drain);
        register(&mut registry, &metric::INTERFACES, numbers.interfaces);
        register(&mut registry, &metric::SHADOWED, numbers.shadowed);
        register(&mut registry, &metric::REATTACHMENTS, numbers.moves);
        register(
            &mut registry,
            &metric::ATTACH_FAILURES,
            numbers.attach_failures,
        );
        register(&mut registry, &metric::MISSED_BYTES, numbers.missed);
        register(
            &mut registry,
            &metric::SKIPPED_PACKETS,
            numbers.skipped_packets,
        );
        register(&mut registry, &metric::SKIPPED_BYTES, numbers.skipped_bytes);
        register(&mut registry, &metric::UPLINKS, numbers.uplinks);
        register(&mut registry, &metric::HOST_CGROUPS, numbers.host_cgroups);
        register(
            &mut registry,
            &metric::UPLINK_SKIPPED_PACKETS,
            numbers.uplink_skipped,
        );
        register(
            &mut registry,
            &metric::BACKEND_METHOD_ENABLED,
            numbers.backend_methods,
        );
        register(
            &mut registry,
            &metric::CONNTRACK_LOOKUPS,
            numbers.conntrack_lookups,
        );
        register(
            &mut registry,
            &metric::TRANSLATED_FAILURES,
            numbers.translated_failures,
        );
        register(&mut registry, &metric::WATCH_ERRORS, numbers.watch_errors);
        register(&mut registry, &metric::UNREAD_FIELDS, numbers.unread_fields);
        register(
            &mut registry,
            &metric::CLUSTER_MISSING_SINCE,
            numbers.cluster_missing_since,
        );
        register(
            &mut registry,
            &metric::RELOAD_FAILURES,
            numbers.reload_failures,
        );
        register(
            &mut registry,
            &metric::STATE_WRITTEN_BYTES,
            numbers.state_written,
        );
        register(
            &mut registry,
            &metric::STATE_WRITE_FAILURES,
            numbers.state_write_failures,
        );
        register(&mut registry, &metric::STATE_REFUSED, numbers.state_refused);
        register(&mut registry, &metric::HTTP_REFUSED, numbers.http_refused);
        registry.register_collector(Box::new(Process));
        registry
    }
}

/// The registry adds the unit and, for a counter, `_total` to the name by itself.
fn register(registry: &mut Registry, metric: &Metric, value: impl registry::Metric) {
    match metric.unit() {
        None => registry.register(metric.stem(), metric.help, value),
        Some(unit) => {
            let unit = Unit::Other(unit.to_owned());
            registry.register_with_unit(metric.stem(), metric.help, unit, value);
        }
    }
}

fn build_info() -> Constant<2> {
    let revision = option_env!("ZONEMETER_REVISION").unwrap_or_default();
    Constant::new(&metric::BUILD_INFO, [env!("CARGO_PKG_VERSION"), revision])
}
