//! Interfaces that are not counted, each tried again after a pause that doubles.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{Count, Link};

/// After the first failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// By index.
#[derive(Debug, Default)]
pub(super) struct Failed(BTreeMap<u32, Failure>);

#[derive(Debug)]
struct Failure {
    link: Link,
    why: String,
    /// By programs of ours while they were attached, by direction.
    counted: [Count; 2],
    pause: Duration,
    again: Instant,
}

impl Failed {
    /// Attaching failed; true where it did not so before, or for another reason. Programs of ours
    /// have `counted` so much of what the interface carried.
    pub(super) fn insert(
        &mut self,
        link: &Link,
        why: String,
        counted: [Count; 2],
        now: Instant,
    ) -> bool {
        let before = self.0.get(&link.index);
        let pause = before.map_or(FIRST_PAUSE, |before| LONGEST_PAUSE.min(before.pause * 2));
        let is_new = before.is_none_or(|before| before.why != why);
        let failure = Failure {
            link: link.clone(),
            why,
            counted,
            pause,
            again: now + pause,
        };
        self.0.insert(link.index, failure);
        is_new
    }

    /// Those whose pause is over.
    pub(super) fn due(&self, now: Instant) -> Vec<Link> {
        let due = self.0.values().filter(|failure| failure.again <= now);
        due.map(|failure| failure.link.clone()).collect()
    }

    /// What was counted of an interface all the same.
    pub(super) fn counted(&self, index: u32) -> [Count; 2] {
        self.0
            .get(&index)
            .map_or([Count::ZERO; 2], |failure| failure.counted)
    }

    pub(super) fn contains(&self, index: u32) -> bool {
        self.0.contains_key(&index)
    }

    /// True where it was one.
    pub(super) fn remove(&mut self, index: u32) -> bool {
        self.0.remove(&index).is_some()
    }

    /// Forgets all others.
    pub(super) fn retain(&mut self, present: &[u32]) {
        self.0.retain(|index, _| present.contains(index));
    }

    pub(super) fn reasons(&self) -> impl Iterator<Item = String> {
        self.0.values().map(|failure| failure.why.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let start = Instant::now();
        let link = Link::named(7, "eni7");
        let none = [Count::ZERO; 2];
        let mut failed = Failed::default();
        assert!(failed.insert(&link, "full".to_owned(), none, start));
        let mut tries = Vec::new();
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            for link in failed.due(now) {
                tries.push(second);
                assert!(!failed.insert(&link, "full".to_owned(), none, now));
            }
        }
        assert_eq!(tries, [1, 3, 7, 15, 31, 61, 91]);
        assert!(
            failed.insert(&link, "gone".to_owned(), none, start),
            "said anew"
        );
        failed.retain(&[8]);
        assert!(!failed.contains(7));
    }
}
