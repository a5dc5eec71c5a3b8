//! Who is busy enough for a series of its own once the ceiling is reached.
//!
//! Label sets that found no room wait as applicants while their increments go to `other`. Once a
//! minute
//!
//! 1. room that has become free goes to the busiest of them (and not to who comes first: a new
//!    label set waits too while others do);
//! 2. an applicant that is [`BUSIER`] times busier than the least busy series makes that one leave:
//!    from then on its increments go to `other`, what it has shown stays until it was idle for as
//!    long as the series of a gone pod, and then its room is free.
//!
//! Busy means: bytes, of which those of a minute ago count half and so on. The factor and the wait
//! keep a series from flapping; one that is leaving and becomes busy again stays as it was. Nothing
//! that a series has shown moves to another.

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

use super::table::{Slot, Table};
use crate::model::snapshot::WorkloadLabels;

/// How often the busiest are looked for.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How much busier an applicant must be than the series that leaves for it.
pub(crate) const BUSIER: u64 = 4;
/// Applicants at most; others are counted in `other` and may apply after the next look.
const MOST_APPLICANTS: usize = 4096;

/// Bytes of late.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Busyness {
    since_look: u64,
    recent: u64,
}

/// Label sets that wait for room.
#[derive(Debug, Default)]
pub(crate) struct Applicants {
    waiting: Table<WorkloadLabels, Busyness>,
}

/// Series that change places.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Series that were leaving and stay, with their labels.
    pub(crate) back: Vec<(WorkloadLabels, Slot)>,
    /// Series that leave from now on.
    pub(crate) out: Vec<Slot>,
}

/// True once every [`LOOK_EVERY`], from the first time on.
pub(crate) fn is_due(looked: &mut Option<Instant>, now: Instant) -> bool {
    let since = now.saturating_duration_since(*looked.get_or_insert(now));
    if since >= LOOK_EVERY {
        *looked = Some(now);
    }
    since >= LOOK_EVERY
}

/// Decides which series leave: one of the `weakest` (busyness and number) for each applicant that
/// is so much busier. For the busiest `places` of them a series is already leaving.
pub(crate) fn changes(
    applicants: &Applicants,
    mut weakest: Vec<(u64, Slot)>,
    mut places: usize,
    find: impl Fn(&WorkloadLabels) -> Option<Slot>,
) -> Changes {
    weakest.sort_unstable();
    let mut weakest = weakest.into_iter().peekable();
    let mut changes = Changes::default();
    for (recent, labels) in applicants.by_busyness() {
        let Some((least, slot)) = weakest.peek() else {
            break;
        };
        if recent <= least.saturating_mul(BUSIER) {
            break;
        }
        if let Some(own) = find(labels) {
            changes.back.push((labels.clone(), own));
            places = places.saturating_sub(1);
        } else if places > 0 {
            places -= 1;
        } else {
            changes.out.push(*slot);
            weakest.next();
        }
    }
    changes
}

impl Busyness {
    /// More bytes.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.since_look += bytes;
    }

    /// A look has come: what was before it counts half from now on.
    pub(crate) fn age(&mut self) {
        self.recent = self.recent / 2 + std::mem::take(&mut self.since_look);
    }

    /// Bytes of late, as of the last look.
    pub(crate) fn recent(&self) -> u64 {
        self.recent
    }
}

impl Applicants {
    /// The number under which a label set waits; `None` where too many do.
    pub(crate) fn wait(&mut self, labels: WorkloadLabels) -> Option<Slot> {
        let known = self.waiting.find(&labels);
        let room = self.waiting.len() < MOST_APPLICANTS;
        known.or_else(|| room.then(|| self.waiting.insert(labels, Busyness::default())))
    }

    /// More bytes of one that waits.
    pub(crate) fn add(&mut self, applicant: Slot, bytes: u64) {
        if let Some(busyness) = self.waiting.value_mut(applicant) {
            busyness.add(bytes);
        }
    }

    /// True while nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.len() == 0
    }

    /// A look has come.
    pub(crate) fn age(&mut self) {
        self.waiting.values_mut().for_each(Busyness::age);
    }

    /// Those who wait and were not silent, the busiest first.
    pub(crate) fn busiest(&self) -> Vec<WorkloadLabels> {
        self.by_busyness()
            .filter(|(recent, _)| *recent > 0)
            .map(|(_, labels)| labels.clone())
            .collect()
    }

    /// Waits no more.
    pub(crate) fn remove(&mut self, labels: &WorkloadLabels) {
        self.waiting.remove(labels);
    }

    /// Forgets those that do not fit; true where there were any.
    pub(crate) fn keep_if(&mut self, fits: impl Fn(&WorkloadLabels) -> bool) -> bool {
        !self.waiting.take_if(|labels, _| !fits(labels)).is_empty()
    }

    /// Forgets those who have fallen silent, and the less busy half of too many.
    pub(crate) fn prune(&mut self) {
        let most = self.by_busyness().nth(MOST_APPLICANTS / 2);
        let least = most.map_or(0, |(recent, _)| recent);
        self.waiting.take_if(|_, busyness| busyness.recent <= least);
    }

    fn by_busyness(&self) -> impl Iterator<Item = (u64, &WorkloadLabels)> {
        let mut applicants: Vec<_> = self
            .waiting
            .iter()
            .map(|(labels, busyness)| (busyness.recent, labels))
            .collect();
        applicants.sort_by_key(|(recent, _)| Reverse(*recent));
        applicants.into_iter()
    }
}
