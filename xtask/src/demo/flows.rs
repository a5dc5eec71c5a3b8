//! Who sends to whom, from the series of workloads and of the nodes themselves in every agent's scrape.

use std::{collections::BTreeMap, time::Duration};

use zonemeter_lab::{Metrics, Sample};

/// What workloads' pods move.
pub(super) const PODS: &str = "zonemeter_workload_bytes_total";
const METRICS: [&str; 2] = [PODS, "zonemeter_host_bytes_total"];
/// What the kernel sends by itself, as it ends connections, is not in the table.
const KERNEL: &str = "kernel";

/// The contract's scopes, in the order in which they are shown.
pub(super) const SCOPES: [&str; 11] = [
    "intra_node",
    "intra_zone",
    "cross_zone",
    "cross_region",
    "internet",
    "vpc",
    "peered",
    "aws_service",
    "link_local",
    "unresolved_service",
    "unknown",
];

/// One line of the table: a sender and a receiver, each in a zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    /// Place in [`SCOPES`], so that lines sort by it; one past the end for a scope that is not
    /// of the contract.
    order: usize,
    pub(super) scope: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) from_zone: String,
    pub(super) to_zone: String,
}

/// A line with its numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) flow: Flow,
    pub(super) bytes: u64,
    /// Since the reading before; 0 at the first one.
    pub(super) bytes_per_s: f64,
}

/// Bytes of each flow over all agents, each byte once: what pods and nodes send is counted where it
/// is sent; what they receive only when no agent counts at the sender.
pub(super) fn read(scrapes: &[Metrics]) -> BTreeMap<Flow, u64> {
    let mut flows = BTreeMap::new();
    for sample in scrapes
        .iter()
        .flat_map(|metrics| METRICS.map(|metric| metrics.select(metric, &[])))
        .flatten()
        .filter(|sample| sample.label("kind") != KERNEL)
    {
        if let Some(flow) = flow(sample) {
            *flows.entry(flow).or_default() += sample.value as u64;
        }
    }
    flows
}

/// What it takes to tell rates: the reading before.
#[derive(Default)]
pub(super) struct Rates {
    before: Option<(BTreeMap<Flow, u64>, Duration)>,
}

impl Rates {
    /// Takes the reading made at `now` (since any fixed start) and tells how fast each flow was
    /// since the reading before.
    pub(super) fn next(&mut self, reading: BTreeMap<Flow, u64>, now: Duration) -> Vec<Row> {
        let before = self.before.take();
        let rate = |flow: &Flow, bytes: u64| {
            let (earlier, then) = before.as_ref()?;
            let grown = bytes.saturating_sub(earlier.get(flow).copied().unwrap_or(0));
            let seconds = now.saturating_sub(*then).as_secs_f64();
            (seconds > 0.0).then(|| grown as f64 / seconds)
        };
        let row = |(flow, bytes): (&Flow, &u64)| Row {
            flow: flow.clone(),
            bytes: *bytes,
            bytes_per_s: rate(flow, *bytes).unwrap_or(0.0),
        };
        let rows = reading.iter().map(row).collect();
        self.before = Some((reading, now));
        rows
    }
}

fn flow(sample: &Sample) -> Option<Flow> {
    let scope = sample.label("scope").to_owned();
    let own = own(sample);
    let (zone, peer_zone) = (
        sample.label("zone").to_owned(),
        sample.label("peer_zone").to_owned(),
    );
    let peer = peer(sample);
    let order = SCOPES
        .iter()
        .position(|known| *known == scope)
        .unwrap_or(SCOPES.len());
    match sample.label("direction") {
        "transmit" => Some(Flow {
            order,
            scope,
            from: own,
            to: peer,
            from_zone: zone,
            to_zone: peer_zone,
        }),
        "receive" if !has_an_agent(sample) => Some(Flow {
            order,
            scope,
            from: peer,
            to: own,
            from_zone: peer_zone,
            to_zone: zone,
        }),
        _ => None,
    }
}

/// True when the peer is a pod or another node: then the agent there counts what it sends. The
/// internet, other networks and a pod's own node are counted by nobody else.
fn has_an_agent(sample: &Sample) -> bool {
    match sample.label("peer_workload_kind") {
        "" | "Network" => false,
        "Node" => sample.label("scope") != "intra_node",
        _ => true,
    }
}

/// The workload or unit whose bytes are counted.
pub(super) fn own(sample: &Sample) -> String {
    match (sample.label("namespace"), sample.label("workload")) {
        ("", unit) => unit.to_owned(),
        (namespace, workload) => format!("{namespace}/{workload}"),
    }
}

/// The other end.
pub(super) fn peer(sample: &Sample) -> String {
    let name = sample.label("peer_workload");
    match (
        sample.label("peer_namespace"),
        sample.label("peer_workload_kind"),
    ) {
        _ if name.is_empty() => format!("({})", sample.label("scope")),
        ("", kind) => format!("{} {name}", kind.to_lowercase()).trim().to_owned(),
        (namespace, _) => format!("{namespace}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(direction: &str, peer: &str, scope: &str, bytes: u64) -> String {
        format!(
            "zonemeter_workload_bytes_total{{namespace=\"d\",workload=\"c\",workload_kind=\"Deployment\",zone=\"a\",\
             direction=\"{direction}\",scope=\"{scope}\",{peer}}} {bytes}\n"
        )
    }

    const POD: &str = "peer_namespace=\"d\",peer_workload=\"s\",peer_workload_kind=\"Deployment\",peer_zone=\"b\"";
    const NOBODY: &str =
        "peer_namespace=\"\",peer_workload=\"\",peer_workload_kind=\"\",peer_zone=\"\"";
    const NODE: &str =
        "peer_namespace=\"\",peer_workload=\"n1\",peer_workload_kind=\"Node\",peer_zone=\"a\"";

    fn flows(text: &str) -> Vec<(String, u64)> {
        let flows = read(&[Metrics::parse(text).unwrap()]);
        let show = |(flow, bytes): (Flow, u64)| {
            (
                format!(
                    "{} {}>{} {}>{}",
                    flow.scope, flow.from, flow.to, flow.from_zone, flow.to_zone
                ),
                bytes,
            )
        };
        flows.into_iter().map(show).collect()
    }

    #[test]
    fn between_pods_only_the_sender_tells() {
        let text =
            sample("transmit", POD, "cross_zone", 7) + &sample("receive", POD, "cross_zone", 9);
        assert_eq!(flows(&text), [("cross_zone d/c>d/s a>b".to_owned(), 7)]);
    }

    #[test]
    fn what_nobody_else_counts_is_told_by_the_receiver() {
        let text =
            sample("receive", NOBODY, "internet", 9) + &sample("receive", NODE, "intra_node", 2);
        assert_eq!(
            flows(&text),
            [
                ("intra_node node n1>d/c a>a".to_owned(), 2),
                ("internet (internet)>d/c >a".to_owned(), 9)
            ]
        );
    }

    #[test]
    fn the_nodes_own_processes_are_told_by_their_unit_and_the_kernel_is_not() {
        let host = |kind: &str, direction, bytes| {
            format!(
                "zonemeter_host_bytes_total{{kind=\"{kind}\",workload=\"containerd.service\",\
                 workload_kind=\"Unit\",zone=\"a\",direction=\"{direction}\",scope=\"internet\",\
                 {NOBODY}}} {bytes}\n"
            )
        };
        let text = host("unit", "transmit", 3) + &host("unit", "receive", 8);
        let text = text + &host("kernel", "transmit", 1);
        let expected = [
            ("internet (internet)>containerd.service >a".to_owned(), 8),
            ("internet containerd.service>(internet) a>".to_owned(), 3),
        ];
        assert_eq!(flows(&text), expected);
    }

    #[test]
    fn agents_add_up() {
        let metrics = || Metrics::parse(&sample("transmit", POD, "cross_zone", 7)).unwrap();
        let total: u64 = read(&[metrics(), metrics()]).values().sum();
        assert_eq!(total, 14);
    }

    #[test]
    fn a_rate_is_growth_by_time() {
        let reading =
            |bytes| read(&[Metrics::parse(&sample("transmit", POD, "vpc", bytes)).unwrap()]);
        let mut rates = Rates::default();
        assert_eq!(
            rates.next(reading(1_000), Duration::from_secs(1))[0].bytes_per_s,
            0.0
        );
        assert_eq!(
            rates.next(reading(5_000), Duration::from_secs(3))[0].bytes_per_s,
            2_000.0
        );
        assert_eq!(
            rates.next(reading(5_000), Duration::from_secs(4))[0].bytes_per_s,
            0.0
        );
    }

    #[test]
    fn a_flow_that_appears_has_a_rate_at_once() {
        let mut rates = Rates::default();
        rates.next(BTreeMap::new(), Duration::ZERO);
        let reading = read(&[Metrics::parse(&sample("transmit", POD, "vpc", 300)).unwrap()]);
        assert_eq!(
            rates.next(reading, Duration::from_secs(3))[0].bytes_per_s,
            100.0
        );
    }
}
