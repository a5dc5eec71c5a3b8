//! What agents answered, as rows with their sums.

use std::collections::{BTreeMap, HashSet};

use super::{
    fold,
    question::{Group, Question, Sort},
    row::Row,
};
use crate::debug::{
    answer::Flows,
    pairs::answer::{Pair, Pairs, PricesUsed, ScopeSum, ZoneSum},
};
use zonemeter_model::snapshot::Scope;

/// One answer to a question: of an agent, or of several together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// What is said of all rows; its `pairs` are empty.
    pub(crate) about: Pairs,
    /// Sorted, not cut.
    pub(crate) rows: Vec<Row>,
    /// One line for each agent that did not answer.
    pub(crate) failed: Vec<String>,
    /// One line for each thing that could not be told beside the rows.
    pub(crate) lacks: Vec<String>,
}

impl Reading {
    /// Of answers to [`Question::pairs`].
    pub(crate) fn of_pairs(mut answers: Vec<Pairs>, question: &Question) -> Self {
        let taken = |answer: &mut Pairs| {
            let pairs = std::mem::take(&mut answer.pairs);
            (answer.node.clone(), rows(pairs))
        };
        let mut pairs: Vec<(String, Vec<Row>)> = answers.iter_mut().map(taken).collect();
        let alone = answers.len() == 1 && question.group == Group::Pair;
        let mut about = together(answers);
        if alone {
            let rows = pairs.into_iter().flat_map(|(_, rows)| rows).collect();
            return Self::new(about, rows);
        }
        fold::named_nodes(&mut pairs);
        let (asked, pairs): (HashSet<String>, Vec<Vec<Row>>) = pairs.into_iter().unzip();
        let mut rows = match question.group {
            Group::Workload => fold::locals(pairs.into_iter().flatten().flat_map(both_ends)),
            _ => fold::ends(pairs, fold::Dollars::OfPair),
        };
        if question.group == Group::Workload {
            rows.retain(|row| row.is_found_by(&question.search));
        }
        (about.total, about.matched) = (rows.len(), rows.len());
        // Two nodes that speak with each other: each has named its own end only.
        add_up(&mut about, &rows, fold::Dollars::OfPair, |row| {
            let Pair { peer, scope, .. } = &row.pair;
            let both = row.pair.host && peer.kind == "Node" && scope != Scope::IntraNode.name();
            both && question.group == Group::Pair && asked.contains(&peer.workload)
        });
        Self::new(about, sorted(rows, question))
    }

    /// Of answers about the last drain.
    pub(crate) fn of_flows(answers: Vec<Flows>, question: &Question) -> Self {
        let mut about = Pairs {
            window: "drain".to_owned(),
            ..Pairs::default()
        };
        let mut parts = Vec::new();
        for answer in answers {
            about.seconds = about.seconds.max(answer.seconds);
            about.since_unix_seconds = answer.drained_unix_seconds - answer.seconds;
            about.truncated |= answer.matched > answer.flows.len();
            parts.push(answer.flows.into_iter().map(Row::from).collect::<Vec<_>>());
        }
        let mut rows = match question.group {
            Group::Pod => fold::locals(parts.into_iter().flatten()),
            _ => fold::ends(parts, fold::Dollars::OfPair),
        };
        if question.group == Group::Connection && !question.unfolded {
            rows = fold::services(rows);
        }
        about.total = rows.len();
        rows.retain(|row| row.is_found_by(&question.search));
        about.matched = rows.len();
        add_up(&mut about, &rows, fold::Dollars::OfPair, |_| false);
        Self::new(about, sorted(rows, question))
    }

    /// What a store has of both ends of every pair; dollars are of the row's first end alone.
    pub(crate) fn of_store(mut about: Pairs, ends: Vec<Row>, question: &Question) -> Self {
        let in_namespace = |row: &Row| {
            let Some(wanted) = &question.namespace else {
                return true;
            };
            let of_peer = question.group == Group::Pair && row.pair.peer.namespace == *wanted;
            row.pair.local.namespace == *wanted || of_peer
        };
        let of_scope = |row: &Row| {
            let wanted = question.scope.as_ref();
            wanted.is_none_or(|scope| *scope == row.pair.scope)
        };
        let mut rows = match question.group {
            Group::Pair => fold::ends([ends], fold::Dollars::OfFirstEnd),
            _ => fold::locals(ends.into_iter()),
        };
        about.total = rows.len();
        rows.retain(|row| of_scope(row) && in_namespace(row) && row.is_found_by(&question.search));
        about.matched = rows.len();
        // The other end, where it has an agent, has it under another name: the node's own.
        add_up(&mut about, &rows, fold::Dollars::OfFirstEnd, |row| {
            let Pair { peer, scope, .. } = &row.pair;
            let has_agent = !matches!(&*peer.kind, "" | "Network" | "Service" | "other");
            let once = row.seen_twice || scope == Scope::IntraNode.name();
            question.group == Group::Pair && has_agent && !once
        });
        Self::new(about, sorted(rows, question))
    }

    fn new(about: Pairs, rows: Vec<Row>) -> Self {
        Self {
            about,
            rows,
            failed: Vec::new(),
            lacks: Vec::new(),
        }
    }

    /// In the shape of `/api/pairs`, with `limit` rows at most.
    pub(crate) fn document(&self, limit: usize) -> Pairs {
        let rows = self.rows.iter().take(limit);
        Pairs {
            pairs: rows.map(|row| row.pair.clone()).collect(),
            truncated: self.about.truncated || self.rows.len() > limit,
            ..self.about.clone()
        }
    }
}

/// Without their sums: those of several agents hold the same bytes twice.
fn together(answers: Vec<Pairs>) -> Pairs {
    let mut answers = answers.into_iter();
    let mut about = answers.next().unwrap_or_default();
    for answer in answers {
        // What is of one node is not of several.
        (about.node, about.zone) = (String::new(), String::new());
        about.since_unix_seconds = about.since_unix_seconds.min(answer.since_unix_seconds);
        about.seconds = about.seconds.max(answer.seconds);
        about.age_seconds = about.age_seconds.max(answer.age_seconds);
        about.truncated |= answer.truncated;
        about.total = about.total.max(answer.total);
        about.matched = about.matched.max(answer.matched);
        for (sum, more) in about.not_attributed.iter_mut().zip(answer.not_attributed) {
            *sum = fold::plus(*sum, more);
        }
        about.prices = prices(about.prices, answer.prices);
    }
    about
}

fn prices(one: Option<PricesUsed>, other: Option<PricesUsed>) -> Option<PricesUsed> {
    let (Some(mut one), Some(other)) = (one.clone(), other.clone()) else {
        return one.or(other);
    };
    one.as_of.extend(other.as_of);
    one.as_of.sort();
    one.as_of.dedup();
    Some(one)
}

fn rows(pairs: Vec<Pair>) -> Vec<Row> {
    pairs.into_iter().map(Row::from).collect()
}

/// An agent lists what its own pods say to each other once, for both of them.
fn both_ends(row: Row) -> impl Iterator<Item = Row> {
    let peer = &row.pair.peer;
    let is_pod = !matches!(&*peer.kind, "" | "Node" | "Network" | "Service" | "other");
    let both = row.pair.scope == Scope::IntraNode.name() && is_pod && *peer != row.pair.local;
    let turned = both.then(|| row.turned());
    [row].into_iter().chain(turned)
}

fn sorted(mut rows: Vec<Row>, question: &Question) -> Vec<Row> {
    rows.sort_by_cached_key(Row::key);
    rows.sort_by(|one, other| one.compare(other, question.sort));
    rows
}

/// What rows make up by scope and way out, and by zones, in the order of the scopes. Where
/// `is_listed_again` says that another row has the same bytes, seen from the other end, what each end
/// sends is added.
fn add_up(
    about: &mut Pairs,
    rows: &[Row],
    dollars: fold::Dollars,
    is_listed_again: impl Fn(&Row) -> bool,
) {
    let mut scopes: BTreeMap<_, ScopeSum> = BTreeMap::new();
    let mut zones: BTreeMap<_, ZoneSum> = BTreeMap::new();
    for row in rows {
        let pair = &row.pair;
        let (receive, cost) = match (is_listed_again(row), dollars) {
            (false, _) => (pair.receive, pair.dollars_per_month),
            (true, fold::Dollars::OfFirstEnd) => (Default::default(), pair.dollars_per_month),
            (true, fold::Dollars::OfPair) => {
                let half = pair.dollars_per_month.map(|both| both / 2.0);
                (Default::default(), half)
            }
        };
        let at = order(&pair.scope);
        let sum = scopes.entry((at, pair.scope.clone(), pair.via.clone()));
        let sum = sum.or_insert_with(|| ScopeSum {
            scope: pair.scope.clone(),
            via: pair.via.clone(),
            ..ScopeSum::default()
        });
        sum.transmit = fold::plus(sum.transmit, pair.transmit);
        sum.receive = fold::plus(sum.receive, receive);
        sum.dollars_per_month = fold::known(sum.dollars_per_month, cost);
        let earlier = &mut sum.bytes_per_second_week_ago;
        *earlier = fold::known(*earlier, pair.bytes_per_second_week_ago);
        let of = [&pair.local.zone, &pair.peer.zone].map(Clone::clone);
        let sum = zones.entry((of.clone(), at, pair.via.clone()));
        let sum = sum.or_insert_with(|| {
            let [zone, peer_zone] = of;
            ZoneSum {
                zone,
                peer_zone,
                scope: pair.scope.clone(),
                via: pair.via.clone(),
                ..ZoneSum::default()
            }
        });
        sum.transmit = fold::plus(sum.transmit, pair.transmit);
        sum.receive = fold::plus(sum.receive, receive);
        sum.dollars_per_month = fold::known(sum.dollars_per_month, cost);
    }
    about.scopes = scopes.into_values().collect();
    about.zones = zones.into_values().collect();
}

fn order(scope: &str) -> usize {
    let at = Scope::ALL.iter().position(|known| known.name() == scope);
    at.unwrap_or(Scope::ALL.len())
}

impl Question {
    /// What of this can be told only when prices are known is asked for in another way.
    pub(crate) fn without_prices(&self) -> Self {
        Self {
            sort: Sort::Total,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        debug::pairs::answer::{PairEnd, PairTraffic},
        view::question::Window,
    };

    fn question(group: Group) -> Question {
        Question {
            group,
            window: Window::FiveMinutes,
            sort: Sort::Total,
            scope: None,
            namespace: None,
            search: String::new(),
            limit: 100,
            unfolded: false,
        }
    }

    fn pair(local: &str, peer: &str, transmit: u64, receive: u64) -> Pair {
        let end = |name: &str| PairEnd {
            namespace: "shop".to_owned(),
            workload: name.to_owned(),
            kind: "Deployment".to_owned(),
            zone: name.to_owned(),
        };
        let traffic = |bytes| PairTraffic {
            bytes,
            packets: 1,
            bytes_per_second: bytes as f64,
        };
        Pair {
            local: end(local),
            peer: end(peer),
            scope: "cross_zone".to_owned(),
            transmit: traffic(transmit),
            receive: traffic(receive),
            dollars_per_month: Some(1.0),
            ..Pair::default()
        }
    }

    fn answer(node: &str, pairs: Vec<Pair>) -> Pairs {
        Pairs {
            node: node.to_owned(),
            total: pairs.len(),
            matched: pairs.len(),
            scopes: vec![ScopeSum::default()],
            pairs,
            ..Pairs::default()
        }
    }

    /// `--json` has to equal `/api/pairs`.
    #[test]
    fn one_agents_answer_stays_as_it_is() {
        let answer = answer("a1", vec![pair("a", "b", 5, 1), pair("a", "c", 1, 1)]);
        let reading = Reading::of_pairs(vec![answer.clone()], &question(Group::Pair));
        assert_eq!(reading.document(100), answer);
        let cut = reading.document(1);
        assert_eq!((cut.pairs.len(), cut.truncated), (1, true));
    }

    #[test]
    fn two_agents_are_of_no_node_and_their_sums_are_of_the_rows() {
        let answers = vec![
            answer("a1", vec![pair("a", "b", 5, 1)]),
            answer("b1", vec![pair("b", "a", 1, 5)]),
        ];
        let reading = Reading::of_pairs(answers, &question(Group::Pair));
        let about = &reading.about;
        assert_eq!((&*about.node, about.total, reading.rows.len()), ("", 1, 1));
        assert_eq!(about.scopes[0].transmit.bytes, 5);
        assert_eq!(about.scopes[0].dollars_per_month, Some(1.0));
    }

    /// Each agent names its own end of what two nodes say to each other: two rows, the bytes once.
    #[test]
    fn what_two_nodes_say_to_each_other_is_added_once() {
        let of = |unit: &str, node: &str, sent, received| {
            let mut pair = pair(unit, node, sent, received);
            (pair.host, pair.peer.kind) = (true, "Node".to_owned());
            pair
        };
        let answers = vec![
            answer("a1", vec![of("kubelet", "b1", 5, 70)]),
            answer("b1", vec![of("etcd", "a1", 70, 5)]),
        ];
        let reading = Reading::of_pairs(answers, &question(Group::Pair));
        assert_eq!(reading.rows.len(), 2);
        let sum = &reading.about.scopes[0];
        assert_eq!((sum.transmit.bytes, sum.receive.bytes), (75, 0));
        assert_eq!(sum.dollars_per_month, Some(1.0));
    }

    #[test]
    fn workloads_are_the_local_ends() {
        let pairs = vec![
            pair("a", "b", 5, 1),
            pair("a", "c", 1, 1),
            pair("b", "a", 9, 9),
        ];
        let reading = Reading::of_pairs(vec![answer("a1", pairs)], &question(Group::Workload));
        let shown: Vec<_> = reading
            .rows
            .iter()
            .map(|row| (row.local(), row.peer(), row.pair.transmit.bytes))
            .collect();
        let row = |local: &str, peers: &str, bytes| (local.to_owned(), peers.to_owned(), bytes);
        assert_eq!(
            shown,
            [row("shop/b", "1 peer", 9), row("shop/a", "2 peers", 6)]
        );
    }
}
