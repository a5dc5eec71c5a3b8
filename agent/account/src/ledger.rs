//! The totals: monotone, by label set, under a ceiling.
//!
//! Nothing that a series has shown moves to another traffic series. Past the ceiling, what comes
//! from then on goes to a series named `other` (see [`ceiling`]); the series of a gone pod that were
//! idle for a time are taken out and what they showed goes to `retired`.

mod ceiling;
mod hosts;
mod table;
mod workloads;

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant, SystemTime},
};

use foldhash::fast::RandomState;
use zonemeter_model::{
    cluster::Workload,
    snapshot::{HostLabels, HostParty, PodLabels, PodSeries, Reason, Snapshot, WorkloadLabels},
    traffic::{Count, Direction, Drain, HostDrain},
};
use zonemeter_naming::scope::ClassId;

use self::{
    ceiling::{Ceiling, is_other_pod},
    hosts::HostTotals,
    table::{Slot, Table},
    workloads::{TargetSeries, Workloads},
};
use super::Detail;

/// All totals of the agent.
#[derive(Debug)]
pub(crate) struct Ledger {
    pods: Table<PodLabels, Series<Count>>,
    workloads: Workloads,
    hosts: HostTotals,
    /// Asked for each flow of a drain.
    routes: HashMap<RouteKey, Route, RandomState>,
    ceiling: Ceiling,
    detail: Detail,
    retire_after: Duration,
    interface: [Count; 2],
    unattributed: [[Count; 2]; Reason::ALL.len()],
    /// What this process added to it.
    own_unattributed: [Count; 2],
    retired: [Count; 2],
    flow_overflow: [Count; 2],
    folded: u64,
    drains_that_disagreed: u64,
}

/// When something is added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DrainTime {
    /// The end of the drain's interval.
    pub(crate) now: Instant,
    /// The begin of the drain's interval: series that it opens were 0 then.
    pub(crate) began: SystemTime,
}

/// What decides the labels of a flow: the pod's entry, the peer's class, the direction.
pub(crate) type RouteKey = (u64, ClassId, Direction);

/// The pods and workloads of this node that may send more.
#[derive(Debug, Default)]
pub(crate) struct Live<'a> {
    /// Pods by namespace.
    pub(crate) pods: HashSet<(&'a str, &'a str)>,
    /// Workloads by namespace.
    pub(crate) workloads: HashSet<(&'a str, &'a Workload)>,
    /// Who on the node itself.
    pub(crate) hosts: HashSet<HostParty>,
}

#[derive(Debug)]
struct Series<T> {
    total: T,
    created: SystemTime,
    fed: Instant,
}

/// The series that a flow goes to.
#[derive(Clone, Copy, Debug)]
struct Route {
    pod: Slot,
    pod_folded: bool,
    /// None without a workload family.
    workload: Option<TargetSeries>,
}

impl<T: Default> Series<T> {
    fn new(at: DrainTime) -> Self {
        Self {
            total: T::default(),
            created: at.began,
            fed: at.now,
        }
    }
}

impl DrainTime {
    /// The moment of a drain that ended at `wall`.
    pub(crate) fn of(drain: &Drain, wall: SystemTime) -> Self {
        let length = drain.until.saturating_duration_since(drain.from);
        Self {
            now: drain.until,
            began: wall.checked_sub(length).unwrap_or(wall),
        }
    }
}

impl Ledger {
    /// Nothing counted yet, `max_series` traffic series at most.
    pub(crate) fn new(max_series: usize, detail: Detail, retire_after: Duration) -> Self {
        Self {
            pods: Table::default(),
            workloads: Workloads::default(),
            hosts: HostTotals::default(),
            routes: HashMap::default(),
            ceiling: Ceiling::new(max_series),
            detail,
            retire_after,
            interface: [Count::ZERO; 2],
            unattributed: [[Count::ZERO; 2]; Reason::ALL.len()],
            own_unattributed: [Count::ZERO; 2],
            retired: [Count::ZERO; 2],
            flow_overflow: [Count::ZERO; 2],
            folded: 0,
            drains_that_disagreed: 0,
        }
    }

    /// Goes on with the totals of an earlier process. Its series stay at least as long as if each
    /// had been fed now; those of a detail that is no longer asked for retire at once.
    pub(crate) fn restore(&mut self, kept: &Snapshot, now: Instant) {
        self.retired = kept.retired;
        for PodSeries {
            labels,
            count,
            created,
        } in &kept.pods
        {
            let is_other = is_other_pod(labels);
            if !self.detail.pods && !is_other {
                self.retired[labels.direction as usize] += *count;
                continue;
            }
            self.ceiling.restore_pod(is_other);
            let series = Series {
                total: *count,
                created: *created,
                fed: now,
            };
            self.pods.insert(labels.clone(), series);
        }
        if self.detail.workloads {
            self.workloads
                .restore(&kept.workloads, now, &mut self.ceiling);
        }
        self.hosts.restore(kept, now, &mut self.ceiling);
        for (reason, counts) in &kept.unattributed {
            self.unattributed[*reason as usize] = *counts;
        }
        self.interface = kept.interface;
        self.folded = kept.series_folded;
        self.drains_that_disagreed = kept.drains_that_disagreed;
    }

    /// Counts what the interfaces saw, and what of it found no room in the flow map.
    ///
    /// The kernel counts both at one place, so flows and overflow make up what was seen. Should
    /// they not (a fault of the programs or of the drain), the sums still hold: what is missing
    /// in detail goes to [`Reason::NoDetail`], what is too much is taken as seen, and the drain is
    /// counted as one that disagreed.
    pub(crate) fn add_totals(&mut self, drain: &Drain) {
        let overflowed = drain.overflowed();
        let mut detailed = overflowed;
        for flow in &drain.flows {
            detailed[flow.direction as usize] += flow.count;
        }
        self.drains_that_disagreed += u64::from(drain.seen != detailed);
        for direction in Direction::ALL {
            let index = direction as usize;
            let (seen, detailed) = (drain.seen[index], detailed[index]);
            self.flow_overflow[index] += overflowed[index];
            self.add_unattributed(Reason::MapFull, direction, drain.unplaced[index]);
            self.add_unattributed(Reason::NoDetail, direction, surplus(seen, detailed));
            self.interface[index] += seen + surplus(detailed, seen);
        }
    }

    /// Adds a flow to the pod family and to the workload family. `labels` is asked only where the
    /// way of such a flow is not known yet.
    pub(crate) fn add(
        &mut self,
        key: RouteKey,
        count: Count,
        at: DrainTime,
        labels: impl FnOnce() -> (PodLabels, WorkloadLabels),
    ) {
        let route = match self.routes.get(&key) {
            Some(route) => *route,
            None => self.open(key, labels(), at),
        };
        if let Some(series) = self.pods.value_mut(route.pod) {
            series.total += count;
            series.fed = at.now;
        }
        self.folded += u64::from(route.pod_folded);
        if let Some(way) = route.workload {
            self.workloads.add(way, count, at.now);
            self.folded += u64::from(way.folded);
        }
    }

    /// Counts what passed the uplinks. `agrees` where its flows make up its classes.
    pub(crate) fn pass(&mut self, drain: &HostDrain, agrees: bool) {
        self.hosts.pass(drain);
        self.drains_that_disagreed += u64::from(!agrees);
    }

    /// Adds to the host family.
    pub(crate) fn add_host(&mut self, labels: HostLabels, count: Count, at: DrainTime) {
        if count.is_zero() {
            return;
        }
        let (detail, ceiling) = (self.detail, &mut self.ceiling);
        let folded = self.hosts.add(labels, count, at, detail, ceiling);
        self.folded += u64::from(folded);
    }

    /// Shows the series of a pod at 0 before its first byte, as far as half the ceiling goes.
    pub(crate) fn show_at_zero(&mut self, labels: PodLabels, at: DrainTime) {
        if !self.detail.pods {
            self.open_shared(labels, at);
        } else if self.pods.find(&labels).is_none() && self.ceiling.take_pod_for_zero() {
            self.pods.insert(labels, Series::new(at));
        }
    }

    /// Adds what is for good without a pod or a peer.
    pub(crate) fn add_unattributed(&mut self, reason: Reason, direction: Direction, count: Count) {
        self.unattributed[reason as usize][direction as usize] += count;
        self.own_unattributed[direction as usize] += count;
    }

    /// Takes out all series of each gone pod once none of them was fed for a time, and those of a
    /// workload likewise once all its pods are gone. What pods showed goes to `retired`.
    pub(crate) fn retire(&mut self, now: Instant, live: &Live<'_>) {
        let idle = |fed: Instant| now.saturating_duration_since(fed) >= self.retire_after;
        let pods = self.pods.take_groups(
            |labels| (labels.namespace.clone(), labels.pod.clone()),
            |labels, series| idle(series.fed) && !is_other_pod(labels) && !live.has_pod(labels),
        );
        for (labels, series) in &pods {
            self.retired[labels.direction as usize] += series.total;
        }
        self.ceiling.give_back_pods(pods.len());
        self.hosts.retire(idle, &live.hosts, &mut self.ceiling);
        let workloads_went = self.workloads.retire(idle, live, &mut self.ceiling);
        if !pods.is_empty() || workloads_went {
            self.forget_routes();
        }
    }

    /// Asks for labels anew from now on: names, zones or the room under the ceiling have changed.
    pub(crate) fn forget_routes(&mut self) {
        self.routes.clear();
    }

    /// The totals as a scrape shows them; what waits is not the ledger's to say.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let unattributed = Reason::ALL.map(|reason| (reason, self.unattributed[reason as usize]));
        let mut snapshot = Snapshot {
            pods: self.pods.iter().map(pod_series).collect(),
            workloads: self.workloads.snapshot(),
            interface: self.interface,
            unattributed: unattributed.into(),
            own_unattributed: self.own_unattributed,
            retired: self.retired,
            flow_overflow: self.flow_overflow,
            series_folded: self.folded,
            drains_that_disagreed: self.drains_that_disagreed,
            ..Snapshot::default()
        };
        self.hosts.show(&mut snapshot);
        snapshot
    }

    fn open(&mut self, key: RouteKey, labels: (PodLabels, WorkloadLabels), at: DrainTime) -> Route {
        let (pod, pod_folded) = self.open_pod(labels.0, at);
        let workload = self
            .detail
            .workloads
            .then(|| self.workloads.open(labels.1, at, &mut self.ceiling));
        let route = Route {
            pod,
            pod_folded,
            workload,
        };
        self.routes.insert(key, route);
        route
    }

    fn open_pod(&mut self, labels: PodLabels, at: DrainTime) -> (Slot, bool) {
        if !self.detail.pods {
            return (self.open_shared(labels, at), false);
        }
        if let Some(slot) = self.pods.find(&labels) {
            return (slot, false);
        }
        if self.ceiling.take_pod() {
            return (self.pods.insert(labels, Series::new(at)), false);
        }
        (self.open_shared(labels, at), true)
    }

    /// The series that pods without one of their own share.
    fn open_shared(&mut self, labels: PodLabels, at: DrainTime) -> Slot {
        let shared = self.ceiling.fold_pod(labels, &self.pods);
        self.pods.insert(shared, Series::new(at))
    }
}

impl Live<'_> {
    fn has_pod(&self, labels: &PodLabels) -> bool {
        self.pods.contains(&(&*labels.namespace, &*labels.pod))
    }

    fn has_workload(&self, labels: &WorkloadLabels) -> bool {
        self.workloads
            .contains(&(&*labels.namespace, &labels.workload))
    }
}

/// How much more `a` is than `b`, bytes and packets each by itself.
fn surplus(a: Count, b: Count) -> Count {
    Count {
        bytes: a.bytes.saturating_sub(b.bytes),
        packets: a.packets.saturating_sub(b.packets),
    }
}

fn pod_series((labels, series): &(PodLabels, Series<Count>)) -> PodSeries {
    PodSeries {
        labels: labels.clone(),
        count: series.total,
        created: series.created,
    }
}

#[cfg(test)]
mod tests;
