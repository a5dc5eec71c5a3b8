//! What is typed into the search box, and which pairs it means.

use std::collections::HashSet;

use ipnet::IpNet;
use zonemeter_model::{
    address::{self, NoRange},
    recent::{Party, Recent, ResolvedFlow},
};

use super::totals::{Key, key_of_flow, listed_as};

/// A search text with its meaning.
#[derive(Debug)]
pub(crate) enum Search {
    /// An address, or a range of addresses.
    Range(IpNet),
    /// A port of either end: `:443`.
    Port(u16),
    /// A part of a name, in lower case.
    Part(String),
}

impl Search {
    /// Addresses and CIDR ranges are these, and so are ports with a colon before them; anything else
    /// is a part of a name.
    pub(crate) fn new(text: &str) -> Self {
        let text = text.trim();
        if let Some(address) = address::address(text) {
            return Self::Range(address.into());
        }
        let port = text.strip_prefix(':').and_then(|port| port.parse().ok());
        if let Some(port) = port {
            return Self::Port(port);
        }
        match address::range(text) {
            Ok(range) | Err(NoRange::HostBits(range)) => Self::Range(range),
            Err(NoRange::Unreadable) => Self::Part(text.to_lowercase()),
        }
    }

    /// True where the name of a workload, Node, Network or zone of the pair has this part.
    pub(super) fn matches_names(&self, key: &Key) -> bool {
        let Self::Part(part) = self else { return false };
        has(&key.namespace, &key.workload.name, part)
            || has(&key.peer_namespace, &key.peer_workload.name, part)
            || [&key.zone, &key.peer_zone]
                .iter()
                .any(|zone| zone.to_lowercase() == *part)
    }

    /// True where a Service's `namespace/name` has this part.
    pub(super) fn matches_service(&self, service: &str) -> bool {
        matches!(self, Self::Part(part) if service.to_lowercase().contains(part))
    }

    /// True for a flow of the last drain: by address, port, pod, workload, or Service.
    pub(crate) fn matches_flow(&self, flow: &ResolvedFlow) -> bool {
        match self {
            Self::Range(range) => [flow.local_address, flow.peer_address]
                .iter()
                .any(|address| range.contains(&address.to_canonical())),
            Self::Port(port) => [flow.local_port, flow.peer_port].contains(port),
            Self::Part(part) => {
                let of = |party: &Party| {
                    has(&party.namespace, &party.pod, part)
                        || has(&party.namespace, &party.workload.name, part)
                };
                let service = flow.service.as_ref();
                of(&flow.local)
                    || of(&flow.peer)
                    || service.is_some_and(|name| has(&name.namespace, &name.name, part))
            }
        }
    }

    /// The pairs that have a flow in the last drain which matches.
    pub(super) fn seen_in(&self, recent: &Recent, exists: impl Fn(&Key) -> bool) -> HashSet<Key> {
        let matching = recent.flows.iter().filter(|flow| self.matches_flow(flow));
        let pair = |flow: &ResolvedFlow| {
            let key = key_of_flow(flow);
            listed_as(&key, &exists).unwrap_or(key)
        };
        matching.map(pair).collect()
    }
}

/// Whether `namespace/name` has a part.
fn has(namespace: &str, name: &str, part: &str) -> bool {
    !name.is_empty() && format!("{namespace}/{name}").to_lowercase().contains(part)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn a_range_holds_what_begins_with_its_bits() {
        let holds = |text: &str, address: &str| match Search::new(text) {
            Search::Range(range) => range.contains(&address.parse::<IpAddr>().unwrap()),
            other => panic!("{other:?} is no range"),
        };
        assert!(holds("10.0.0.0/8", "10.255.1.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.1.2.3", "10.1.2.3") && !holds("10.1.2.3", "10.1.2.4"));
        assert!(holds("10.0.7.9/8", "10.255.1.1"));
        assert!(holds("0.0.0.0/0", "203.0.113.1") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:9::1") && holds("::/0", "2001:db8::1"));
    }

    #[test]
    fn anything_else_is_a_part_of_a_name() {
        assert!(matches!(Search::new(":443"), Search::Port(443)));
        for text in ["shop/web", "10.0.0.0/x", "Web-1", "a/8", ":x", "443"] {
            assert!(matches!(Search::new(text), Search::Part(_)), "{text}");
        }
    }
}
