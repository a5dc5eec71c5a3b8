//! How many series there may be, and where a label set goes that came too late.
//!
//! A label set of the pod family and of the host family shows two series (bytes and packets), one
//! of the workload family shows one. A part of the ceiling is kept free for the series named `other`:
//!
//! - pod family: `namespace="other", pod="other"`, the other labels as they are;
//! - workload family: `peer_workload="other"`, kind `other`, no namespace, the rest as it is; and
//!   once there is no room for one more of those, `workload="other"` in namespace `other` too.
//!
//! What is not kept free for `other` is shared out so that no pod takes another's room:
//!
//! - pods come before pairs: the workload family leaves a third of it to the pod family, which may
//!   use all that is free;
//! - a workload opens another series in the workload family while it has fewer than are free for
//!   that family: alone it can have half, and a workload that has none always finds one. First
//!   come, first served: a series that is shown is never taken away for a busier one, only once it
//!   was idle for as long as the series of a gone pod and its workload was refused another.
//!
//! Who on the node itself sends and receives takes room among the workloads, by the same rule, two
//! series at a time; past it `peer_workload="other"`, and then the party itself.
//!
//! Of the last sort there are few: one for each zone pair, scope and direction. The ceiling holds
//! exactly from 400 on.

use std::sync::Arc;

use zonemeter_model::{
    cluster::Workload,
    snapshot::{PodLabels, WorkloadLabels},
};
use zonemeter_naming::scope::{OTHER, other};

use super::table::Table;

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
    /// Series of the pod family under their own names.
    pods: usize,
    /// Series of the workload family under their own names.
    pairs: usize,
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
            pods: 0,
            pairs: 0,
            others: 0,
        }
    }

    /// A label set of the pod family from an earlier process has its room, even where the ceiling
    /// is lower now.
    pub(crate) fn restore_pod(&mut self, is_other: bool) {
        match is_other {
            true => self.others += 2,
            false => self.pods += 2,
        }
    }

    /// The same for the workload family.
    pub(crate) fn restore_pair(&mut self, is_other: bool) {
        match is_other {
            true => self.others += 1,
            false => self.pairs += 1,
        }
    }

    /// Takes room for a label set of the pod family; false where there is none.
    pub(crate) fn take_pod(&mut self) -> bool {
        let fits = self.pods + self.pairs + 2 <= self.for_named();
        if fits {
            self.pods += 2;
        }
        fits
    }

    /// Takes room for one that may never count anything: of half the ceiling at most.
    pub(crate) fn take_pod_for_zero(&mut self) -> bool {
        self.pods + self.pairs + 2 <= self.for_named() / 2 && self.take_pod()
    }

    /// Takes room in the workload family for a workload that has so many series there; false where
    /// it has its share or there is none.
    pub(crate) fn take_pair(&mut self, has: usize) -> bool {
        let for_pods = self.pods.max(self.for_named() / 3);
        let free = self.for_named().saturating_sub(for_pods + self.pairs);
        let fits = has < free;
        if fits {
            self.pairs += 1;
        }
        fits
    }

    /// Gives back the room of so many label sets of the pod family.
    pub(crate) fn give_back_pods(&mut self, label_sets: usize) {
        self.pods -= 2 * label_sets;
    }

    /// Gives back the room of a series of the workload family.
    pub(crate) fn give_back_pair(&mut self) {
        self.pairs -= 1;
    }

    /// Takes room for a label set of the host family for one that has so many there; false where it
    /// has its share or there is none.
    pub(crate) fn take_host(&mut self, has: usize) -> bool {
        let for_pods = self.pods.max(self.for_named() / 3);
        let free = self.for_named().saturating_sub(for_pods + self.pairs);
        let fits = 2 * has + 1 < free;
        if fits {
            self.pairs += 2;
        }
        fits
    }

    /// One from an earlier process has its room.
    pub(crate) fn restore_host(&mut self) {
        self.pairs += 2;
    }

    /// Gives back the room of a label set of the host family.
    pub(crate) fn give_back_host(&mut self) {
        self.pairs -= 2;
    }

    /// Takes room for an `other` of the host family.
    pub(crate) fn take_other_host(&mut self) {
        self.others += 2;
    }

    /// Gives it back.
    pub(crate) fn give_back_other_host(&mut self) {
        self.others -= 2;
    }

    /// True where there is room only for what cannot fold any further.
    pub(crate) fn is_at_last_resort(&self) -> bool {
        self.others >= self.for_others - self.for_last_resort
    }

    fn for_named(&self) -> usize {
        self.max - self.for_others
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
        if self.is_at_last_resort() {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it takes before it refuses.
    fn taken(mut take: impl FnMut(usize) -> bool) -> usize {
        (0..10_000).take_while(|has| take(*has)).count()
    }

    /// 400 less 192 for `other` are 208.
    #[test]
    fn pods_use_all_that_is_free_and_series_at_zero_half_of_it() {
        let mut ceiling = Ceiling::new(400);
        assert_eq!(taken(|_| ceiling.take_pod_for_zero()), 208 / 2 / 2);
        assert_eq!(taken(|_| ceiling.take_pod()), 52);
        ceiling.give_back_pods(104);
        // 30 pairs leave 74 of the half.
        assert!((0..30).all(|_| ceiling.take_pair(0)));
        assert_eq!(taken(|_| ceiling.take_pod_for_zero()), 74 / 2);
        assert_eq!(taken(|_| ceiling.take_pod()), (208 - 30 - 74) / 2);
        // Nine tenths of a high ceiling.
        let mut high = Ceiling::new(4_000);
        assert_eq!(taken(|_| high.take_pod()), 3_600 / 2);
        // Half of a low one.
        let mut low = Ceiling::new(100);
        assert_eq!(taken(|_| low.take_pod()), 50 / 2);
    }

    /// A third of 208 is the pods'. Of the 139 that are left, one alone can have half.
    #[test]
    fn one_workload_takes_half_of_what_pods_leave() {
        let mut ceiling = Ceiling::new(400);
        assert_eq!(taken(|has| ceiling.take_pair(has)), 70);
        (0..70).for_each(|_| ceiling.give_back_pair());
        // Two series each: another has two, and of 137 the 34th finds 71 free, the next 69.
        assert!(ceiling.take_host(0));
        assert_eq!(taken(|has| ceiling.take_host(has)), 34);
        ceiling.give_back_host();
        assert!(ceiling.take_host(33) && !ceiling.take_host(34));
        (0..35).for_each(|_| ceiling.give_back_host());
        // 40 pods have more than their third: 128 are left.
        assert!((0..40).all(|_| ceiling.take_pod()));
        assert_eq!(taken(|has| ceiling.take_pair(has)), 64);
        (0..64).for_each(|_| ceiling.give_back_pair());
        assert_eq!(taken(|has| ceiling.take_host(has)), 32);
    }

    #[test]
    fn series_of_an_earlier_process_have_their_room() {
        let mut ceiling = Ceiling::new(400);
        (0..50).for_each(|_| ceiling.restore_pod(false));
        (0..20).for_each(|_| ceiling.restore_pair(false));
        (0..10).for_each(|_| ceiling.restore_host());
        assert_eq!(taken(|_| ceiling.take_pod()), (208 - 100 - 20 - 20) / 2);
    }

    /// Of 192 for `other`, 96 are for what cannot fold any further.
    #[test]
    fn the_last_resort_begins_where_half_the_room_of_other_is_taken() {
        let mut ceiling = Ceiling::new(400);
        (0..40).for_each(|_| ceiling.restore_pod(true));
        (0..7).for_each(|_| ceiling.restore_pair(true));
        (0..4).for_each(|_| ceiling.take_other_host());
        assert!(!ceiling.is_at_last_resort());
        ceiling.restore_pair(true);
        assert!(ceiling.is_at_last_resort());
        ceiling.give_back_other();
        assert!(!ceiling.is_at_last_resort());
        ceiling.restore_pair(true);
        ceiling.give_back_other_host();
        ceiling.restore_pair(true);
        assert!(!ceiling.is_at_last_resort());
        ceiling.restore_pair(true);
        assert!(ceiling.is_at_last_resort());
        // A low ceiling: a quarter of it.
        let mut low = Ceiling::new(100);
        (0..24).for_each(|_| low.restore_pair(true));
        assert!(!low.is_at_last_resort());
        low.restore_pair(true);
        assert!(low.is_at_last_resort());
    }
}
