//! The table of paths in `docs/services.md`.

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    document,
    moved::Methods,
    party::{Labels, Party},
    path::{Path, Shown, What},
};

/// A column of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// iptables rules, IPv4.
    Iptables,
    /// nftables rules, IPv4.
    Nftables,
    /// iptables rules, IPv6.
    Ipv6,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Iptables, Self::Nftables, Self::Ipv6];

    pub(crate) fn name(self) -> &'static str {
        ["iptables", "nftables", "ipv6"][self as usize]
    }
}

/// Rows in the order in which they were added first.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<(Row, BTreeMap<Mode, String>)>,
}

/// What must be the same in every mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) carries: &'static str,
    pub(crate) at_client: String,
    pub(crate) at_server: String,
}

impl Row {
    /// What `path` has shown.
    pub(crate) fn of(path: &Path, shown: &Shown) -> Self {
        Self {
            title: path.title,
            carries: match path.what {
                What::Both => "UDP, TCP",
                What::Udp => "UDP",
                What::OneWay => "UDP, one way",
                What::Fragments => "UDP in fragments",
                What::Refused => "UDP, ICMP errors",
            },
            at_client: end(path.client, shown.at_client.as_ref()),
            at_server: end(path.server, shown.at_server.as_ref()),
        }
    }
}

impl Table {
    /// Adds a row of equal bytes, or the result of one more mode to it.
    pub(crate) fn add(&mut self, mode: Mode, row: Row, methods: &Methods) {
        let most = methods.iter().max_by_key(|(_, bytes)| **bytes);
        let method = most.map(|(method, _)| format!(", `{method}`"));
        let result = format!("equal{}", method.unwrap_or_default());
        match self.rows.iter_mut().find(|(old, _)| old.title == row.title) {
            Some((old, results)) => {
                assert_eq!(*old, row, "called the same in every mode");
                results.insert(mode, result);
            }
            None => self.rows.push((row, BTreeMap::from([(mode, result)]))),
        }
    }

    /// Compares the document with the results, or writes it.
    pub(crate) fn check(&self) {
        document::check("paths", &self.text());
    }

    fn text(&self) -> String {
        let mut text = "| path | carries | at the client | at the server | iptables | nftables \
             | iptables, IPv6 | IPVS |\n|---|---|---|---|---|---|---|---|\n"
            .to_owned();
        for (row, results) in &self.rows {
            let Row {
                title,
                carries,
                at_client,
                at_server,
            } = row;
            let _ = write!(text, "| {title} | {carries} | {at_client} | {at_server} |");
            for mode in Mode::ALL {
                let result = results.get(&mode).map_or("–", String::as_str);
                let _ = write!(text, " {result} |");
            }
            text.push_str(" not run |\n");
        }
        text
    }
}

fn end(party: Party, labels: Option<&Labels>) -> String {
    let Some(labels) = labels else {
        return match party {
            Party::Pod(name) => panic!("{name}: a pod has series"),
            Party::Node(_) | Party::NodeAt(..) => "(a node: not counted)".to_owned(),
            Party::Outside(_) => "(not of the cluster)".to_owned(),
        };
    };
    let Labels {
        scope,
        peer_zone,
        peer_kind,
        peer,
    } = labels;
    let named = [peer_kind.as_str(), peer].join(" ");
    let parts = [named.trim(), &format!("`{scope}`"), peer_zone];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(", ")
}
