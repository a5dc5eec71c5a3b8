//! The objects of one kind, kept equal to what the feed lists.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, sync::Arc};

/// An object as the feed described it, under a number that no other description ever has.
#[derive(Debug)]
pub struct Entry<T> {
    /// Unique among all entries of all kinds.
    pub id: u64,
    /// The object.
    pub object: T,
}

/// All objects of one kind by their key.
#[derive(Debug)]
pub(crate) struct Listed<K, T> {
    entries: HashMap<K, Seen<T>>,
    /// Number of the list under way, or of the last one.
    list: u32,
    under_way: bool,
    complete: bool,
}

#[derive(Debug)]
struct Seen<T> {
    entry: Arc<Entry<T>>,
    in_list: u32,
}

impl<K, T> Default for Listed<K, T> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            list: 0,
            under_way: false,
            complete: false,
        }
    }
}

impl<K: Eq + Hash + Clone, T> Listed<K, T> {
    /// The entry under this key.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&Arc<Entry<T>>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.get(key).map(|seen| &seen.entry)
    }

    /// All entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Entry<T>>> {
        self.entries.values().map(|seen| &seen.entry)
    }

    /// True once a full list was complete.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Number of objects.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Holds this entry from now on, and returns the one before it.
    pub(crate) fn put(&mut self, key: K, entry: Arc<Entry<T>>) -> Option<Arc<Entry<T>>> {
        let seen = Seen {
            entry,
            in_list: self.list,
        };
        self.entries.insert(key, seen).map(|before| before.entry)
    }

    /// The object is still there, as it was.
    pub(crate) fn confirm(&mut self, key: &K) {
        if let Some(seen) = self.entries.get_mut(key) {
            seen.in_list = self.list;
        }
    }

    /// Drops the object.
    pub(crate) fn remove(&mut self, key: &K) -> Option<Arc<Entry<T>>> {
        self.entries.remove(key).map(|seen| seen.entry)
    }

    /// A full list begins; an unfinished one before it counts for nothing.
    pub(crate) fn start_list(&mut self) {
        self.list = self.list.wrapping_add(1);
        self.under_way = true;
    }

    /// The full list is complete: the keys of all objects that were not in it.
    pub(crate) fn end_list(&mut self) -> Vec<K> {
        if !std::mem::take(&mut self.under_way) {
            return Vec::new();
        }
        self.complete = true;
        let missing = self
            .entries
            .iter()
            .filter(|(_, seen)| seen.in_list != self.list);
        missing.map(|(key, _)| key.clone()).collect()
    }
}
