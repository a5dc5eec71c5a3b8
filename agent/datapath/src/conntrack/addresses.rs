//! The set of addresses whose other end conntrack must name, as the programs look it up.

use std::{array, collections::BTreeSet, net::IpAddr};

use anyhow::{Context as _, Result};
use aya::maps::{Array, HashMap, MapData};
use zonemeter_common::conntrack::{Address as _, FILTER_WORDS, Filter};

/// Where the programs look: a set, and in front of it a filter of one bit for each address.
pub(crate) trait Store {
    /// Writes the whole filter.
    fn set_filter(&mut self, filter: Filter) -> Result<()>;
    /// Puts an address into the set.
    fn insert(&mut self, address: IpAddr) -> Result<()>;
    /// Takes an address that is there out of the set.
    fn remove(&mut self, address: IpAddr) -> Result<()>;
}

/// The kernel's maps.
pub(crate) struct Maps {
    pub(crate) ipv4: HashMap<MapData, [u8; 4], u8>,
    pub(crate) ipv6: HashMap<MapData, [u8; 16], u8>,
    pub(crate) filter: Array<MapData, Filter>,
}

impl Store for Maps {
    fn set_filter(&mut self, filter: Filter) -> Result<()> {
        let set = self.filter.set(0, filter, 0);
        set.context("the filter of translated addresses")
    }

    fn insert(&mut self, address: IpAddr) -> Result<()> {
        match address {
            IpAddr::V4(address) => self.ipv4.insert(address.octets(), 1, 0),
            IpAddr::V6(address) => self.ipv6.insert(address.octets(), 1, 0),
        }
        .with_context(|| format!("adding the translated address {address}"))
    }

    fn remove(&mut self, address: IpAddr) -> Result<()> {
        match address {
            IpAddr::V4(address) => self.ipv4.remove(&address.octets()),
            IpAddr::V6(address) => self.ipv6.remove(&address.octets()),
        }
        .with_context(|| format!("removing the translated address {address}"))
    }
}

/// The set, and what this process has put into it: it is empty when it is loaded, and nobody else
/// writes to it, so that an update costs as much as it changes.
pub(crate) struct Addresses<S = Maps> {
    store: S,
    present: BTreeSet<IpAddr>,
    /// The filter may have bits of addresses that are not there.
    filter_has_more: bool,
}

impl<S: Store> Addresses<S> {
    /// Of a store that is empty.
    pub(crate) fn new(store: S) -> Self {
        Self {
            store,
            present: BTreeSet::new(),
            filter_has_more: false,
        }
    }

    /// Makes the set exactly `wanted`. The filter never lacks the bit of an address that is in
    /// the set: it has the bits of both before any address comes or goes, and loses those of the
    /// gone ones after that.
    ///
    /// # Errors
    /// The first one; everything else is done nevertheless, and the next call does what is left.
    pub(crate) fn set(&mut self, wanted: &BTreeSet<IpAddr>) -> Result<()> {
        let gone: Vec<IpAddr> = self.present.difference(wanted).copied().collect();
        let new: Vec<IpAddr> = wanted.difference(&self.present).copied().collect();
        if !new.is_empty() {
            self.store.set_filter(filter(self.present.union(wanted)))?;
        }
        self.filter_has_more |= !gone.is_empty();
        let mut result = Ok(());
        // Those that go first make room.
        for address in gone {
            match self.store.remove(address) {
                Ok(()) => drop(self.present.remove(&address)),
                failed => result = result.and(failed),
            }
        }
        for address in new {
            match self.store.insert(address) {
                Ok(()) => drop(self.present.insert(address)),
                failed => result = result.and(failed),
            }
        }
        result?;
        if self.filter_has_more {
            self.store.set_filter(filter(wanted.iter()))?;
            self.filter_has_more = false;
        }
        Ok(())
    }
}

fn in_memory(octets: [u8; 16]) -> [u64; 2] {
    let word = |first| u64::from_ne_bytes(array::from_fn(|byte| octets[first + byte]));
    [word(0), word(8)]
}

fn filter<'a>(addresses: impl Iterator<Item = &'a IpAddr>) -> Filter {
    let mut words = [0; FILTER_WORDS];
    for address in addresses {
        let bit = match address {
            IpAddr::V4(address) => u32::from_ne_bytes(address.octets()).filter_bit(),
            IpAddr::V6(address) => in_memory(address.octets()).filter_bit(),
        };
        words[bit / 64] |= 1 << (bit % 64);
    }
    Filter { words }
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    /// Keeps what the maps would, and checks that the filter has every address at all times.
    #[derive(Default)]
    struct Fake {
        set: BTreeSet<IpAddr>,
        filter: Option<Filter>,
        calls: usize,
        /// So many calls that change the set fail, as with ENOMEM.
        failing: usize,
    }

    impl Fake {
        fn change(&mut self) -> Result<()> {
            self.calls += 1;
            let fails = self.failing > 0;
            self.failing = self.failing.saturating_sub(1);
            ensure!(!fails, "Cannot allocate memory");
            Ok(())
        }

        fn check(&self) {
            let words = self.filter.map_or([0; FILTER_WORDS], |filter| filter.words);
            let needed = filter(self.set.iter()).words;
            assert!(
                needed
                    .iter()
                    .zip(words)
                    .all(|(bits, there)| bits & !there == 0)
            );
        }
    }

    impl Store for Fake {
        fn set_filter(&mut self, filter: Filter) -> Result<()> {
            self.filter = Some(filter);
            self.check();
            Ok(())
        }

        fn insert(&mut self, address: IpAddr) -> Result<()> {
            self.change()?;
            self.set.insert(address);
            self.check();
            Ok(())
        }

        fn remove(&mut self, address: IpAddr) -> Result<()> {
            self.change()?;
            assert!(self.set.remove(&address));
            self.check();
            Ok(())
        }
    }

    fn hosts(range: std::ops::Range<u8>) -> BTreeSet<IpAddr> {
        range.map(|host| IpAddr::from([10, 100, 0, host])).collect()
    }

    #[test]
    fn the_bit_of_an_address_is_that_of_its_words_in_memory() {
        for text in ["10.100.0.1", "fd00:10:100::1"] {
            let address: IpAddr = text.parse().unwrap();
            let bit = match address {
                IpAddr::V4(address) => u32::to_be(address.into()).filter_bit(),
                IpAddr::V6(address) => {
                    let number = u128::from(address);
                    [(number >> 64) as u64, number as u64]
                        .map(u64::to_be)
                        .filter_bit()
                }
            };
            let words = filter([&address].into_iter()).words;
            assert_eq!(words[bit / 64], 1 << (bit % 64), "{text}");
        }
    }

    #[test]
    fn an_update_costs_as_much_as_it_changes() {
        let mut addresses = Addresses::new(Fake::default());
        addresses.set(&hosts(0..200)).unwrap();
        assert_eq!(addresses.store.calls, 200);
        // One comes, two go.
        addresses.set(&hosts(2..201)).unwrap();
        assert_eq!(addresses.store.calls, 203);
        assert_eq!(addresses.store.set, hosts(2..201));
        let exact = filter(hosts(2..201).iter()).words;
        assert!(addresses.store.filter.unwrap().words == exact);
        addresses.set(&hosts(2..201)).unwrap();
        assert_eq!(addresses.store.calls, 203);
    }

    #[test]
    fn what_failed_is_done_by_the_next_update() {
        let mut addresses = Addresses::new(Fake::default());
        addresses.set(&hosts(0..10)).unwrap();
        addresses.store.failing = 3;
        // Two removals and an addition fail, the other additions do not.
        assert!(addresses.set(&hosts(2..13)).is_err());
        assert_eq!(addresses.store.set.len(), 12);
        addresses.set(&hosts(2..13)).unwrap();
        assert_eq!(addresses.store.set, hosts(2..13));
        let exact = filter(hosts(2..13).iter()).words;
        assert!(addresses.store.filter.unwrap().words == exact);
    }
}
