//! The workload family: series, those that wait for room, and how they change places.

use std::time::Instant;

use super::{
    Live, Moment, Series,
    busiest::{Applicants, Busyness, changes},
    ceiling::{Ceiling, is_other_workload},
    table::{Slot, Table},
};
use crate::model::snapshot::{WorkloadLabels, WorkloadSeries};

/// All workload series.
#[derive(Debug, Default)]
pub(crate) struct Workloads {
    shown: Table<WorkloadLabels, Share>,
    applicants: Applicants,
    looked: Option<Instant>,
}

/// Where increments of a label set go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    slot: Slot,
    /// To `other`.
    pub(crate) folded: bool,
    /// Its number among those that wait for room.
    applicant: Option<Slot>,
}

#[derive(Debug)]
struct Share {
    series: Series<u64>,
    busyness: Busyness,
    /// Its increments go to `other` from some time on; it is taken out once it was idle for as
    /// long as the series of a gone pod.
    leaving: bool,
}

impl Workloads {
    /// Adds bytes where the way leads.
    pub(crate) fn add(&mut self, way: Way, bytes: u64, now: Instant) {
        if let Some(share) = self.shown.value_mut(way.slot) {
            share.series.total += bytes;
            share.series.fed = now;
            share.busyness.add(bytes);
        }
        if let Some(applicant) = way.applicant {
            self.applicants.add(applicant, bytes);
        }
    }

    /// The way of a label set: its own series, a new one where there is room and nobody waits for
    /// it, else `other`.
    pub(crate) fn open(
        &mut self,
        labels: WorkloadLabels,
        at: Moment,
        ceiling: &mut Ceiling,
    ) -> Way {
        let own = self.shown.find(&labels);
        if let Some(slot) = own
            && self.shown.value(slot).is_some_and(|share| !share.leaving)
        {
            return Way {
                slot,
                folded: false,
                applicant: None,
            };
        }
        if own.is_none() && self.applicants.is_empty() && ceiling.take(1) {
            let slot = self.shown.insert(labels, Share::new(at));
            return Way {
                slot,
                folded: false,
                applicant: None,
            };
        }
        let applicant = self.applicants.wait(labels.clone());
        let folded = ceiling.fold_workload(labels, &self.shown);
        Way {
            slot: self.shown.insert(folded, Share::new(at)),
            folded: true,
            applicant,
        }
    }

    /// Goes on with the series of an earlier process. One that was leaving stays: it is as busy as
    /// the next look finds it.
    pub(crate) fn restore(&mut self, kept: &[WorkloadSeries], now: Instant, ceiling: &mut Ceiling) {
        for WorkloadSeries {
            labels,
            bytes,
            created,
        } in kept
        {
            ceiling.restore(1, is_other_workload(&labels.peer_workload));
            let series = Series {
                total: *bytes,
                created: *created,
                fed: now,
            };
            let share = Share {
                series,
                busyness: Busyness::default(),
                leaving: false,
            };
            self.shown.insert(labels.clone(), share);
        }
    }

    /// Takes out the series of workloads without pods, each workload's together once all are
    /// idle, and those that were leaving; and lets go of applicants without pods. True where any
    /// went.
    pub(crate) fn retire(
        &mut self,
        idle: impl Fn(Instant) -> bool,
        live: &Live<'_>,
        ceiling: &mut Ceiling,
    ) -> bool {
        let mut gone = self.shown.take_groups(
            |labels| (labels.namespace.clone(), labels.workload.clone()),
            |labels, share| {
                let many = is_other_workload(&labels.workload);
                idle(share.series.fed) && !many && !live.has_workload(labels)
            },
        );
        gone.extend(
            self.shown
                .take_if(|_, share| share.leaving && idle(share.series.fed)),
        );
        for (labels, _) in &gone {
            if is_other_workload(&labels.peer_workload) {
                ceiling.give_back_other();
            } else {
                ceiling.give_back(1);
            }
        }
        let applicants_went = self.applicants.keep_if(|labels| live.has_workload(labels));
        applicants_went || !gone.is_empty()
    }

    /// Once every [`busiest::LOOK_EVERY`](super::busiest::LOOK_EVERY): lets the busiest of those
    /// that wait in. True where ways have changed.
    pub(crate) fn look(&mut self, at: Moment, ceiling: &mut Ceiling) -> bool {
        if !super::busiest::is_due(&mut self.looked, at.now) {
            return false;
        }
        self.shown
            .values_mut()
            .for_each(|share| share.busyness.age());
        self.applicants.age();
        if self.applicants.is_empty() {
            return false;
        }
        for labels in self.applicants.busiest() {
            if !ceiling.take(1) {
                break;
            }
            self.enter(labels, at, ceiling);
        }
        self.exchange();
        self.applicants.prune();
        true
    }

    /// All series in the order of their labels.
    pub(crate) fn snapshot(&self) -> Vec<WorkloadSeries> {
        let series = |(labels, share): &(WorkloadLabels, Share)| WorkloadSeries {
            labels: labels.clone(),
            bytes: share.series.total,
            created: share.series.created,
        };
        self.shown.iter().map(series).collect()
    }

    /// Lets an applicant in for which room was taken.
    fn enter(&mut self, labels: WorkloadLabels, at: Moment, ceiling: &mut Ceiling) {
        self.applicants.remove(&labels);
        match self.shown.find(&labels) {
            Some(slot) => {
                ceiling.give_back(1);
                self.stay(slot);
            }
            None => {
                self.shown.insert(labels, Share::new(at));
            }
        }
    }

    fn stay(&mut self, slot: Slot) {
        if let Some(share) = self.shown.value_mut(slot) {
            share.leaving = false;
        }
    }

    /// Without room: lets the least busy series leave, one for each applicant that is so much
    /// busier that the change is worth it.
    fn exchange(&mut self) {
        let named = self
            .shown
            .slots()
            .filter(|(_, labels, _)| !is_other_workload(&labels.peer_workload));
        let (leaving, staying): (Vec<_>, Vec<_>) = named
            .map(|(slot, _, share)| (slot, share))
            .partition(|(_, share)| share.leaving);
        let weakest = staying
            .iter()
            .map(|(slot, share)| (share.busyness.recent(), *slot))
            .collect();
        let changes = changes(&self.applicants, weakest, leaving.len(), |labels| {
            self.shown.find(labels)
        });
        for (labels, slot) in changes.back {
            self.applicants.remove(&labels);
            self.stay(slot);
        }
        for slot in changes.out {
            if let Some(share) = self.shown.value_mut(slot) {
                share.leaving = true;
            }
        }
    }
}

impl Share {
    fn new(at: Moment) -> Self {
        Self {
            series: Series::new(at),
            busyness: Busyness::default(),
            leaving: false,
        }
    }
}
