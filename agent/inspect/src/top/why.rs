//! Why a row is what it is: the addresses behind it in the last drain, each explained.

use std::collections::BTreeSet;

use anyhow::Result;
use form_urlencoded::Serializer;

use crate::{
    client::Client,
    debug::{
        answer::{Flow, Flows},
        pairs::answer::PairEnd,
    },
    explain,
    view::{Row, Source},
};

/// Addresses of the peer that are explained.
const MOST: usize = 3;

/// Asks the agents that see the row, and writes their answers one below the other.
///
/// # Errors
/// None that are not in the lines.
pub(super) async fn why(source: &Source, row: &Row) -> Vec<String> {
    let agents = match source {
        Source::Agents(agents) => agents,
        Source::Store(_) => return of_store(row),
    };
    let mut lines = Vec::new();
    for agent in agents {
        match of_agent(agent, row).await {
            Ok(said) => lines.extend(said),
            Err(error) => lines.push(format!("{error:#}")),
        }
    }
    if lines.is_empty() {
        lines.push("no packet of it in the last drain: wait for traffic".to_owned());
    }
    lines
}

/// A store has names and no addresses.
fn of_store(row: &Row) -> Vec<String> {
    let who = match row.pair.peer.workload.is_empty() {
        true => row.local(),
        false => row.peer(),
    };
    vec![
        "A store knows sums; what they stand on is known to the agents. Ask one of a node where"
            .to_owned(),
        "this workload has a pod:".to_owned(),
        String::new(),
        format!("  kubectl -n kube-system exec daemonset/zonemeter -- zonemeter explain {who}"),
    ]
}

async fn of_agent(agent: &Client, row: &Row) -> Result<Vec<String>> {
    let addresses = match row.addresses.iter().any(|address| !address.is_empty()) {
        true => row.addresses.iter().cloned().collect(),
        false => addresses(&agent.get::<Flows>(&path(row)).await?.flows, row),
    };
    let mut lines = Vec::new();
    for address in addresses.iter().filter(|address| !address.is_empty()) {
        let explained = explain::ask(agent, address).await?;
        lines.extend(explain::text(&explained).lines().map(str::to_owned));
        lines.push(String::new());
    }
    Ok(lines)
}

/// The conversations of the last drain that the row may be made of.
fn path(row: &Row) -> String {
    let pair = &row.pair;
    let mut query = Serializer::new(String::new());
    query
        .append_pair("scope", &pair.scope)
        .append_pair("limit", "10000");
    format!("/api/flows?{}", query.finish())
}

/// Of the peer's addresses the first few in their order.
fn addresses(flows: &[Flow], row: &Row) -> BTreeSet<String> {
    let (local, peer) = (&row.pair.local, &row.pair.peer);
    let any_peer = peer.kind == "peers";
    let found = flows.iter().filter_map(|flow| {
        let ends = [(&flow.local, &flow.peer), (&flow.peer, &flow.local)];
        let fits = ends
            .into_iter()
            .find(|(one, other)| is(local, one) && (any_peer || is(peer, other)));
        fits.map(|(_, other)| other.address.clone())
    });
    let all: BTreeSet<String> = found.collect();
    all.into_iter().take(MOST).collect()
}

fn is(end: &PairEnd, found: &crate::debug::answer::End) -> bool {
    let name = match &*end.kind {
        "Pod" if !found.pod.is_empty() && end.workload == found.pod => &found.pod,
        _ => &found.workload,
    };
    end.namespace == found.namespace && end.workload == *name && end.zone == found.zone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debug::{answer::End, pairs::answer::Pair};

    fn end(workload: &str, address: &str) -> End {
        End {
            namespace: "shop".to_owned(),
            pod: format!("{workload}-0"),
            workload: workload.to_owned(),
            address: address.to_owned(),
            ..End::default()
        }
    }

    fn flow(local: End, peer: End) -> Flow {
        Flow {
            local,
            peer,
            service: String::new(),
            other_ports: false,
            protocol: "tcp".to_owned(),
            scope: "cross_zone".to_owned(),
            via: String::new(),
            pending: false,
            transmit: Default::default(),
            receive: Default::default(),
        }
    }

    fn row(local: &str, peer: &str) -> Row {
        let end = |workload: &str| PairEnd {
            namespace: "shop".to_owned(),
            workload: workload.to_owned(),
            ..PairEnd::default()
        };
        Row::from(Pair {
            local: end(local),
            peer: end(peer),
            scope: "cross_zone".to_owned(),
            ..Pair::default()
        })
    }

    #[test]
    fn the_peers_addresses_are_those_of_the_rows_conversations() {
        let flows = [
            flow(end("client", "10.0.0.1"), end("db", "10.0.0.9")),
            flow(end("client", "10.0.0.2"), end("db", "10.0.0.8")),
            flow(end("client", "10.0.0.1"), end("web", "10.0.0.7")),
            flow(end("other", "10.0.0.3"), end("db", "10.0.0.6")),
        ];
        let found = |row: &Row| addresses(&flows, row).into_iter().collect::<Vec<_>>();
        assert_eq!(found(&row("client", "db")), ["10.0.0.8", "10.0.0.9"]);
        assert_eq!(
            found(&row("db", "other")),
            ["10.0.0.3"],
            "seen at the other end"
        );
        assert!(found(&row("nobody", "db")).is_empty());
        let mut all = row("client", "2 peers");
        all.pair.peer.kind = "peers".to_owned();
        assert_eq!(found(&all), ["10.0.0.7", "10.0.0.8", "10.0.0.9"]);
    }
}
