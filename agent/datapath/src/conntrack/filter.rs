//! The filter of addresses whose other end conntrack must name, as the programs look at it.

use std::{array, net::IpAddr};

use anyhow::{Context as _, Result};
use aya::maps::{Array, MapData};
use zonemeter_common::conntrack::{Address as _, Filter};

/// The map of the filter, which nobody else writes to.
pub(crate) struct AddressFilter {
    map: Array<MapData, Filter>,
    /// Not yet written.
    next: Option<Box<Filter>>,
}

impl AddressFilter {
    /// Has no addresses.
    pub(crate) fn new(map: Array<MapData, Filter>) -> Self {
        Self { map, next: None }
    }

    /// Makes it that of `addresses` by the next [`Self::write`].
    pub(crate) fn set<'a>(&mut self, addresses: impl Iterator<Item = &'a IpAddr>) {
        self.next = Some(filter(addresses));
    }

    /// Tells the programs. The kernel copies the bytes, so that a bit of both filters, and with it an
    /// address that was there and stays, is there at all times.
    ///
    /// # Errors
    /// When the kernel has no memory for it; the next call tries again.
    pub(crate) fn write(&mut self) -> Result<()> {
        if let Some(next) = &self.next {
            let written = self.map.set(0, next.as_ref(), 0);
            written.context("writing the filter of translated addresses")?;
            self.next = None;
        }
        Ok(())
    }
}

fn filter<'a>(addresses: impl Iterator<Item = &'a IpAddr>) -> Box<Filter> {
    let mut filter = Box::new(Filter::NONE);
    for address in addresses {
        let (word, bits) = match address {
            IpAddr::V4(address) => u32::from_ne_bytes(address.octets()).place(),
            IpAddr::V6(address) => in_memory(address.octets()).place(),
        };
        filter.words[word] |= bits;
    }
    filter
}

fn in_memory(octets: [u8; 16]) -> [u64; 2] {
    let word = |first| u64::from_ne_bytes(array::from_fn(|byte| octets[first + byte]));
    [word(0), word(8)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_where_the_programs_look_for_them() {
        for text in ["10.100.0.1", "fd00:10:100::1"] {
            let address: IpAddr = text.parse().unwrap();
            let (word, bits) = match address {
                IpAddr::V4(address) => u32::to_be(address.into()).place(),
                IpAddr::V6(address) => {
                    let number = u128::from(address);
                    let halves = [(number >> 64) as u64, number as u64];
                    halves.map(u64::to_be).place()
                }
            };
            let Filter { words } = *filter([&address].into_iter());
            assert_eq!(words[word], bits, "{text}");
            assert_eq!(words.iter().filter(|word| **word != 0).count(), 1);
        }
    }
}
