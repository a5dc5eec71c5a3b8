//! The set of addresses whose other end conntrack must name, as the programs look it up.

use std::{collections::BTreeSet, net::IpAddr};

use anyhow::{Context as _, Result};
use aya::{
    Pod,
    maps::{Array, HashMap, MapData},
};
use zonemeter_common::conntrack::{FILTER_WORDS, Filter, filter_bit};

/// The set, and the filter of one bit for each address in front of it.
pub(in crate::kernel) struct Addresses {
    pub(in crate::kernel) ipv4: HashMap<MapData, [u8; 4], u8>,
    pub(in crate::kernel) ipv6: HashMap<MapData, [u8; 16], u8>,
    pub(in crate::kernel) filter: Array<MapData, Filter>,
}

impl Addresses {
    /// Makes the set exactly `wanted`. The filter never lacks the bit of an address that is in
    /// the set: it is written before addresses come and after they go.
    ///
    /// # Errors
    /// When the set is full; what is in it by then stays.
    pub(in crate::kernel) fn set(&mut self, wanted: &BTreeSet<IpAddr>) -> Result<()> {
        let (mut wanted4, mut wanted6) = (BTreeSet::new(), BTreeSet::new());
        for address in wanted {
            match address {
                IpAddr::V4(address) => wanted4.insert(address.octets()),
                IpAddr::V6(address) => wanted6.insert(address.octets()),
            };
        }
        let filter = filter(
            wanted4.iter().map(<[u8; 4]>::as_slice),
            wanted6.iter().map(<[u8; 16]>::as_slice),
        );
        self.filter
            .set(0, filter, 0)
            .context("the filter of translated addresses")?;
        replace(&mut self.ipv4, &wanted4)?;
        replace(&mut self.ipv6, &wanted6)
    }
}

fn filter<'a>(
    ipv4: impl Iterator<Item = &'a [u8]>,
    ipv6: impl Iterator<Item = &'a [u8]>,
) -> Filter {
    let mut words = [0; FILTER_WORDS];
    for bit in ipv4.chain(ipv6).map(filter_bit) {
        words[bit / 64] |= 1 << (bit % 64);
    }
    Filter { words }
}

fn replace<K: Pod + Ord>(map: &mut HashMap<MapData, K, u8>, wanted: &BTreeSet<K>) -> Result<()> {
    let present: BTreeSet<K> = map.keys().collect::<Result<_, _>>()?;
    for key in present.difference(wanted) {
        map.remove(key).context("removing a translated address")?;
    }
    for key in wanted.difference(&present) {
        map.insert(key, 1, 0)
            .context("adding a translated address")?;
    }
    Ok(())
}
