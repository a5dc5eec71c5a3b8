//! One row of the table, whatever it stands for.

use std::cmp::Ordering;

use super::question::Sort;
use crate::debug::{
    answer::{End, Flow},
    pairs::answer::{Pair, PairEnd, PairTraffic},
};

/// A pair, and what a conversation has beyond it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) pair: Pair,
    /// Addresses of the ends of a conversation; empty for everything else.
    pub(crate) addresses: [String; 2],
    /// Ports of the ends of a conversation; 0 where folded.
    pub(crate) ports: [u16; 2],
    /// A conversation had other ports, too.
    pub(crate) other_ports: bool,
    /// IP protocol of a conversation.
    pub(crate) protocol: String,
    /// How many rows this one is the sum of, itself included.
    pub(crate) folded: usize,
    /// Both ends were asked, and each has shown it.
    pub(crate) seen_twice: bool,
}

/// What makes two rows the same one, in every refresh.
pub(crate) type Key = (String, String, String, String);

impl From<Pair> for Row {
    fn from(pair: Pair) -> Self {
        Self {
            pair,
            folded: 1,
            ..Self::default()
        }
    }
}

impl From<Flow> for Row {
    fn from(flow: Flow) -> Self {
        let [transmit, receive] = [flow.transmit, flow.receive].map(|traffic| PairTraffic {
            bytes: traffic.bytes,
            packets: traffic.packets,
            bytes_per_second: traffic.bytes_per_second,
        });
        let services = [flow.service].into_iter().filter(|name| !name.is_empty());
        Self {
            ports: [flow.local.port, flow.peer.port],
            addresses: [flow.local.address.clone(), flow.peer.address.clone()],
            other_ports: flow.other_ports,
            protocol: flow.protocol,
            folded: 1,
            seen_twice: false,
            pair: Pair {
                local: end(flow.local),
                peer: end(flow.peer),
                services: services.collect(),
                scope: flow.scope,
                via: flow.via,
                transmit,
                receive,
                ..Pair::default()
            },
        }
    }
}

/// By pod where it is one.
fn end(end: End) -> PairEnd {
    let (workload, kind) = match end.pod.is_empty() {
        true => (end.workload, end.workload_kind),
        false => (end.pod, "Pod".to_owned()),
    };
    PairEnd {
        namespace: end.namespace,
        workload,
        kind,
        zone: end.zone,
    }
}

impl Row {
    /// The first end as people read it.
    pub(crate) fn local(&self) -> String {
        self.shown(&self.pair.local, 0)
    }

    /// The other end as people read it.
    pub(crate) fn peer(&self) -> String {
        self.shown(&self.pair.peer, 1)
    }

    fn shown(&self, end: &PairEnd, number: usize) -> String {
        let port = self.ports[number];
        let named = name(end, &self.addresses[number], port, &self.pair.scope);
        match self.other_ports && port != 0 {
            true => format!("{named} and others"),
            false => named,
        }
    }

    /// Which ports were noted first is chance, and may be others at the other end.
    fn told_apart(&self, end: &PairEnd, number: usize) -> String {
        let port = if self.other_ports {
            0
        } else {
            self.ports[number]
        };
        name(end, &self.addresses[number], port, &self.pair.scope)
    }

    /// Services in between and the way out.
    pub(crate) fn via(&self) -> String {
        let in_namespace = format!("{}/", self.pair.peer.namespace);
        let services = self.pair.services.iter();
        let services = services.map(|name| name.strip_prefix(&in_namespace).unwrap_or(name));
        let all: Vec<&str> = services
            .chain([&*self.pair.via])
            .filter(|name| !name.is_empty())
            .collect();
        all.join(",")
    }

    /// The same row seen from its other end.
    pub(crate) fn turned(&self) -> Self {
        let mut turned = self.clone();
        let pair = &mut turned.pair;
        std::mem::swap(&mut pair.local, &mut pair.peer);
        std::mem::swap(&mut pair.transmit, &mut pair.receive);
        turned.addresses.reverse();
        turned.ports.reverse();
        turned
    }

    /// What makes this row the same one in the next answer.
    pub(crate) fn key(&self) -> Key {
        let Pair {
            local,
            peer,
            scope,
            via,
            ..
        } = &self.pair;
        let end = |end: &PairEnd, name: String| format!("{} {name} {}", end.kind, end.zone);
        (
            end(local, self.told_apart(local, 0)),
            end(peer, self.told_apart(peer, 1)),
            format!("{scope} {via}"),
            self.protocol.clone(),
        )
    }

    /// Which of two comes first.
    pub(crate) fn compare(&self, other: &Self, sort: Sort) -> Ordering {
        let both = |row: &Self| row.pair.transmit.bytes + row.pair.receive.bytes;
        let total = || both(other).cmp(&both(self));
        let first = match sort {
            Sort::Dollars => {
                let dollars = |row: &Self| row.pair.dollars_per_month.unwrap_or(-1.0);
                dollars(other).total_cmp(&dollars(self)).then_with(total)
            }
            Sort::Total => total(),
            Sort::Transmit => other.pair.transmit.bytes.cmp(&self.pair.transmit.bytes),
            Sort::Receive => other.pair.receive.bytes.cmp(&self.pair.receive.bytes),
            Sort::Name => Ordering::Equal,
        };
        first.then_with(|| self.key().cmp(&other.key()))
    }

    /// Whether `text` is part of a name, a zone or an address, in any case.
    pub(crate) fn is_found_by(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let names = [self.local(), self.peer(), self.via()];
        let zones = [&self.pair.local.zone, &self.pair.peer.zone];
        let names = names.iter().chain(&self.addresses).chain(zones);
        names
            .into_iter()
            .any(|name| name.to_lowercase().contains(&text))
    }
}

/// `namespace/name:port`, or the closest to it that is known.
fn name(end: &PairEnd, address: &str, port: u16, scope: &str) -> String {
    let named = match (&*end.kind, &*end.workload) {
        (_, "") if !address.is_empty() => address.to_owned(),
        (_, "") => format!("({scope})"),
        ("Node", name) => format!("node {name}"),
        ("Network", name) => format!("network {name}"),
        (_, name) if end.namespace.is_empty() => name.to_owned(),
        (_, name) => format!("{}/{name}", end.namespace),
    };
    match port {
        0 => named,
        port if named.contains(':') && !named.contains('/') => format!("[{named}]:{port}"),
        port => format!("{named}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(namespace: &str, workload: &str, kind: &str) -> PairEnd {
        PairEnd {
            namespace: namespace.to_owned(),
            workload: workload.to_owned(),
            kind: kind.to_owned(),
            zone: String::new(),
        }
    }

    #[test]
    fn an_end_has_the_best_name_that_is_known() {
        for (end, address, port, shown) in [
            (end_of("shop", "client", "Deployment"), "", 0, "shop/client"),
            (
                end_of("shop", "db-0", "Pod"),
                "10.0.0.1",
                80,
                "shop/db-0:80",
            ),
            (end_of("", "a1", "Node"), "", 0, "node a1"),
            (
                end_of("", "s3", "Network"),
                "1.2.3.4",
                443,
                "network s3:443",
            ),
            (end_of("", "", ""), "1.2.3.4", 443, "1.2.3.4:443"),
            (end_of("", "", ""), "2001:db8::1", 443, "[2001:db8::1]:443"),
            (end_of("", "", ""), "2001:db8::1", 0, "2001:db8::1"),
            (end_of("", "", ""), "", 0, "(internet)"),
            (end_of("", "other", "other"), "", 0, "other"),
        ] {
            assert_eq!(name(&end, address, port, "internet"), shown);
        }
    }

    #[test]
    fn a_service_of_the_peers_namespace_is_named_without_it() {
        let mut row = Row::default();
        row.pair.peer = end_of("shop", "server", "Deployment");
        row.pair.services = vec!["shop/web".to_owned(), "other/web".to_owned()];
        assert_eq!(row.via(), "web,other/web");
        row.pair.services.clear();
        row.pair.via = "nat".to_owned();
        assert_eq!(row.via(), "nat");
    }

    #[test]
    fn rows_are_found_by_any_name_in_any_case() {
        let mut row = Row::default();
        row.pair.local = end_of("Shop", "Client", "Deployment");
        row.pair.services = vec!["shop/web".to_owned()];
        row.addresses[1] = "10.0.0.9".to_owned();
        for (text, found) in [
            ("", true),
            ("shop/cl", true),
            ("WEB", true),
            ("0.0.9", true),
            ("db", false),
        ] {
            assert_eq!(row.is_found_by(text), found, "{text}");
        }
    }

    #[test]
    fn equal_rows_keep_their_order_by_name() {
        let row = |workload: &str, dollars, bytes| {
            let mut row = Row::default();
            row.pair.local = end_of("n", workload, "Deployment");
            row.pair.dollars_per_month = dollars;
            row.pair.transmit.bytes = bytes;
            row
        };
        let rows = [
            row("c", Some(1.0), 5),
            row("a", Some(1.0), 5),
            row("b", Some(2.0), 1),
            row("d", None, 9),
        ];
        for (sort, expected) in [
            (Sort::Dollars, "bacd"),
            (Sort::Total, "dacb"),
            (Sort::Receive, "abcd"),
            (Sort::Name, "abcd"),
        ] {
            let mut sorted = rows.to_vec();
            sorted.sort_by(|one, other| one.compare(other, sort));
            let names: String = sorted.iter().map(|row| &*row.pair.local.workload).collect();
            assert_eq!(names, expected, "{sort:?}");
        }
    }
}
