//! `/api/flows`: conversations of the last drain, both directions of one in one row.

use std::{collections::HashMap, net::IpAddr};

use axum::{
    Json,
    extract::{Query, State},
};
use tokio::task::spawn_blocking;
use zonemeter_model::{
    address,
    recent::{Party, Recent, ResolvedFlow},
    snapshot::Scope,
    traffic::{Count, Direction},
};

use super::{
    answer::{End, Flow, Flows, Refusal, Traffic, failed, per_second, unix_seconds},
    pairs::search::Search,
    query::Parameters,
};

const DEFAULT_LIMIT: usize = 50;
const MOST: usize = 10_000;

pub(super) async fn list(
    State(state): State<super::State>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<Flows>, Refusal> {
    let request = Request::new(pairs)?;
    let recent = state.recorded().await;
    // A hundred thousand flows take tens of milliseconds: not on the thread that serves others.
    let answered = spawn_blocking(move || select(&recent, &request)).await;
    answered.map(Json).map_err(|_| failed("/api/flows"))
}

/// What is asked for.
#[derive(Debug)]
struct Request {
    limit: usize,
    sort: Sort,
    scope: Option<Scope>,
    namespace: Option<String>,
    pod: Option<String>,
    peer: Option<String>,
    search: Option<Search>,
}

#[derive(Clone, Copy, Debug)]
enum Sort {
    Transmit,
    Receive,
    Total,
}

impl Request {
    fn new(pairs: Vec<(String, String)>) -> Result<Self, Refusal> {
        let known = [
            "limit",
            "sort",
            "scope",
            "namespace",
            "pod",
            "peer",
            "search",
        ];
        let parameters = Parameters::new(pairs, &known)?;
        let text = |name| parameters.text(name).map(str::to_owned);
        Ok(Self {
            limit: parameters
                .read("limit", "a number from 1 to 10000", limit)?
                .unwrap_or(DEFAULT_LIMIT),
            sort: parameters
                .read("sort", "transmit, receive or total", sort)?
                .unwrap_or(Sort::Total),
            scope: parameters.read("scope", &scopes(), scope)?,
            namespace: text("namespace"),
            pod: text("pod"),
            peer: text("peer"),
            search: parameters.text("search").map(Search::new),
        })
    }

    fn matches(&self, flow: &ResolvedFlow) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        is(&self.namespace, &flow.local.namespace)
            && is(&self.pod, &flow.local.pod)
            && self.scope.is_none_or(|scope| scope == flow.scope)
            && self.peer.as_deref().is_none_or(|peer| is_peer(flow, peer))
            && self
                .search
                .as_ref()
                .is_none_or(|search| search.matches_flow(flow))
    }
}

/// By address, pod, workload, or `namespace/workload`.
fn is_peer(flow: &ResolvedFlow, wanted: &str) -> bool {
    let Party {
        namespace,
        pod,
        workload,
        ..
    } = &*flow.peer;
    let qualified = wanted.split_once('/').is_some_and(|(in_namespace, name)| {
        in_namespace == &**namespace && (name == &*workload.name || name == &**pod)
    });
    qualified
        || wanted == &**pod
        || wanted == &*workload.name
        || address::address(wanted) == Some(flow.peer_address.to_canonical())
}

pub(super) fn limit(value: &str) -> Option<usize> {
    value
        .parse()
        .ok()
        .filter(|limit| (1..=MOST).contains(limit))
}

fn sort(value: &str) -> Option<Sort> {
    match value {
        "transmit" => Some(Sort::Transmit),
        "receive" => Some(Sort::Receive),
        "total" => Some(Sort::Total),
        _ => None,
    }
}

pub(super) fn scope(value: &str) -> Option<Scope> {
    Scope::ALL.into_iter().find(|scope| scope.name() == value)
}

pub(super) fn scopes() -> String {
    format!("one of {}", Scope::ALL.map(Scope::name).join(", "))
}

/// Joins both directions of what matches and takes the busiest.
fn select(recent: &Recent, request: &Request) -> Flows {
    let mut conversations = join(recent, request);
    let matched = conversations.len();
    let order = |one: &Conversation<'_>, other: &Conversation<'_>| {
        let weight = |(_, counts): &Conversation<'_>| weight(counts, request.sort);
        let busier = weight(other).cmp(&weight(one));
        busier.then_with(|| key(one.0).cmp(&key(other.0)))
    };
    if matched > request.limit {
        conversations.select_nth_unstable_by(request.limit, order);
        conversations.truncate(request.limit);
    }
    conversations.sort_unstable_by(order);
    Flows {
        drained_unix_seconds: unix_seconds(recent.ended),
        seconds: recent.lasted.as_secs_f64(),
        matched,
        flows: conversations
            .into_iter()
            .map(|(flow, counts)| row(flow, counts, recent))
            .collect(),
    }
}

/// What makes two flows directions of one conversation. Names follow from the addresses, but for
/// who on the node itself it is.
type Key<'a> = (
    u32,
    IpAddr,
    u16,
    IpAddr,
    u16,
    u8,
    Scope,
    bool,
    Option<&'a Party>,
);

fn key(flow: &ResolvedFlow) -> Key<'_> {
    (
        flow.interface,
        flow.local_address,
        flow.local_port,
        flow.peer_address,
        flow.peer_port,
        flow.protocol,
        flow.scope,
        flow.pending,
        (flow.interface == 0).then_some(&*flow.local),
    )
}

/// A flow of it, and both directions' counts.
type Conversation<'a> = (&'a ResolvedFlow, [Count; 2]);

fn join<'a>(recent: &'a Recent, request: &Request) -> Vec<Conversation<'a>> {
    let mut joined: HashMap<_, (&ResolvedFlow, [Count; 2])> = HashMap::new();
    for flow in recent.flows.iter().filter(|flow| request.matches(flow)) {
        let (_, counts) = joined.entry(key(flow)).or_insert((flow, [Count::ZERO; 2]));
        counts[flow.direction as usize] += flow.count;
    }
    joined.into_values().collect()
}

fn weight(counts: &[Count; 2], sort: Sort) -> u64 {
    let of = |direction| counts[direction as usize].bytes;
    match sort {
        Sort::Transmit => of(Direction::Transmit),
        Sort::Receive => of(Direction::Receive),
        Sort::Total => of(Direction::Transmit) + of(Direction::Receive),
    }
}

fn row(flow: &ResolvedFlow, counts: [Count; 2], recent: &Recent) -> Flow {
    let [transmit, receive] = counts.map(|count| traffic(count, recent));
    let service = flow.service.as_ref();
    Flow {
        local: end(&flow.local, flow.local_address, flow.local_port),
        peer: end(&flow.peer, flow.peer_address, flow.peer_port),
        service: service.map_or(String::new(), |name| {
            format!("{}/{}", name.namespace, name.name)
        }),
        other_ports: flow.other_ports,
        protocol: protocol_name(flow.protocol),
        scope: flow.scope.name().to_owned(),
        via: flow.via.name().to_owned(),
        pending: flow.pending,
        transmit,
        receive,
    }
}

/// A drain's count with its rate.
pub(super) fn traffic(count: Count, recent: &Recent) -> Traffic {
    Traffic {
        bytes: count.bytes,
        packets: count.packets,
        bytes_per_second: per_second(count.bytes, recent.lasted),
    }
}

/// One end as the JSON has it.
pub(super) fn end(party: &Party, address: IpAddr, port: u16) -> End {
    End {
        namespace: party.namespace.to_string(),
        pod: party.pod.to_string(),
        workload: party.workload.name.to_string(),
        workload_kind: party.workload.kind.to_string(),
        node: party.node.to_string(),
        zone: party.zone.to_string(),
        address: address.to_string(),
        port,
    }
}

/// Names of the IANA protocol numbers that pods use; the number for the rest.
fn protocol_name(protocol: u8) -> String {
    match protocol {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "icmpv6".to_owned(),
        132 => "sctp".to_owned(),
        number => number.to_string(),
    }
}
