//! Rows that are one: by Service, by pod, by workload, and what two agents saw of the same pair.
//!
//! What one end sends, the other receives, so two agents show the same bytes twice: the sender's
//! `transmit` and the receiver's `receive`. Of both the larger one is taken, never their sum. It
//! is exact where the agents of all nodes are asked; with less of them a row is what the end that
//! saw more has seen.

use std::collections::{HashMap, HashSet};

use super::row::Row;
use crate::debug::pairs::answer::{Pair, PairEnd, PairTraffic};
use zonemeter_model::snapshot::Scope;

/// Connections to one Service between the same zones in one row: a client's ephemeral ports and
/// the backends' addresses say little.
pub(crate) fn services(rows: Vec<Row>) -> Vec<Row> {
    by(rows, |row| {
        let mut row = row.clone();
        if let [service] = &row.pair.services[..] {
            let (namespace, name) = service.split_once('/').unwrap_or(("", service));
            row.pair.peer = PairEnd {
                namespace: namespace.to_owned(),
                workload: name.to_owned(),
                kind: "Service".to_owned(),
                zone: row.pair.peer.zone,
            };
            row.ports = [0, 0];
            row.other_ports = false;
            row.addresses[1].clear();
        }
        row
    })
}

/// One row for each pod or workload and scope; its peers become their number.
pub(crate) fn locals(rows: impl Iterator<Item = Row>) -> Vec<Row> {
    let rows: Vec<Row> = rows.collect();
    let mut peers: HashMap<_, usize> = HashMap::new();
    for row in distinct(&rows) {
        *peers.entry(row).or_default() += 1;
    }
    let mut rows = by(rows, alone);
    for row in &mut rows {
        let count = peers.get(&row.key()).copied().unwrap_or_default();
        row.pair.peer.workload = match count {
            1 => "1 peer".to_owned(),
            count => format!("{count} peers"),
        };
    }
    rows
}

/// The keys of the rows that [`locals`] makes, once for each peer.
fn distinct(rows: &[Row]) -> Vec<super::row::Key> {
    let mut all: Vec<_> = rows
        .iter()
        .map(|row| (alone(row).key(), row.pair.peer.clone()))
        .collect();
    all.sort();
    all.dedup();
    all.into_iter().map(|(key, _)| key).collect()
}

/// The row without its other end.
fn alone(row: &Row) -> Row {
    let local = row.pair.local.clone();
    Row {
        pair: Pair {
            local,
            peer: PairEnd {
                kind: "peers".to_owned(),
                workload: "peers".to_owned(),
                ..PairEnd::default()
            },
            services: Vec::new(),
            ..row.pair.clone()
        },
        addresses: Default::default(),
        ports: [0, 0],
        other_ports: false,
        protocol: String::new(),
        folded: row.folded,
        seen_twice: row.seen_twice,
    }
}

/// Adds up rows that become equal by `change`, in the order of their first.
fn by(rows: Vec<Row>, change: impl Fn(&Row) -> Row) -> Vec<Row> {
    let mut places = HashMap::new();
    let mut folded: Vec<Row> = Vec::new();
    for row in rows {
        let row = change(&row);
        match places.get(&row.key()) {
            None => {
                places.insert(row.key(), folded.len());
                folded.push(row);
            }
            Some(place) => add(&mut folded[*place], &row),
        }
    }
    folded
}

fn add(sum: &mut Row, row: &Row) {
    sum.folded += row.folded;
    let (pair, more) = (&mut sum.pair, &row.pair);
    pair.transmit = plus(pair.transmit, more.transmit);
    pair.receive = plus(pair.receive, more.receive);
    pair.total_bytes += more.total_bytes;
    pair.dollars_per_month = known(pair.dollars_per_month, more.dollars_per_month);
    let earlier = &mut pair.bytes_per_second_week_ago;
    *earlier = known(*earlier, more.bytes_per_second_week_ago);
    pair.trend = trend(&pair.trend, &more.trend);
    let services = more.services.iter().cloned();
    pair.services.extend(services);
    pair.services.sort();
    pair.services.dedup();
}

pub(crate) fn plus(one: PairTraffic, other: PairTraffic) -> PairTraffic {
    PairTraffic {
        bytes: one.bytes + other.bytes,
        packets: one.packets + other.packets,
        bytes_per_second: one.bytes_per_second + other.bytes_per_second,
    }
}

/// What is not known of one part leaves the other part.
pub(crate) fn known(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    }
}

/// Newest parts are of the same time.
fn trend(one: &[f64], other: &[f64]) -> Vec<f64> {
    let length = one.len().max(other.len());
    let at = |trend: &[f64], index: usize| {
        let place = (trend.len() + index).checked_sub(length);
        place.and_then(|place| trend.get(place)).copied()
    };
    (0..length)
        .map(|index| at(one, index).unwrap_or(0.0) + at(other, index).unwrap_or(0.0))
        .collect()
}

/// What several agents, each of another node, saw: one row for the two ends of a pair or of a
/// conversation.
///
/// The node itself has names at its own end only; others see the Node. A conversation is then known by
/// its addresses.
pub(crate) fn ends(answers: impl IntoIterator<Item = Vec<Row>>, dollars: Dollars) -> Vec<Row> {
    let mut places: HashMap<_, usize> = HashMap::new();
    let mut wires: HashMap<_, usize> = HashMap::new();
    let mut sides: Vec<Sides> = Vec::new();
    for row in same_ports(answers.into_iter().flatten().collect()) {
        let turned = row.turned();
        if let Some(place) = places.get(&row.key()) {
            merge(&mut sides[*place].0, row);
        } else if let Some(place) = places
            .get(&turned.key())
            .or_else(|| wires.get(&wire(&turned)?))
        {
            merge(&mut sides[*place].1, turned);
        } else {
            places.insert(row.key(), sides.len());
            if let Some(wire) = wire(&row) {
                wires.insert(wire, sides.len());
            }
            sides.push((Some(row), None));
        }
    }
    let larger = |sides| larger(sides, dollars);
    sides.into_iter().filter_map(larger).collect()
}

/// Each agent notes a port where it saw one only. Where either end saw several, neither's tells
/// conversations apart.
fn same_ports(mut rows: Vec<Row>) -> Vec<Row> {
    let addresses = |row: &Row| wire(row).map(|(addresses, _, protocol)| (addresses, protocol));
    let several = rows.iter().filter(|row| row.other_ports);
    let several: HashSet<_> = several
        .flat_map(|row| [addresses(row), addresses(&row.turned())])
        .flatten()
        .collect();
    for row in &mut rows {
        row.other_ports |= addresses(row).is_some_and(|of| several.contains(&of));
    }
    rows
}

/// What tells a conversation whatever its ends are called.
fn wire(row: &Row) -> Option<([String; 2], [u16; 2], String)> {
    let is_known = row.addresses.iter().all(|address| !address.is_empty());
    let ports = match row.other_ports {
        true => [0, 0],
        false => row.ports,
    };
    is_known.then(|| (row.addresses.clone(), ports, row.protocol.clone()))
}

/// Takes out the rows of pods with a Node that was asked itself, where it shows by name whom of its
/// own they speak with. `answers` are the names of the nodes that were asked and their rows.
pub(crate) fn named_nodes(answers: &mut [(String, Vec<Row>)]) {
    let mut named: HashSet<(String, PairEnd)> = HashSet::new();
    for (node, rows) in answers.iter() {
        let own = rows.iter().filter(|row| row.pair.host);
        named.extend(own.map(|row| (node.clone(), row.pair.peer.clone())));
    }
    for (_, rows) in answers.iter_mut() {
        rows.retain(|row| {
            let Pair { local, peer, .. } = &row.pair;
            let is_passed = row.pair.scope != Scope::IntraNode.name() && peer.kind == "Node";
            !(is_passed && named.contains(&(peer.workload.clone(), local.clone())))
        });
    }
}

/// Whose dollars the rows have that are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dollars {
    /// Both ends'; seen at each of them.
    OfPair,
    /// Those of the row's first end.
    OfFirstEnd,
}

/// What was seen at the first end, and at the other one as if it had been seen at the first.
type Sides = (Option<Row>, Option<Row>);

fn merge(side: &mut Option<Row>, row: Row) {
    match side {
        Some(sum) => add(sum, &row),
        None => *side = Some(row),
    }
}

fn larger((one, other): Sides, of: Dollars) -> Option<Row> {
    let (mut row, other) = match (one, other) {
        (Some(one), Some(other)) => (one, other),
        (one, other) => return one.or(other),
    };
    let (pair, seen) = (&mut row.pair, other.pair);
    let more = |one: PairTraffic, other: PairTraffic| match other.bytes > one.bytes {
        true => other,
        false => one,
    };
    if seen.transmit.bytes + seen.receive.bytes > pair.transmit.bytes + pair.receive.bytes {
        pair.trend = seen.trend;
    }
    pair.transmit = more(pair.transmit, seen.transmit);
    pair.receive = more(pair.receive, seen.receive);
    pair.total_bytes = pair.total_bytes.max(seen.total_bytes);
    pair.dollars_per_month = match (pair.dollars_per_month, seen.dollars_per_month) {
        (Some(one), Some(other)) if of == Dollars::OfPair => Some(one.max(other)),
        (one, other) => known(one, other),
    };
    let earlier = &mut pair.bytes_per_second_week_ago;
    *earlier = match (*earlier, seen.bytes_per_second_week_ago) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    };
    pair.services.extend(seen.services);
    pair.services.sort();
    pair.services.dedup();
    // Only its own agent knows who on a node it is.
    if pair.peer.kind == "Node" {
        pair.peer = seen.peer;
    }
    row.seen_twice = true;
    row.folded = row.folded.max(other.folded);
    Some(row)
}

#[cfg(test)]
#[path = "fold/tests.rs"]
mod tests;
