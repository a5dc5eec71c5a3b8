//! How many series there may be, and where a label set goes that came too late.
//!
//! A label set of the pod family shows two series (bytes and packets), one of the workload family
//! shows one. A part of the ceiling is kept free for the series named `other`:
//!
//! - pod family: `namespace="other", pod="other"`, the other labels as they are;
//! - workload family: `peer_workload="other"`, kind `other`, no namespace, the rest as it is; and
//!   once there is no room for one more of those, `workload="other"` in namespace `other` too.
//!
//! Of the last sort there are few: one for each zone pair, scope and direction. The ceiling holds
//! exactly from 400 on.

use std::sync::Arc;

use super::table::Table;
use crate::model::{
    cluster::Workload,
    snapshot::{PodLabels, WorkloadLabels},
};

/// The label value that stands for all that found no room.
pub(crate) const OTHER: &str = "other";

/// Room for the series that cannot fold any further: three for each direction, scope and peer
/// zone that occurs, and some 32 of these occur on a node that sees six zones.
const LAST_RESORT: usize = 96;

/// The ceiling and what is under it.
#[derive(Debug)]
pub(crate) struct Ceiling {
    max: usize,
    /// Kept free for `other`, the last resort included.
    for_others: usize,
    /// Kept free for `other` that cannot fold any further.
    for_last_resort: usize,
    named: usize,
    others: usize,
}

impl Ceiling {
    /// At most so many series, as far as `other` allows.
    pub(crate) fn new(max: usize) -> Self {
        let for_others = (max / 10).max(2 * LAST_RESORT).min(max / 2);
        let for_last_resort = LAST_RESORT.min(for_others / 2);
        Self {
            max,
            for_others,
            for_last_resort,
            named: 0,
            others: 0,
        }
    }

    /// Series of an earlier process have their room, even where the ceiling is lower now.
    pub(crate) fn restore(&mut self, series: usize, are_other: bool) {
        match are_other {
            true => self.others += series,
            false => self.named += series,
        }
    }

    /// Takes room for so many series under their own names; false where there is none.
    pub(crate) fn take(&mut self, series: usize) -> bool {
        let fits = self.named + series <= self.max - self.for_others;
        if fits {
            self.named += series;
        }
        fits
    }

    /// Takes room for series that may never count anything: of half the ceiling at most.
    pub(crate) fn take_for_zero(&mut self, series: usize) -> bool {
        self.named + series <= (self.max - self.for_others) / 2 && self.take(series)
    }

    /// Gives back the room of so many series under their own names.
    pub(crate) fn give_back(&mut self, series: usize) {
        self.named -= series;
    }

    /// Gives back the room of an `other` of the workload family.
    pub(crate) fn give_back_other(&mut self) {
        self.others -= 1;
    }

    /// The labels of the pod family's `other` for these.
    pub(crate) fn fold_pod<V>(
        &mut self,
        labels: PodLabels,
        shown: &Table<PodLabels, V>,
    ) -> PodLabels {
        let (namespace, pod) = (OTHER.into(), OTHER.into());
        let folded = PodLabels {
            namespace,
            pod,
            ..labels
        };
        if shown.find(&folded).is_none() {
            self.others += 2;
        }
        folded
    }

    /// The labels of the workload family's `other` for these.
    pub(crate) fn fold_workload<V>(
        &mut self,
        labels: WorkloadLabels,
        shown: &Table<WorkloadLabels, V>,
    ) -> WorkloadLabels {
        let peer_namespace = Arc::default();
        let mut folded = WorkloadLabels {
            peer_namespace,
            peer_workload: other(),
            ..labels
        };
        if shown.find(&folded).is_some() {
            return folded;
        }
        if self.others >= self.for_others - self.for_last_resort {
            folded = WorkloadLabels {
                namespace: OTHER.into(),
                workload: other(),
                ..folded
            };
        }
        if shown.find(&folded).is_none() {
            self.others += 1;
        }
        folded
    }
}

/// True for the pod series that stand for many.
pub(crate) fn is_other_pod(labels: &PodLabels) -> bool {
    &*labels.namespace == OTHER && &*labels.pod == OTHER
}

/// True for what stands for many workloads.
pub(crate) fn is_other_workload(workload: &Workload) -> bool {
    &*workload.kind == OTHER && &*workload.name == OTHER
}

fn other() -> Workload {
    Workload {
        kind: OTHER.into(),
        name: OTHER.into(),
    }
}
