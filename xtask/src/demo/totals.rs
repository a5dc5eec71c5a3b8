//! What it adds up to, beside what counters apart from the flows saw.

use zonemeter_lab::Metrics;

use super::{flows::SCOPES, scene::WireTruth, table, units};

const DIRECTIONS: [&str; 2] = ["transmit", "receive"];

/// Families whose sum with the pods' is the interfaces', by the contract's conservation.
const BESIDE_PODS: [(&str, &str); 3] = [
    ("unattributed", "zonemeter_unattributed_bytes_total"),
    ("pending", "zonemeter_pending_bytes"),
    ("retired", "zonemeter_retired_bytes_total"),
];

/// Bytes by direction, as [`DIRECTIONS`] has them.
type Pair = [u64; 2];

/// The numbers of the last table.
pub(super) struct Totals {
    /// By scope and by family beside the pods': only those that are not 0.
    parts: Vec<(&'static str, Pair)>,
    interfaces: Pair,
    wire: Pair,
    /// Of processes of the nodes, and by the kernel for them.
    nodes: Pair,
    sent_by_nodes: u64,
}

impl Totals {
    /// Adds up the agents' last scrapes.
    pub(super) fn read(scrapes: &[Metrics], wire: &WireTruth) -> Self {
        let pods = SCOPES.map(|scope| {
            (
                scope,
                sum(scrapes, "zonemeter_pod_bytes_total", Some(scope)),
            )
        });
        let beside = BESIDE_PODS.map(|(name, metric)| (name, sum(scrapes, metric, None)));
        Self {
            parts: pods
                .into_iter()
                .chain(beside)
                .filter(|(_, bytes)| *bytes != [0, 0])
                .collect(),
            interfaces: sum(scrapes, "zonemeter_interface_bytes_total", None),
            wire: [wire.transmit.bytes, wire.receive.bytes],
            nodes: sum(scrapes, "zonemeter_host_bytes_total", Some("aws_service")),
            sent_by_nodes: wire.sent_by_nodes.bytes,
        }
    }

    /// A table with every digit, and a verdict for each of the two comparisons.
    pub(super) fn render(&self) -> Vec<String> {
        let sum = self
            .parts
            .iter()
            .fold([0, 0], |sum, (_, part)| add(sum, *part));
        let mut rows = vec![["SCOPE", "SENT BY PODS", "RECEIVED BY PODS"].map(str::to_owned)];
        rows.extend(self.parts.iter().map(|(name, bytes)| row(name, *bytes)));
        rows.push(row("sum", sum));
        rows.push(row(
            "interfaces (agents, apart from flows)",
            self.interfaces,
        ));
        rows.push(row("wire (nftables, apart from agents)", self.wire));
        let mut lines = vec![String::new(), "bytes at layer 3, all agents".to_owned()];
        lines.extend(table::align(&rows, 2));
        lines.push(verdict("sum = interfaces", sum, self.interfaces));
        lines.push(verdict(
            "sum without link_local = wire",
            self.without_link_local(),
            self.wire,
        ));
        lines.extend(self.render_nodes());
        lines
    }

    /// What the nodes' own processes moved, apart from pods.
    fn render_nodes(&self) -> Vec<String> {
        let [sent, received] = self.nodes;
        let off = i128::from(sent) - i128::from(self.sent_by_nodes);
        let verdict = match off {
            0 => "exact".to_owned(),
            off => format!("off by {off}"),
        };
        vec![
            format!(
                "beside the pods, an image pulled by a node: {} sent, {} received",
                units::exact(sent),
                units::exact(received)
            ),
            format!("sent by the node = wire: {verdict}"),
        ]
    }

    /// The kernel's own chatter never leaves its link, and began before the agents came.
    fn without_link_local(&self) -> Pair {
        self.sum_where(|name| name != "link_local")
    }

    fn sum_where(&self, wanted: impl Fn(&str) -> bool) -> Pair {
        let parts = self.parts.iter().filter(|(name, _)| wanted(name));
        parts.fold([0, 0], |sum, (_, part)| add(sum, *part))
    }
}

fn sum(scrapes: &[Metrics], metric: &str, scope: Option<&str>) -> Pair {
    DIRECTIONS.map(|direction| {
        let labels: Vec<(&str, &str)> = [("direction", direction)]
            .into_iter()
            .chain(scope.map(|scope| ("scope", scope)))
            .collect();
        scrapes
            .iter()
            .map(|metrics| metrics.sum(metric, &labels))
            .sum()
    })
}

fn add(one: Pair, other: Pair) -> Pair {
    [one[0] + other[0], one[1] + other[1]]
}

fn row(name: &str, bytes: Pair) -> [String; 3] {
    [
        name.to_owned(),
        units::exact(bytes[0]),
        units::exact(bytes[1]),
    ]
}

fn verdict(claim: &str, one: Pair, other: Pair) -> String {
    if one == other {
        return format!("{claim}: exact, in both directions");
    }
    let off = |index: usize| i128::from(one[index]) - i128::from(other[index]);
    format!("{claim}: off by {} sent and {} received", off(0), off(1))
}

#[cfg(test)]
mod tests {
    use zonemeter_lab::Count;

    use super::*;

    const SCRAPE: &str = "zonemeter_pod_bytes_total{direction=\"transmit\",scope=\"intra_node\"} 1500\n\
        zonemeter_pod_bytes_total{direction=\"receive\",scope=\"internet\"} 20\n\
        zonemeter_pod_bytes_total{direction=\"transmit\",scope=\"link_local\"} 3\n\
        zonemeter_unattributed_bytes_total{direction=\"transmit\",reason=\"map_full\"} 7\n\
        zonemeter_host_bytes_total{direction=\"transmit\",scope=\"aws_service\"} 9\n\
        zonemeter_interface_bytes_total{direction=\"transmit\"} 1510\n\
        zonemeter_interface_bytes_total{direction=\"receive\"} 20\n";

    fn rendered(transmit: u64) -> Vec<String> {
        let wire = WireTruth {
            transmit: Count {
                bytes: transmit,
                packets: 0,
            },
            receive: Count {
                bytes: 20,
                packets: 0,
            },
            sent_by_nodes: Count {
                bytes: 9,
                packets: 1,
            },
        };
        Totals::read(&[Metrics::parse(SCRAPE).unwrap()], &wire).render()
    }

    #[test]
    fn every_part_that_is_not_0_has_a_line() {
        let lines = rendered(1507).join("\n");
        assert!(lines.contains("intra_node"), "{lines}");
        assert!(lines.contains("1,500"), "{lines}");
        assert!(lines.contains("unattributed"), "{lines}");
        assert!(!lines.contains("cross_zone"), "{lines}");
    }

    #[test]
    fn a_difference_is_told_with_its_sign() {
        let lines = rendered(1500);
        assert!(
            lines.contains(&"sum = interfaces: exact, in both directions".to_owned()),
            "{lines:?}"
        );
        let [.., wire, _, node] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert_eq!(
            wire,
            "sum without link_local = wire: off by 7 sent and 0 received"
        );
        assert_eq!(node, "sent by the node = wire: exact");
    }
}
