//! Which drains the totals hold: each is added once, however often it is read.
//!
//! A drain is read again where an agent ended, or a map could not be cleared, after it was read.
//! Epochs go up within a set of maps, so the last one of each set says it all.

use zonemeter_model::kept::DrainId;

/// Sets of maps remembered. There is a new one where the sizes of maps change, and with each process
/// that pins nothing.
const MOST: usize = 8;

/// The last drain of each set of maps, the latest at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drains {
    last: Vec<DrainId>,
}

impl Drains {
    /// Goes on after these.
    pub(crate) fn after(last: Vec<DrainId>) -> Self {
        Self { last }
    }

    /// The last drain of each set of maps.
    pub(crate) fn last(&self) -> &[DrainId] {
        &self.last
    }

    /// Takes the drain in; false where it is in already.
    pub(crate) fn take(&mut self, drain: DrainId) -> bool {
        let known = self
            .last
            .iter()
            .position(|last| last.instance == drain.instance);
        match known {
            Some(at) if drain.epoch <= self.last[at].epoch => return false,
            Some(at) => drop(self.last.remove(at)),
            None if self.last.len() == MOST => drop(self.last.remove(0)),
            None => {}
        }
        self.last.push(drain);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(instance: u64, epoch: u64) -> DrainId {
        DrainId { instance, epoch }
    }

    #[test]
    fn each_drain_is_taken_once() {
        let mut drains = Drains::default();
        assert!(drains.take(id(1, 7)));
        assert!(!drains.take(id(1, 7)) && !drains.take(id(1, 6)));
        assert!(drains.take(id(2, 3)));
        // Two sets of maps side by side: those of an earlier agent and the new ones.
        assert!(drains.take(id(1, 8)) && !drains.take(id(2, 3)));
        assert_eq!(drains.last(), [id(2, 3), id(1, 8)]);
        let mut next = Drains::after(drains.last().to_vec());
        assert!(!next.take(id(1, 8)) && next.take(id(2, 4)));
    }

    #[test]
    fn the_latest_sets_of_maps_are_remembered() {
        let mut drains = Drains::default();
        for instance in 0..100 {
            assert!(drains.take(id(instance, 1)));
        }
        assert_eq!(drains.last().len(), MOST);
        assert!((92..100).all(|instance| !drains.take(id(instance, 1))));
    }
}
