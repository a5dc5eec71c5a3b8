//! What pairs had carried at earlier moments, for means over a window and for small curves.
//!
//! Kept only while somebody looks: a point is what all pairs had carried when a drain ended, and a
//! pair takes 32 bytes of it. Of the last minute there is a point every 5 s, of the last five
//! minutes every 15 s, of the last hour every 3 minutes: 52 at most.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::task::spawn_blocking;
use zonemeter_model::{interest::Interest, recent::Recent, snapshot::Snapshot, traffic::Count};

use super::{
    super::State,
    request::Window,
    totals::{Both, Key, Total, key_of_flow, totals},
};

/// How long after the last question points are still added: longer than a person turns away.
const LOOKED_AT: Duration = Duration::from_secs(15 * 60);
/// Distance of points, and how far back they reach, from fine to coarse.
const TIERS: [(Duration, Duration); 3] = [
    (Duration::from_secs(5), Duration::from_secs(60)),
    (Duration::from_secs(15), Duration::from_secs(300)),
    (Duration::from_secs(180), Duration::from_secs(3600)),
];
/// Services that are remembered of one pair.
const MOST_SERVICES: usize = 16;
/// Numbers of pairs that are gone are used again once there are so many beside the present ones.
const GONE: usize = 1024;

/// The points. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct History {
    points: Arc<Mutex<Points>>,
    interest: Interest,
}

#[derive(Debug, Default)]
pub(super) struct Points {
    numbers: HashMap<Key, u32>,
    services: HashMap<u32, BTreeSet<Arc<str>>>,
    /// The end of the last drain that was taken in.
    noted: Option<Instant>,
    points: VecDeque<Point>,
}

/// What had been carried at one moment, since this process began to count.
#[derive(Debug)]
pub(super) struct Point {
    at: Instant,
    /// The first one in its stretch of each tier.
    opens: [bool; TIERS.len()],
    /// By the numbers of the pairs; 0 beyond the end.
    counts: Vec<Both>,
    unattributed: Both,
}

impl History {
    /// Somebody looks.
    pub(in crate::debug) fn asks(&self, now: Instant) {
        self.interest.asks(now);
    }

    /// Adds what the last drain brought, unless it was added before.
    pub(super) fn note(&self, snapshot: &Snapshot, recent: &Recent) {
        self.read().note(snapshot, recent);
    }

    /// The points as they are.
    pub(super) fn read(&self) -> MutexGuard<'_, Points> {
        // Whatever a panic left is dropped with the next look after a pause.
        self.points.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a drain while somebody looks, and forgets everything when nobody does.
    pub(in crate::debug) fn follow(&self, snapshot: &Snapshot, recent: &Recent, now: Instant) {
        if self.interest.within(LOOKED_AT, now) {
            self.note(snapshot, recent);
        } else {
            *self.read() = Points::default();
        }
    }
}

/// Adds a point after every drain while somebody looks, for ever.
///
/// # Errors
/// When adding panics.
pub async fn follow(state: State) -> Result<()> {
    let mut snapshots = state.snapshots.clone();
    while snapshots.changed().await.is_ok() {
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        let recent = Arc::clone(&state.recent.borrow());
        let history = state.history.clone();
        spawn_blocking(move || history.follow(&snapshot, &recent, Instant::now())).await?;
    }
    // Nobody drains any more: whoever did says why.
    std::future::pending().await
}

impl Points {
    fn note(&mut self, snapshot: &Snapshot, recent: &Recent) {
        let Some(covered) = snapshot.covered else {
            return;
        };
        if self.noted.replace(covered.until) == Some(covered.until) {
            return;
        }
        let last = self.points.back().map(|point| point.at);
        let opens = TIERS.map(|(distance, _)| {
            let stretch = |at: Instant| stretch(at, covered.since, distance);
            last.is_none_or(|last| stretch(last) != stretch(covered.until))
        });
        let totals = totals(snapshot);
        self.note_services(&totals, recent);
        if !opens[0] {
            return;
        }
        if self.numbers.len() > 2 * totals.len() + GONE {
            self.compact(&totals);
        }
        let mut counts = vec![[Count::ZERO; 2]; self.numbers.len()];
        for (key, total) in totals {
            let number = self.number(key) as usize;
            counts.resize(counts.len().max(number + 1), [Count::ZERO; 2]);
            counts[number] = total.own;
        }
        self.points.push_back(Point {
            at: covered.until,
            opens,
            counts,
            unattributed: snapshot.own_unattributed,
        });
        self.thin(covered.until);
    }

    /// Keeps of what is old only what a coarser tier needs.
    fn thin(&mut self, now: Instant) {
        self.points.retain(|point| {
            let age = now.saturating_duration_since(point.at);
            let needs = |(index, (distance, back)): (usize, &(Duration, Duration))| {
                point.opens[index] && age <= *back + *distance
            };
            TIERS.iter().enumerate().any(needs)
        });
    }

    fn note_services(&mut self, totals: &HashMap<Key, Total>, recent: &Recent) {
        let mut taken = HashSet::new();
        for flow in &recent.flows {
            let Some(service) = &flow.service else {
                continue;
            };
            // Ends are shared: most flows of a pair are told by them alone.
            let ends = (Arc::as_ptr(&flow.local), Arc::as_ptr(&flow.peer));
            if !taken.insert((ends, service, flow.scope)) {
                continue;
            }
            let key = key_of_flow(flow);
            let mirror = super::totals::listed_as(&key, |mirror| totals.contains_key(mirror));
            let number = self.number(mirror.unwrap_or(key));
            let services = self.services.entry(number).or_default();
            if services.len() < MOST_SERVICES {
                services.insert(format!("{}/{}", service.namespace, service.name).into());
            }
        }
    }

    fn number(&mut self, key: Key) -> u32 {
        let next = self.numbers.len() as u32;
        *self.numbers.entry(key).or_insert(next)
    }

    /// Gives new numbers to the pairs that are still there.
    fn compact(&mut self, present: &HashMap<Key, Total>) {
        let mut before = Vec::new();
        let mut numbers = HashMap::new();
        for (key, number) in self.numbers.drain() {
            if present.contains_key(&key) {
                numbers.insert(key, before.len() as u32);
                before.push(number);
            }
        }
        self.numbers = numbers;
        for point in &mut self.points {
            point.counts = before.iter().map(|number| point.count(*number)).collect();
        }
        let mut services = std::mem::take(&mut self.services);
        let found = |(after, before): (usize, &u32)| Some((after as u32, services.remove(before)?));
        self.services = before.iter().enumerate().filter_map(found).collect();
    }

    /// Where the numbers of a window that ends at `until` begin: the last point that is at least so
    /// old, else the oldest; `None` for all the time since the start.
    pub(super) fn begin(&self, window: Window, until: Instant) -> Option<&Point> {
        let length = window.length()?;
        let earlier = || self.points.iter().filter(|point| point.at < until);
        let age = |point: &Point| until.saturating_duration_since(point.at);
        earlier()
            .rfind(|point| age(point) >= length)
            .or_else(|| earlier().next())
    }

    /// The points of a window's curve, from `begin` on.
    pub(super) fn curve<'a>(&'a self, window: Window, begin: &'a Point) -> Vec<&'a Point> {
        let tier = match window {
            Window::Minute | Window::Start => 0,
            Window::FiveMinutes => 1,
            Window::Hour => 2,
        };
        let later = self.points.iter().filter(|point| point.at > begin.at);
        let opening = later.filter(|point| point.opens[tier]);
        std::iter::once(begin).chain(opening).collect()
    }

    /// The number of a pair.
    pub(super) fn find(&self, key: &Key) -> Option<u32> {
        self.numbers.get(key).copied()
    }

    /// The Services seen between the ends of a pair.
    pub(super) fn services(&self, number: u32) -> impl Iterator<Item = &Arc<str>> {
        self.services.get(&number).into_iter().flatten()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    #[cfg(test)]
    pub(super) fn numbers(&self) -> usize {
        self.numbers.len()
    }
}

impl Point {
    /// When it was.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// What a pair had carried.
    pub(super) fn count(&self, number: u32) -> Both {
        let found = self.counts.get(number as usize).copied();
        found.unwrap_or([Count::ZERO; 2])
    }

    /// What had no pod for good.
    pub(super) fn unattributed(&self) -> Both {
        self.unattributed
    }
}

fn stretch(at: Instant, since: Instant, distance: Duration) -> u128 {
    at.saturating_duration_since(since).as_millis() / distance.as_millis()
}
