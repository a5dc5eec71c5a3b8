//! Who has an address, and who had it before, with the times.
//!
//! The VPC CNI gives an address to the next pod 30 s after the last one left, so a flow that is
//! drained late must be read with the owner of its own interval. The rule, for a flow of the
//! interval [from, until]:
//!
//! 1. the owner whose tenure overlaps the interval longest; of equals the most recent;
//! 2. where nobody's does, the present owner: the API tells of a pod's address after its first
//!    packets, and of everything that was there before the agent only once it has started.

use std::{
    cmp::{max, min},
    collections::HashMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;

/// How long a former owner is remembered, where no flow of its time is held back for longer.
pub(crate) const HISTORY: Duration = Duration::from_secs(300);

/// Present and former owners of addresses.
#[derive(Debug)]
pub(crate) struct Tenures<T> {
    present: HashMap<IpAddr, Tenure<T>, RandomState>,
    former: HashMap<IpAddr, Vec<FormerTenure<T>>>,
}

/// An owner and the time from which it is known to have the address.
#[derive(Debug)]
pub struct Tenure<T> {
    /// Who has the address.
    pub owner: Arc<T>,
    /// Since when, as far as the agent knows.
    pub since: Instant,
}

/// An owner that has given up the address.
#[derive(Debug)]
pub struct FormerTenure<T> {
    /// Who had the address, and since when.
    pub tenure: Tenure<T>,
    /// Until when.
    pub until: Instant,
}

impl<T> Default for Tenures<T> {
    fn default() -> Self {
        Self {
            present: HashMap::default(),
            former: HashMap::new(),
        }
    }
}

impl<T> Tenures<T> {
    /// The owner gets the address now. Whoever had it is a former owner from now on.
    pub(crate) fn take(&mut self, address: IpAddr, owner: Arc<T>, now: Instant) {
        if self.held_by(address, &owner).is_some() {
            return;
        }
        let tenure = Tenure { owner, since: now };
        if let Some(superseded) = self.present.insert(address, tenure) {
            self.remember(address, superseded, now);
        }
    }

    /// The owner gets all these addresses now.
    pub(crate) fn take_all(&mut self, addresses: &[IpAddr], owner: &Arc<T>, now: Instant) {
        for address in addresses {
            self.take(*address, Arc::clone(owner), now);
        }
    }

    /// The owner with the addresses `old` is described anew with the addresses `new`: the tenure
    /// of those in both goes on.
    pub(crate) fn settle(
        &mut self,
        (before, old): (&Arc<T>, &[IpAddr]),
        (after, new): (&Arc<T>, &[IpAddr]),
        now: Instant,
    ) {
        for address in old {
            if new.contains(address) {
                self.renew(*address, before, after);
            } else {
                self.give_up(*address, before, now);
            }
        }
        for address in new.iter().filter(|address| !old.contains(address)) {
            self.take(*address, Arc::clone(after), now);
        }
    }

    fn renew(&mut self, address: IpAddr, before: &Arc<T>, after: &Arc<T>) {
        if let Some(tenure) = self.held_by(address, before) {
            tenure.owner = Arc::clone(after);
        }
    }

    /// The owner has the address no more; nothing happens where it had lost it before.
    pub(crate) fn give_up(&mut self, address: IpAddr, owner: &Arc<T>, now: Instant) -> bool {
        if self.held_by(address, owner).is_none() {
            return false;
        }
        if let Some(tenure) = self.present.remove(&address) {
            self.remember(address, tenure, now);
        }
        true
    }

    /// The owner of the address during the interval, by the rule above.
    pub(crate) fn owner(&self, address: IpAddr, from: Instant, until: Instant) -> Option<&Arc<T>> {
        let present = self.present.get(&address);
        let Some(former) = self.former.get(&address) else {
            return present.map(|tenure| &tenure.owner);
        };
        let now = present.map(|tenure| (overlap(tenure.since, None, from, until), &tenure.owner));
        former
            .iter()
            .map(|past| {
                (
                    overlap(past.tenure.since, Some(past.until), from, until),
                    &past.tenure.owner,
                )
            })
            .chain(now)
            .filter(|(overlap, _)| overlap.is_some())
            .max_by_key(|(overlap, _)| *overlap)
            .map(|(_, owner)| owner)
            .or(present.map(|tenure| &tenure.owner))
    }

    /// Who has the address now.
    pub(crate) fn present(&self, address: IpAddr) -> Option<&Tenure<T>> {
        self.present.get(&address)
    }

    /// Who had the address, oldest first.
    pub(crate) fn former(&self, address: IpAddr) -> &[FormerTenure<T>] {
        self.former.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Forgets those who gave up their address longer than [`HISTORY`] ago, and before `needed`:
    /// the interval of a flow may have begun long before it was drained.
    pub(crate) fn prune(&mut self, now: Instant, needed: Option<Instant>) {
        let is_needed = |until| needed.is_some_and(|needed| until > needed);
        let is_recent = |until| now.saturating_duration_since(until) < HISTORY;
        self.former.retain(|_, tenures| {
            tenures.retain(|past| is_recent(past.until) || is_needed(past.until));
            !tenures.is_empty()
        });
    }

    fn held_by(&mut self, address: IpAddr, owner: &Arc<T>) -> Option<&mut Tenure<T>> {
        self.present
            .get_mut(&address)
            .filter(|tenure| Arc::ptr_eq(&tenure.owner, owner))
    }

    fn remember(&mut self, address: IpAddr, tenure: Tenure<T>, until: Instant) {
        self.former
            .entry(address)
            .or_default()
            .push(FormerTenure { tenure, until });
    }
}

/// How long a tenure, with an end or still going on, overlaps [from, until]; `None` where it does
/// not. An interval without length overlaps the tenure that it lies in.
fn overlap(
    since: Instant,
    end: Option<Instant>,
    from: Instant,
    until: Instant,
) -> Option<Duration> {
    if from == until {
        let holds = since <= from && end.is_none_or(|end| from < end);
        return holds.then_some(Duration::ZERO);
    }
    let end = end.unwrap_or(until);
    let length = min(end, until).checked_duration_since(max(since, from))?;
    (!length.is_zero()).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Clock(Instant);

    impl Clock {
        fn at(&self, seconds: u64) -> Instant {
            self.0 + Duration::from_secs(seconds)
        }
    }

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 9));

    fn owner(
        tenures: &Tenures<&'static str>,
        from: Instant,
        until: Instant,
    ) -> Option<&'static str> {
        tenures.owner(ADDRESS, from, until).map(|owner| **owner)
    }

    #[test]
    fn an_interval_belongs_to_who_had_the_address_longest_during_it() {
        let clock = Clock(Instant::now());
        let (old, new) = (Arc::new("old"), Arc::new("new"));
        let mut tenures = Tenures::default();
        tenures.take(ADDRESS, Arc::clone(&old), clock.at(0));
        assert!(tenures.give_up(ADDRESS, &old, clock.at(10)));
        tenures.take(ADDRESS, new, clock.at(40));

        assert_eq!(owner(&tenures, clock.at(5), clock.at(12)), Some("old"));
        assert_eq!(owner(&tenures, clock.at(38), clock.at(43)), Some("new"));
        // Nobody's interval: the present owner's first packets came before the API's event.
        assert_eq!(owner(&tenures, clock.at(33), clock.at(38)), Some("new"));
        // 4 s of the old one, 5 s of the new one; then as many of each.
        assert_eq!(owner(&tenures, clock.at(6), clock.at(45)), Some("new"));
        assert_eq!(owner(&tenures, clock.at(5), clock.at(45)), Some("new"));
        assert_eq!(owner(&tenures, clock.at(4), clock.at(45)), Some("old"));
        // An instant.
        assert_eq!(owner(&tenures, clock.at(9), clock.at(9)), Some("old"));
    }

    #[test]
    fn an_address_that_was_given_up_is_nobodys() {
        let clock = Clock(Instant::now());
        let pod = Arc::new("pod");
        let mut tenures = Tenures::default();
        tenures.take(ADDRESS, Arc::clone(&pod), clock.at(0));
        tenures.give_up(ADDRESS, &pod, clock.at(10));
        assert_eq!(owner(&tenures, clock.at(10), clock.at(15)), None);
        assert_eq!(owner(&tenures, clock.at(9), clock.at(15)), Some("pod"));
    }

    #[test]
    fn history_is_forgotten_in_time() {
        let clock = Clock(Instant::now());
        let pod = Arc::new("pod");
        let mut tenures = Tenures::default();
        tenures.take(ADDRESS, Arc::clone(&pod), clock.at(0));
        tenures.give_up(ADDRESS, &pod, clock.at(10));
        tenures.prune(clock.at(309), None);
        assert_eq!(tenures.former(ADDRESS).len(), 1);
        tenures.prune(clock.at(400), Some(clock.at(9)));
        assert_eq!(tenures.former(ADDRESS).len(), 1);
        tenures.prune(clock.at(310), Some(clock.at(10)));
        assert!(tenures.former(ADDRESS).is_empty());
        assert_eq!(owner(&tenures, clock.at(5), clock.at(6)), None);
    }

    #[test]
    fn who_lost_an_address_cannot_give_it_up() {
        let clock = Clock(Instant::now());
        let (old, new) = (Arc::new("old"), Arc::new("new"));
        let mut tenures = Tenures::default();
        tenures.take(ADDRESS, Arc::clone(&old), clock.at(0));
        tenures.take(ADDRESS, new, clock.at(5));
        assert!(!tenures.give_up(ADDRESS, &old, clock.at(6)));
        assert_eq!(owner(&tenures, clock.at(6), clock.at(7)), Some("new"));
        assert_eq!(owner(&tenures, clock.at(0), clock.at(5)), Some("old"));
    }
}
