//! The workload family: its series, and how many each workload has.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use zonemeter_model::{
    cluster::Workload,
    snapshot::{WorkloadLabels, WorkloadSeries},
    traffic::Count,
};

use super::{
    DrainTime, Live, Series,
    ceiling::{Ceiling, is_other_workload},
    table::{Slot, Table},
};

/// All workload series.
#[derive(Debug, Default)]
pub(crate) struct Workloads {
    shown: Table<WorkloadLabels, Series<Total>>,
    /// Series under their own names, by workload.
    of_workload: HashMap<Local, usize>,
    /// Workloads that were refused a series since series were last taken out.
    refused: HashSet<Local>,
}

/// What a series shows, and what of it this process counted.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    bytes: u64,
    own: Count,
}

/// Namespace and name of a workload of this node.
type Local = (Arc<str>, Workload);

/// Where increments of a label set go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TargetSeries {
    slot: Slot,
    /// To `other`, for want of room under the ceiling.
    pub(crate) folded: bool,
}

impl Workloads {
    /// Adds a count where the way leads.
    pub(crate) fn add(&mut self, way: TargetSeries, count: Count, now: Instant) {
        if let Some(series) = self.shown.value_mut(way.slot) {
            series.total.bytes += count.bytes;
            series.total.own += count;
            series.fed = now;
        }
    }

    /// The way of a label set: its own series, a new one where its workload has room, else
    /// `other`.
    pub(crate) fn open(
        &mut self,
        labels: WorkloadLabels,
        at: DrainTime,
        ceiling: &mut Ceiling,
    ) -> TargetSeries {
        if let Some(slot) = self.shown.find(&labels) {
            return TargetSeries {
                slot,
                folded: false,
            };
        }
        let is_other = is_other_workload(&labels.peer_workload);
        let local = local(&labels);
        let has = self.of_workload.get(&local).copied().unwrap_or(0);
        if !is_other && ceiling.take_pair(has) {
            self.of_workload.insert(local, has + 1);
            let slot = self.shown.insert(labels, Series::new(at));
            return TargetSeries {
                slot,
                folded: false,
            };
        }
        if !is_other {
            self.refused.insert(local);
        }
        let labels = ceiling.fold_workload(labels, &self.shown);
        TargetSeries {
            slot: self.shown.insert(labels, Series::new(at)),
            folded: !is_other,
        }
    }

    /// Goes on with the series of an earlier process.
    pub(crate) fn restore(&mut self, kept: &[WorkloadSeries], now: Instant, ceiling: &mut Ceiling) {
        for WorkloadSeries {
            labels,
            bytes,
            own: _,
            created,
        } in kept
        {
            let is_other = is_other_workload(&labels.peer_workload);
            ceiling.restore_pair(is_other);
            if !is_other {
                *self.of_workload.entry(local(labels)).or_default() += 1;
            }
            let series = Series {
                total: Total {
                    bytes: *bytes,
                    own: Count::ZERO,
                },
                created: *created,
                fed: now,
            };
            self.shown.insert(labels.clone(), series);
        }
    }

    /// Takes out the series of workloads without pods, each workload's together once all are
    /// idle, and the idle ones of workloads that were refused another. True where any went.
    pub(crate) fn retire(
        &mut self,
        idle: impl Fn(Instant) -> bool,
        live: &Live<'_>,
        ceiling: &mut Ceiling,
    ) -> bool {
        let mut gone = self.shown.take_groups(local, |labels, series| {
            let many = is_other_workload(&labels.workload);
            idle(series.fed) && !many && !live.has_workload(labels)
        });
        let refused = &self.refused;
        if !refused.is_empty() {
            gone.extend(self.shown.take_if(|labels, series| {
                let many = is_other_workload(&labels.peer_workload);
                idle(series.fed) && !many && refused.contains(&local(labels))
            }));
        }
        for (labels, _) in &gone {
            if is_other_workload(&labels.peer_workload) {
                ceiling.give_back_other();
                continue;
            }
            ceiling.give_back_pair();
            let local = local(labels);
            if let Some(has) = self.of_workload.get_mut(&local) {
                *has -= 1;
                if *has == 0 {
                    self.of_workload.remove(&local);
                }
            }
        }
        // The ways are asked for anew then, and so is what is still refused.
        if !gone.is_empty() {
            self.refused.clear();
        }
        !gone.is_empty()
    }

    /// All series in the order of their labels.
    pub(crate) fn snapshot(&self) -> Vec<WorkloadSeries> {
        let series = |(labels, series): &(WorkloadLabels, Series<Total>)| WorkloadSeries {
            labels: labels.clone(),
            bytes: series.total.bytes,
            own: series.total.own,
            created: series.created,
        };
        self.shown.iter().map(series).collect()
    }
}

fn local(labels: &WorkloadLabels) -> Local {
    (Arc::clone(&labels.namespace), labels.workload.clone())
}
