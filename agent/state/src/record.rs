//! A step as it is written: the way from the totals of one drain to those of the next. A whole record
//! is the step from nothing.
//!
//! Names stand for the values of enums, and positions for series, so that the order of neither matters
//! to who reads it. Whatever else changes here
//! changes the version in [`super::file`].

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use zonemeter_model::{
    cluster::Workload,
    kept::{DrainId, HeldFlow, Kept},
    snapshot::{
        PodLabels, PodSeries, Reason, Scope, Snapshot, Via, WorkloadLabels, WorkloadSeries,
    },
    strings::Strings,
    traffic::{BackendMethod, Count, Direction},
};

use super::change::Changes;

/// Bytes and packets.
pub(super) type Pair = (u64, u64);
/// Seconds and nanoseconds since 1970.
pub(super) type Time = (u64, u32);

/// What one drain changed.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Step<'a> {
    /// Instance and epoch of [`Kept::drained`].
    drained: Vec<(u64, u64)>,
    #[serde(borrow)]
    pods: Changes<Pod<'a>>,
    #[serde(borrow)]
    workloads: Changes<NewWorkloadSeries<'a>>,
    /// All of them; `None` where they are as before.
    held: Option<Cow<'a, [HeldFlow]>>,
    #[serde(borrow)]
    sums: Sums<'a>,
}

/// A new series of the pod family.
#[derive(Debug, Deserialize, Serialize)]
struct Pod<'a> {
    namespace: &'a str,
    pod: &'a str,
    zone: &'a str,
    direction: u8,
    /// The scope, and after a space what it leaves the VPC by, where that is told.
    #[serde(borrow)]
    scope: Cow<'a, str>,
    peer_zone: &'a str,
    count: Pair,
    created: Time,
}

/// A new series of the workload family.
#[derive(Debug, Deserialize, Serialize)]
struct NewWorkloadSeries<'a> {
    namespace: &'a str,
    #[serde(borrow)]
    workload: (&'a str, &'a str),
    zone: &'a str,
    direction: u8,
    /// The scope, and after a space what it leaves the VPC by, where that is told.
    #[serde(borrow)]
    scope: Cow<'a, str>,
    peer_namespace: &'a str,
    #[serde(borrow)]
    peer_workload: (&'a str, &'a str),
    peer_zone: &'a str,
    bytes: u64,
    created: Time,
}

/// Everything that has few numbers, in full.
#[derive(Debug, Deserialize, Serialize)]
struct Sums<'a> {
    interface: [Pair; 2],
    retired: [Pair; 2],
    before_attach: [Pair; 2],
    #[serde(borrow)]
    unattributed: Vec<(&'a str, [Pair; 2])>,
    #[serde(borrow)]
    backends: Vec<(&'a str, Pair)>,
    series_folded: u64,
    drains_that_disagreed: u64,
}

impl<'a> Step<'a> {
    /// The way from `before` to `after`.
    pub(super) fn between(before: &Kept, after: &'a Kept) -> Self {
        let (old, new) = (&before.snapshot, &after.snapshot);
        let drained = after.drained.iter();
        let changed = before.held != after.held;
        Self {
            drained: drained.map(|id| (id.instance, id.epoch)).collect(),
            pods: Changes::between(&old.pods, &new.pods, Pod::of),
            workloads: Changes::between(&old.workloads, &new.workloads, NewWorkloadSeries::of),
            held: changed.then(|| Cow::Borrowed(&*after.held)),
            sums: Sums::of(new),
        }
    }

    /// Takes `kept` this way.
    ///
    /// # Errors
    /// When it does not begin there, or holds what this version does not know.
    pub(super) fn apply(self, kept: &mut Kept, texts: &mut Strings) -> Result<()> {
        let id = |(instance, epoch)| DrainId { instance, epoch };
        kept.drained = self.drained.into_iter().map(id).collect();
        let snapshot = Arc::make_mut(&mut kept.snapshot);
        self.pods.apply(&mut snapshot.pods, |pod| pod.read(texts))?;
        let workloads = &mut snapshot.workloads;
        self.workloads.apply(workloads, |way| way.read(texts))?;
        self.sums.write_to(snapshot)?;
        if let Some(held) = self.held {
            kept.held = held.into_owned();
        }
        Ok(())
    }
}

pub(super) fn workload(texts: &mut Strings, (kind, name): (&str, &str)) -> Workload {
    Workload {
        kind: texts.get(kind),
        name: texts.get(name),
    }
}

impl<'a> Pod<'a> {
    fn of(series: &'a PodSeries) -> Self {
        let labels = &series.labels;
        Self {
            namespace: &labels.namespace,
            pod: &labels.pod,
            zone: &labels.zone,
            direction: labels.direction as u8,
            scope: scope_and_via(labels.scope, labels.via),
            peer_zone: &labels.peer_zone,
            count: pair(series.count),
            created: time(series.created),
        }
    }

    fn read(self, texts: &mut Strings) -> Result<PodSeries> {
        let (scope, via) = read_scope(&self.scope)?;
        Ok(PodSeries {
            labels: PodLabels {
                namespace: texts.get(self.namespace),
                pod: texts.get(self.pod),
                zone: texts.get(self.zone),
                direction: direction(self.direction)?,
                scope,
                peer_zone: texts.get(self.peer_zone),
                via,
            },
            count: count(self.count),
            created: system_time(self.created)?,
        })
    }
}

impl<'a> NewWorkloadSeries<'a> {
    fn of(series: &'a WorkloadSeries) -> Self {
        let labels = &series.labels;
        let workload = |workload: &'a Workload| (&*workload.kind, &*workload.name);
        Self {
            namespace: &labels.namespace,
            workload: workload(&labels.workload),
            zone: &labels.zone,
            direction: labels.direction as u8,
            scope: scope_and_via(labels.scope, labels.via),
            peer_namespace: &labels.peer_namespace,
            peer_workload: workload(&labels.peer_workload),
            peer_zone: &labels.peer_zone,
            bytes: series.bytes,
            created: time(series.created),
        }
    }

    fn read(self, texts: &mut Strings) -> Result<WorkloadSeries> {
        let (scope, via) = read_scope(&self.scope)?;
        Ok(WorkloadSeries {
            labels: WorkloadLabels {
                namespace: texts.get(self.namespace),
                workload: workload(texts, self.workload),
                zone: texts.get(self.zone),
                direction: direction(self.direction)?,
                scope,
                peer_namespace: texts.get(self.peer_namespace),
                peer_workload: workload(texts, self.peer_workload),
                peer_zone: texts.get(self.peer_zone),
                via,
            },
            bytes: self.bytes,
            own: Count::ZERO,
            created: system_time(self.created)?,
        })
    }
}

impl Sums<'_> {
    fn of(snapshot: &Snapshot) -> Self {
        let unattributed = snapshot.unattributed.iter();
        let backends = BackendMethod::ALL.into_iter().zip(snapshot.backends);
        Self {
            interface: snapshot.interface.map(pair),
            retired: snapshot.retired.map(pair),
            before_attach: snapshot.before_attach.map(pair),
            unattributed: unattributed
                .map(|(reason, counts)| (reason.name(), counts.map(pair)))
                .collect(),
            backends: backends
                .map(|(method, count)| (method.name(), pair(count)))
                .collect(),
            series_folded: snapshot.series_folded,
            drains_that_disagreed: snapshot.drains_that_disagreed,
        }
    }

    fn write_to(self, snapshot: &mut Snapshot) -> Result<()> {
        snapshot.interface = self.interface.map(count);
        snapshot.retired = self.retired.map(count);
        snapshot.before_attach = self.before_attach.map(count);
        let reason = |(name, counts): (&str, [Pair; 2])| {
            let reason = named(Reason::ALL, Reason::name, name)?;
            Ok((reason, counts.map(count)))
        };
        let unattributed = self.unattributed.into_iter().map(reason);
        snapshot.unattributed = unattributed.collect::<Result<_>>()?;
        for (name, total) in self.backends {
            let method = named(BackendMethod::ALL, BackendMethod::name, name)?;
            snapshot.backends[method as usize] = count(total);
        }
        snapshot.series_folded = self.series_folded;
        snapshot.drains_that_disagreed = self.drains_that_disagreed;
        Ok(())
    }
}

pub(super) fn pair(count: Count) -> Pair {
    (count.bytes, count.packets)
}

pub(super) fn count((bytes, packets): Pair) -> Count {
    Count { bytes, packets }
}

/// A clock before 1970 reads as 1970.
pub(super) fn time(time: SystemTime) -> Time {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs(), since.subsec_nanos())
}

pub(super) fn system_time((seconds, nanoseconds): Time) -> Result<SystemTime> {
    let since = Duration::new(seconds, 0).checked_add(Duration::from_nanos(nanoseconds.into()));
    let time = since.and_then(|since| UNIX_EPOCH.checked_add(since));
    time.context("a time beyond all times")
}

pub(super) fn direction(code: u8) -> Result<Direction> {
    Direction::from_code(code).with_context(|| format!("the direction {code}"))
}

/// One text, because files of before `via` have the scope alone and are read on.
pub(super) fn scope_and_via(scope: Scope, via: Via) -> Cow<'static, str> {
    if via == Via::Unset {
        return scope.name().into();
    }
    format!("{} {}", scope.name(), via.name()).into()
}

pub(super) fn read_scope(text: &str) -> Result<(Scope, Via)> {
    let (scope, via) = text.split_once(' ').unwrap_or((text, ""));
    Ok((
        named(Scope::ALL, Scope::name, scope)?,
        named(Via::ALL, Via::name, via)?,
    ))
}

pub(super) fn named<T: Copy, const N: usize>(
    all: [T; N],
    name_of: fn(T) -> &'static str,
    name: &str,
) -> Result<T> {
    let found = all.into_iter().find(|one| name_of(*one) == name);
    found.with_context(|| format!("{name:?}, which this version does not know"))
}
