//! The objects of one kind that have addresses: by key, and by address over time.

use std::{borrow::Borrow, hash::Hash, net::IpAddr, sync::Arc, time::Instant};

use zonemeter_model::{
    cluster::{Name, Node, Pod, Service},
    strings::Strings,
};

use super::{
    listed::{Entry, Listed},
    tenure::{FormerTenure, Tenure, Tenures},
};

/// An object that is found by its addresses.
pub(super) trait Addressed: PartialEq {
    /// What tells objects of this kind apart.
    type Key: Eq + Hash + Clone;
    /// True where an address goes back to an older claimant when its owner goes: the API may have
    /// told of the newer one first.
    const GOES_BACK: bool = false;

    fn key(&self) -> &Self::Key;

    /// The addresses that it owns.
    fn addresses(&self) -> &[IpAddr];

    /// False for a namesake of `before`: an object that took its place.
    fn is_still(&self, _before: &Self) -> bool {
        true
    }

    /// Shares the strings that recur in others.
    fn share(&mut self, strings: &mut Strings);
}

impl Addressed for Pod {
    type Key = Name;
    const GOES_BACK: bool = true;

    fn key(&self) -> &Name {
        &self.name
    }

    fn addresses(&self) -> &[IpAddr] {
        if self.host_network || self.finished {
            &[]
        } else {
            &self.addresses
        }
    }

    /// Not one that was replaced, or moved to another node.
    fn is_still(&self, before: &Self) -> bool {
        before.uid == self.uid && (before.node == self.node || before.node.is_none())
    }

    fn share(&mut self, strings: &mut Strings) {
        strings.share(&mut self.name.namespace);
        strings.share(&mut self.workload.kind);
        strings.share(&mut self.workload.name);
        self.node.iter_mut().for_each(|node| strings.share(node));
        self.addresses.shrink_to_fit();
    }
}

impl Addressed for Node {
    type Key = Arc<str>;

    fn key(&self) -> &Arc<str> {
        &self.name
    }

    fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    fn share(&mut self, strings: &mut Strings) {
        strings.share(&mut self.name);
        let zone = self.zone.iter_mut().chain(&mut self.zone_id);
        zone.for_each(|string| strings.share(string));
    }
}

impl Addressed for Service {
    type Key = Name;

    fn key(&self) -> &Name {
        &self.name
    }

    fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    fn share(&mut self, strings: &mut Strings) {
        strings.share(&mut self.name.namespace);
    }
}

/// What the entries of all kinds have in common: numbers, and strings that recur.
#[derive(Debug, Default)]
pub(super) struct Common {
    pub(super) strings: Strings,
    last_id: u64,
}

impl Common {
    /// An entry with a number of its own.
    pub(super) fn entry<T>(&mut self, object: T) -> Arc<Entry<T>> {
        self.last_id += 1;
        Arc::new(Entry {
            id: self.last_id,
            object,
        })
    }
}

/// All objects of one kind.
#[derive(Debug)]
pub(super) struct Directory<T: Addressed> {
    listed: Listed<T::Key, T>,
    addresses: Tenures<Entry<T>>,
}

impl<T: Addressed> Default for Directory<T> {
    fn default() -> Self {
        Self {
            listed: Listed::default(),
            addresses: Tenures::default(),
        }
    }
}

impl<T: Addressed> Directory<T> {
    /// The object has these contents now; `None` where it had them before.
    pub(super) fn apply(
        &mut self,
        mut object: T,
        common: &mut Common,
        now: Instant,
    ) -> Option<Arc<Entry<T>>> {
        let known = self.listed.get(object.key());
        if known.is_some_and(|entry| entry.object == object) {
            self.listed.confirm(object.key());
            return None;
        }
        object.share(&mut common.strings);
        let after = common.entry(object);
        let new = after.object.addresses();
        let key = after.object.key().clone();
        match self.listed.put(key, Arc::clone(&after)) {
            Some(before) if after.object.is_still(&before.object) => {
                let old = before.object.addresses();
                self.addresses.settle((&before, old), (&after, new), now);
            }
            before => {
                before.iter().for_each(|before| self.release(before, now));
                self.addresses.take_all(new, &after, now);
            }
        }
        Some(after)
    }

    /// The object is gone; `None` where there was none.
    pub(super) fn remove(&mut self, key: &T::Key, now: Instant) -> Option<Arc<Entry<T>>> {
        let gone = self.listed.remove(key)?;
        self.release(&gone, now);
        Some(gone)
    }

    /// It gives up its addresses.
    fn release(&mut self, gone: &Arc<Entry<T>>, now: Instant) {
        for address in gone.object.addresses() {
            if self.addresses.give_up(*address, gone, now)
                && T::GOES_BACK
                && let Some(claimant) = self.claimant(*address, gone)
            {
                self.addresses.take(*address, claimant, now);
            }
        }
    }

    fn claimant(&self, address: IpAddr, gone: &Entry<T>) -> Option<Arc<Entry<T>>> {
        let former = self.addresses.former(address).iter().rev();
        let present = former.filter_map(|past| self.listed.get(past.tenure.owner.object.key()));
        let mut claimants = present.filter(|one| one.object.addresses().contains(&address));
        claimants
            .find(|one| one.object.key() != gone.object.key())
            .cloned()
    }

    /// The entry under this key.
    pub(super) fn get<Q>(&self, key: &Q) -> Option<&Arc<Entry<T>>>
    where
        T::Key: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.listed.get(key)
    }

    /// All entries, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Entry<T>>> {
        self.listed.iter()
    }

    /// Who had the address during the interval.
    pub(super) fn owner(
        &self,
        address: IpAddr,
        from: Instant,
        until: Instant,
    ) -> Option<&Arc<Entry<T>>> {
        self.addresses.owner(address, from, until)
    }

    /// Who has the address now.
    pub(super) fn present(&self, address: IpAddr) -> Option<&Tenure<Entry<T>>> {
        self.addresses.present(address)
    }

    /// Who had the address, oldest first.
    pub(super) fn former(&self, address: IpAddr) -> &[FormerTenure<Entry<T>>] {
        self.addresses.former(address)
    }

    /// As [`Tenures::prune`].
    pub(super) fn prune(&mut self, now: Instant, needed: Option<Instant>) {
        self.addresses.prune(now, needed);
    }

    pub(super) fn is_complete(&self) -> bool {
        self.listed.is_complete()
    }

    pub(super) fn len(&self) -> usize {
        self.listed.len()
    }

    pub(super) fn start_list(&mut self) {
        self.listed.start_list();
    }

    pub(super) fn end_list(&mut self) -> Vec<T::Key> {
        self.listed.end_list()
    }
}
