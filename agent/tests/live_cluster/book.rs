//! The simplest reader of a stream of changes.

use std::collections::{BTreeMap, BTreeSet};

use zonemeter_model::cluster::{Change, Kind, Name, Object};

pub(crate) type Objects = BTreeMap<(Kind, Name), Object>;

#[derive(Default)]
pub(crate) struct Book {
    pub(crate) objects: Objects,
    pub(crate) lists_done: [usize; 4],
    listing: BTreeMap<Kind, BTreeSet<Name>>,
}

impl Book {
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::ListStarted(kind) => drop(self.listing.insert(kind, BTreeSet::new())),
            Change::Applied(object) => {
                let (kind, name) = (object.kind(), object.name());
                if let Some(listed) = self.listing.get_mut(&kind) {
                    listed.insert(name.clone());
                }
                self.objects.insert((kind, name), object);
            }
            Change::Deleted(kind, name) => drop(self.objects.remove(&(kind, name))),
            Change::ListDone(kind) => {
                let listed = self.listing.remove(&kind).expect("a list that began");
                self.objects
                    .retain(|(of, name), _| *of != kind || listed.contains(name));
                self.lists_done[kind as usize] += 1;
            }
        }
    }
}
