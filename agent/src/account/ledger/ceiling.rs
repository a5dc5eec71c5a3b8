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

use super::{Series, Table};
use crate::model::{
    cluster::Workload,
    snapshot::{PodLabels, WorkloadLabels},
    traffic::Count,
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

    /// The labels under which a new pod series may be shown, and whether they are `other`.
    pub(crate) fn admit_pod(
        &mut self,
        labels: PodLabels,
        shown: &Table<PodLabels, Series<Count>>,
    ) -> (PodLabels, bool) {
        if self.admit_named(2) {
            return (labels, false);
        }
        let folded = PodLabels {
            namespace: OTHER.into(),
            pod: OTHER.into(),
            ..labels
        };
        if shown.find(&folded).is_none() {
            self.others += 2;
        }
        (folded, true)
    }

    /// The labels under which a new workload series may be shown, and whether they are `other`.
    pub(crate) fn admit_workload(
        &mut self,
        labels: WorkloadLabels,
        shown: &Table<WorkloadLabels, Series<u64>>,
    ) -> (WorkloadLabels, bool) {
        if self.admit_named(1) {
            return (labels, false);
        }
        let folded = WorkloadLabels {
            peer_namespace: Arc::default(),
            peer_workload: other(),
            ..labels
        };
        if shown.find(&folded).is_some() {
            return (folded, true);
        }
        let last = self.others >= self.for_others - self.for_last_resort;
        let folded = if last {
            WorkloadLabels {
                namespace: OTHER.into(),
                workload: other(),
                ..folded
            }
        } else {
            folded
        };
        if shown.find(&folded).is_none() {
            self.others += 1;
        }
        (folded, true)
    }

    /// These series are no longer shown.
    pub(crate) fn closed(
        &mut self,
        pods: &[(PodLabels, Series<Count>)],
        workloads: &[(WorkloadLabels, Series<u64>)],
    ) {
        let folded = |labels: &WorkloadLabels| is_other_workload(&labels.peer_workload);
        let others = workloads
            .iter()
            .filter(|(labels, _)| folded(labels))
            .count();
        self.others -= others;
        self.named -= 2 * pods.len() + workloads.len() - others;
    }

    fn admit_named(&mut self, series: usize) -> bool {
        let fits = self.named + series <= self.max - self.for_others;
        if fits {
            self.named += series;
        }
        fits
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
