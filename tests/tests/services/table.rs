//! `docs/services.md`: what every path showed.

use std::{collections::BTreeMap, env, fmt::Write, fs};

use crate::{
    party::{Labels, Party},
    path::{Path, Shown, What},
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/services.md");
/// Set to any value, the test writes the file instead of comparing it.
const UPDATE: &str = "ZONEMETER_UPDATE_DOCS";

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

/// Rows by title, in the order in which they were added first.
#[derive(Default)]
pub(crate) struct Table {
    titles: Vec<&'static str>,
    rows: BTreeMap<&'static str, Row>,
}

struct Row {
    what: What,
    at_client: String,
    at_server: String,
    results: BTreeMap<Mode, String>,
}

impl Table {
    /// Adds what `path` has shown, which must be called the same in every mode.
    pub(crate) fn add(&mut self, mode: Mode, path: &Path, shown: Shown) {
        let at_client = end(path.client, shown.at_client.as_ref());
        let at_server = end(path.server, shown.at_server.as_ref());
        let titles = &mut self.titles;
        let row = self.rows.entry(path.title).or_insert_with(|| {
            titles.push(path.title);
            Row {
                what: path.what,
                at_client: at_client.clone(),
                at_server: at_server.clone(),
                results: BTreeMap::new(),
            }
        });
        assert_eq!(
            (&row.at_client, &row.at_server),
            (&at_client, &at_server),
            "{}",
            path.title
        );
        let most = shown.methods.iter().max_by_key(|(_, bytes)| **bytes);
        let method = most.map(|(method, _)| format!(", `{method}`"));
        let result = format!("equal{}", method.unwrap_or_default());
        row.results.insert(mode, result);
    }

    /// Compares the file with the results, or writes it.
    pub(crate) fn check(&self) {
        let expected = self.text();
        if env::var_os(UPDATE).is_some() {
            fs::write(FILE, &expected).unwrap();
        }
        assert!(
            fs::read_to_string(FILE).unwrap_or_default() == expected,
            "docs/services.md differs from what the paths showed:\n{expected}\n\
             {UPDATE}=1 cargo test -p zonemeter-tests --test services every_path"
        );
    }

    fn text(&self) -> String {
        let mut text = include_str!("head.md").to_owned();
        text.push_str(
            "\n| path | carries | at the client | at the server | iptables | nftables | iptables, IPv6 | IPVS |\n\
             |---|---|---|---|---|---|---|---|\n",
        );
        for title in &self.titles {
            let row = &self.rows[title];
            let carries = match row.what {
                What::Both => "UDP, TCP",
                What::Udp => "UDP",
                What::OneWay => "UDP, one way",
            };
            let _ = write!(
                text,
                "| {title} | {carries} | {} | {} |",
                row.at_client, row.at_server
            );
            for mode in Mode::ALL {
                let result = row.results.get(&mode).map_or("–", String::as_str);
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
