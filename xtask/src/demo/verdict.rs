//! What crossing zones costs, at the rate of the time that was watched.

use std::{collections::BTreeMap, time::Duration};

use zonemeter_lab::Metrics;

use super::{
    flows::{self, Row},
    units,
};

/// Dollars for each gigabyte and end: the list price of commercial US regions, as
/// `deploy/prometheus/zonemeter.prices.yaml` has it.
const DOLLARS_PER_GIGABYTE: f64 = 0.01;
/// What a NAT gateway processes, each way, as the same list has it for S3.
const DOLLARS_PER_GIGABYTE_BY_NAT: f64 = 0.045;
/// The date of these prices.
const AS_OF: &str = "2026-05";
const BYTES_PER_GIGABYTE: f64 = 1e9;
/// 365 days in 12 months.
const HOURS_PER_MONTH: f64 = 730.0;
/// Scopes between ends whose zones are both known.
const BETWEEN_ZONES: [&str; 3] = ["intra_node", "intra_zone", "cross_zone"];

/// Two workloads, the first by name first.
type Pair = [String; 2];

/// What was charged for crossing zones in a known time.
pub(super) struct Verdict {
    /// In that time.
    bytes: Charged,
    window: Duration,
    /// The last table's lines.
    rows: Vec<Row>,
}

impl Verdict {
    /// `before` and `after` are sums of [`charged`], `window` apart.
    pub(super) fn new(
        before: &Charged,
        mut after: Charged,
        window: Duration,
        rows: Vec<Row>,
    ) -> Self {
        let grown = |after: u64, before: u64| after.saturating_sub(before);
        for (pair, bytes) in &mut after.zones {
            *bytes = grown(*bytes, before.zones.get(pair).copied().unwrap_or(0));
        }
        Self {
            bytes: Charged {
                nat: grown(after.nat, before.nat),
                endpoint: grown(after.endpoint, before.endpoint),
                ..after
            },
            window,
            rows,
        }
    }

    /// Lines for people.
    pub(super) fn render(&self) -> Vec<String> {
        let seconds = format!("{:.1} s", self.window.as_secs_f64());
        let across = self.bytes.zones.values().sum();
        if across == 0 || self.window.is_zero() {
            return vec![String::new(), format!("across zones: nothing in {seconds}")];
        }
        let mut lines = vec![
            String::new(),
            format!(
                "across zones, both ends: {} in {seconds}; at this rate ${:.2} a month",
                units::bytes(across),
                self.per_month(across, DOLLARS_PER_GIGABYTE)
            ),
            format!(
                "  (${DOLLARS_PER_GIGABYTE} for each GB at each end, list price of {AS_OF}, \
                 {HOURS_PER_MONTH} hours)"
            ),
        ];
        lines.extend(self.dearest());
        if self.bytes.nat > 0 {
            let price = DOLLARS_PER_GIGABYTE_BY_NAT + DOLLARS_PER_GIGABYTE;
            lines.push(format!(
                "S3 by a NAT gateway in another zone: {}; a gateway endpoint would save ${:.2} a month",
                units::bytes(self.bytes.nat),
                self.per_month(self.bytes.nat, price)
            ));
            lines.push(format!(
                "  (${DOLLARS_PER_GIGABYTE_BY_NAT} for each GB, ${DOLLARS_PER_GIGABYTE} for crossing \
                 zones; {} went by one, free)",
                units::bytes(self.bytes.endpoint)
            ));
        }
        lines
    }

    fn per_month(&self, bytes: u64, dollars_per_gigabyte: f64) -> f64 {
        let hours = self.window.as_secs_f64() / 3600.0;
        bytes as f64 / BYTES_PER_GIGABYTE * dollars_per_gigabyte * HOURS_PER_MONTH / hours
    }

    /// The pair that pays most for crossing zones, and how much of what it exchanges crosses them.
    fn dearest(&self) -> Vec<String> {
        let Some((pair, charged)) = self.bytes.zones.iter().max_by_key(|(_, bytes)| **bytes) else {
            return Vec::new();
        };
        let exchanged = |scopes: &[&str]| -> u64 {
            let same = self.rows.iter().filter(|row| {
                pair_of(&row.flow.from, &row.flow.to) == *pair
                    && scopes.contains(&row.flow.scope.as_str())
            });
            same.map(|row| row.bytes).sum()
        };
        let (all, crossed) = (exchanged(&BETWEEN_ZONES), exchanged(&["cross_zone"]));
        let [one, other] = pair;
        vec![
            format!(
                "dearest pair: {one} <> {other}, ${:.2} a month",
                self.per_month(*charged, DOLLARS_PER_GIGABYTE)
            ),
            format!(
                "  ({:.0} % of the {} that they exchange crosses zones)",
                100.0 * crossed as f64 / all as f64,
                units::bytes(all)
            ),
        ]
    }
}

fn pair_of(one: &str, other: &str) -> Pair {
    let mut pair = [one.to_owned(), other.to_owned()];
    pair.sort();
    pair
}

/// Bytes of both directions, each at its own pod, over all agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Charged {
    /// Across zones by pair: AWS charges both ends.
    zones: BTreeMap<Pair, u64>,
    /// From and to AWS services by a NAT gateway, which stands in another zone than the scene's pods.
    nat: u64,
    /// The same by a gateway endpoint.
    endpoint: u64,
}

/// As the agents show it now.
pub(super) fn charged(scrapes: &[Metrics]) -> Charged {
    let by = |via| {
        let labels = [("scope", "aws_service"), ("via", via)];
        let of_agent = |metrics: &Metrics| metrics.sum("zonemeter_pod_bytes_total", &labels);
        scrapes.iter().map(of_agent).sum()
    };
    let mut zones = BTreeMap::new();
    let crossing = |metrics| Metrics::select(metrics, flows::PODS, &[("scope", "cross_zone")]);
    for sample in scrapes.iter().flat_map(crossing) {
        let pair = pair_of(&flows::own(sample), &flows::peer(sample));
        *zones.entry(pair).or_default() += sample.value as u64;
    }
    Charged {
        zones,
        nat: by("nat"),
        endpoint: by("gateway_endpoint"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::repository;

    fn series(direction: &str, scope: &str, peer_zone: &str, bytes: u64) -> String {
        format!(
            "zonemeter_workload_bytes_total{{namespace=\"d\",workload=\"s\",zone=\"a\",\
             direction=\"{direction}\",scope=\"{scope}\",peer_namespace=\"d\",peer_workload=\"c\",\
             peer_workload_kind=\"Deployment\",peer_zone=\"{peer_zone}\"}} {bytes}\n"
        )
    }

    fn rows() -> Vec<Row> {
        let text = series("transmit", "cross_zone", "b", 3_000_000)
            + &series("transmit", "intra_zone", "a", 1_000_000);
        let reading = flows::read(&[Metrics::parse(&text).unwrap()]);
        flows::Rates::default().next(reading, Duration::ZERO)
    }

    fn across(bytes: u64) -> Charged {
        Charged {
            zones: [(pair_of("d/s", "d/c"), bytes)].into(),
            ..Charged::default()
        }
    }

    /// 173 kB/s sent across zones are 346 kB/s at both ends: 0.346 MB * 3600 * 730 = 909.288 GB,
    /// at $0.01 $9.09.
    #[test]
    fn a_month_is_730_hours_at_the_rate_of_the_window() {
        let (before, after) = (across(1_000), across(3_461_000));
        let verdict = Verdict::new(&before, after, Duration::from_secs(10), rows());
        assert_eq!(
            verdict.render(),
            [
                "",
                "across zones, both ends: 3.5 MB in 10.0 s; at this rate $9.09 a month",
                "  ($0.01 for each GB at each end, list price of 2026-05, 730 hours)",
                "dearest pair: d/c <> d/s, $9.09 a month",
                "  (75 % of the 4.0 MB that they exchange crosses zones)",
            ]
        );
    }

    /// 10 MB in 10 s are 3.6 GB an hour, at $0.055 and 730 hours $144.54.
    #[test]
    fn what_a_gateway_endpoint_would_save_is_processing_and_crossing() {
        let after = Charged {
            nat: 10_000_000,
            endpoint: 20_000_000,
            ..across(1)
        };
        let before = Charged::default();
        let verdict = Verdict::new(&before, after, Duration::from_secs(10), Vec::new());
        let lines = verdict.render();
        assert_eq!(
            lines[lines.len() - 2..],
            [
                "S3 by a NAT gateway in another zone: 10.0 MB; a gateway endpoint would save \
                 $144.54 a month",
                "  ($0.045 for each GB, $0.01 for crossing zones; 20.0 MB went by one, free)",
            ]
        );
    }

    #[test]
    fn nothing_across_zones_is_said_without_dollars() {
        let none = Charged::default();
        let verdict = Verdict::new(&none, none.clone(), Duration::from_secs(2), Vec::new());
        assert_eq!(verdict.render(), ["", "across zones: nothing in 2.0 s"]);
    }

    /// The two agents of a pair's nodes show it from either end; it is one.
    #[test]
    fn both_directions_of_all_agents_are_charged() {
        let one_end = series("transmit", "cross_zone", "b", 3)
            + &series("receive", "cross_zone", "b", 4)
            + &series("receive", "intra_zone", "a", 50);
        let other_end = "zonemeter_workload_bytes_total{namespace=\"d\",workload=\"c\",\
             scope=\"cross_zone\",direction=\"receive\",peer_namespace=\"d\",\
             peer_workload=\"s\",peer_workload_kind=\"Deployment\"} 3\n";
        let scrapes = [one_end.as_str(), other_end].map(|text| Metrics::parse(text).unwrap());
        assert_eq!(charged(&scrapes), across(10));
    }

    /// The price list is the place where the price and its date are kept.
    #[test]
    fn the_price_is_that_of_the_list() {
        let file = repository::root().join("deploy/prometheus/zonemeter.prices.yaml");
        let text = fs::read_to_string(file).unwrap();
        let of_scope = |line: &&str| line.contains("scope: cross_zone");
        let labels: Vec<&str> = text.lines().filter(of_scope).collect();
        assert_eq!(labels.len(), 2, "one price for each direction");
        assert!(labels.iter().all(|line| line.contains(AS_OF)), "{labels:?}");
        let lines: Vec<&str> = text.lines().collect();
        let all_cost = |labels: &str, dollars: f64| {
            let price = format!("expr: vector({dollars})");
            let mut priced = lines.windows(2).filter(|pair| pair[1].contains(labels));
            priced.clone().count() == 1 && priced.all(|pair| pair[0].contains(&price))
        };
        for direction in ["transmit", "receive"] {
            let zones = format!("scope: cross_zone, direction: {direction}");
            assert!(all_cost(&zones, DOLLARS_PER_GIGABYTE));
            let nat = format!("scope: aws_service, direction: {direction}, via: nat");
            assert!(all_cost(&nat, DOLLARS_PER_GIGABYTE_BY_NAT));
        }
    }
}
