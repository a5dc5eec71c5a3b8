//! The filter of addresses whose other end conntrack must name, as the programs look at it.

use std::{array, net::IpAddr};

use zonemeter_common::conntrack::{Address as _, FILTER_WORDS};

use crate::mapped::Mapped;

/// The map of the filter, which nobody else writes to.
pub(crate) struct AddressFilter(Mapped<u64>);

impl AddressFilter {
    /// Of a map of one [`zonemeter_common::conntrack::Filter`].
    pub(crate) fn new(words: Mapped<u64>) -> Self {
        Self(words)
    }

    /// Makes it that of `addresses`, word by word: one that was there and stays is there at all times.
    pub(crate) fn set<'a>(&mut self, addresses: impl Iterator<Item = &'a IpAddr>) {
        for (index, word) in words(addresses).into_iter().enumerate() {
            if self.0.get(index) != Some(word) {
                self.0.set(index, word);
            }
        }
    }
}

fn words<'a>(addresses: impl Iterator<Item = &'a IpAddr>) -> Vec<u64> {
    let mut words = vec![0; FILTER_WORDS];
    for address in addresses {
        let (word, bits) = match address {
            IpAddr::V4(address) => u32::from_ne_bytes(address.octets()).place(),
            IpAddr::V6(address) => in_memory(address.octets()).place(),
        };
        words[word] |= bits;
    }
    words
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
            let words = words([&address].into_iter());
            assert_eq!(words[word], bits, "{text}");
            assert_eq!(words.iter().filter(|word| **word != 0).count(), 1);
        }
    }
}
