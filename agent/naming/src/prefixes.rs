//! Longest-prefix tables over both address families.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

/// Values by network.
#[derive(Clone, Debug)]
pub(crate) struct Prefixes<T> {
    v4: PrefixMap<Ipv4Net, T>,
    v6: PrefixMap<Ipv6Net, T>,
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self {
            v4: PrefixMap::new(),
            v6: PrefixMap::new(),
        }
    }
}

impl<T> Prefixes<T> {
    /// Sets the value of a network; returns the one that it had.
    pub(crate) fn insert(&mut self, network: IpNet, value: T) -> Option<T> {
        match network {
            IpNet::V4(network) => self.v4.insert(network, value),
            IpNet::V6(network) => self.v6.insert(network, value),
        }
    }

    /// The value of the longest prefix that holds the address.
    pub(crate) fn find(&self, address: IpAddr) -> Option<(IpNet, &T)> {
        match address {
            IpAddr::V4(address) => {
                let (network, value) = self.v4.get_lpm(&Ipv4Net::from(address))?;
                Some((network.into(), value))
            }
            IpAddr::V6(address) => {
                let (network, value) = self.v6.get_lpm(&Ipv6Net::from(address))?;
                Some((network.into(), value))
            }
        }
    }

    /// All networks, IPv4 first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (IpNet, &T)> {
        let v4 = self
            .v4
            .iter()
            .map(|(network, value)| (network.into(), value));
        let v6 = self
            .v6
            .iter()
            .map(|(network, value)| (network.into(), value));
        v4.chain(v6)
    }

    /// True without a single network.
    pub(crate) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Number of networks.
    pub(crate) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }
}
