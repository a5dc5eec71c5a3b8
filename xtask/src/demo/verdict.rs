//! What crossing zones costs, at the rate of the time that was watched.

use std::time::Duration;

use zonemeter_lab::Metrics;

use super::{flows::Row, units};

/// Dollars for each gigabyte and end: the list price of commercial US regions, as
/// `deploy/prometheus/zonemeter.prices.yaml` has it.
const DOLLARS_PER_GIGABYTE: f64 = 0.01;
/// The date of that price.
const AS_OF: &str = "2025-09";
const BYTES_PER_GIGABYTE: f64 = 1e9;
/// 365 days in 12 months.
const HOURS_PER_MONTH: f64 = 730.0;
/// Scopes between ends whose zones are both known.
const BETWEEN_ZONES: [&str; 3] = ["intra_node", "intra_zone", "cross_zone"];

/// What was charged for crossing zones in a known time.
pub(super) struct Verdict {
    /// Sent and received across zones, each at its own pod: AWS charges both ends.
    bytes: u64,
    window: Duration,
    /// The last table's lines.
    rows: Vec<Row>,
}

impl Verdict {
    /// `before` and `after` are sums of [`charged`], `window` apart.
    pub(super) fn new(before: u64, after: u64, window: Duration, rows: Vec<Row>) -> Self {
        Self {
            bytes: after.saturating_sub(before),
            window,
            rows,
        }
    }

    /// Lines for people.
    pub(super) fn render(&self) -> Vec<String> {
        let seconds = format!("{:.1} s", self.window.as_secs_f64());
        if self.bytes == 0 || self.window.is_zero() {
            return vec![String::new(), format!("across zones: nothing in {seconds}")];
        }
        let mut lines = vec![
            String::new(),
            format!(
                "across zones, both ends: {} in {seconds}; at this rate ${:.2} a month",
                units::bytes(self.bytes),
                self.dollars_per_month()
            ),
            format!(
                "  (${DOLLARS_PER_GIGABYTE} for each GB at each end, list price of {AS_OF}, \
                 {HOURS_PER_MONTH} hours)"
            ),
        ];
        lines.extend(self.busiest());
        lines
    }

    fn dollars_per_month(&self) -> f64 {
        let hours = self.window.as_secs_f64() / 3600.0;
        self.bytes as f64 / BYTES_PER_GIGABYTE * DOLLARS_PER_GIGABYTE * HOURS_PER_MONTH / hours
    }

    /// How much of the busiest conversation across zones crosses them.
    fn busiest(&self) -> Option<String> {
        let across = self
            .rows
            .iter()
            .filter(|row| row.flow.scope == "cross_zone");
        let flow = &across.max_by_key(|row| row.bytes)?.flow;
        let sum = |scopes: &[&str]| -> u64 {
            let same = self.rows.iter().filter(|row| {
                (&row.flow.from, &row.flow.to) == (&flow.from, &flow.to)
                    && scopes.contains(&row.flow.scope.as_str())
            });
            same.map(|row| row.bytes).sum()
        };
        let (all, crossed) = (sum(&BETWEEN_ZONES), sum(&["cross_zone"]));
        Some(format!(
            "  {} > {}: {:.0} % of {} crosses zones",
            flow.from,
            flow.to,
            100.0 * crossed as f64 / all as f64,
            units::bytes(all)
        ))
    }
}

/// Bytes across zones of both directions, over all agents.
pub(super) fn charged(scrapes: &[Metrics]) -> u64 {
    let of_agent =
        |metrics: &Metrics| metrics.sum("zonemeter_pod_bytes_total", &[("scope", "cross_zone")]);
    scrapes.iter().map(of_agent).sum()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::flows, *};
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

    /// 173 kB/s sent across zones are 346 kB/s at both ends: 0.346 MB * 3600 * 730 = 909.288 GB,
    /// at $0.01 $9.09.
    #[test]
    fn a_month_is_730_hours_at_the_rate_of_the_window() {
        let before = 1_000;
        let verdict = Verdict::new(before, before + 3_460_000, Duration::from_secs(10), rows());
        assert_eq!(
            verdict.render(),
            [
                "",
                "across zones, both ends: 3.5 MB in 10.0 s; at this rate $9.09 a month",
                "  ($0.01 for each GB at each end, list price of 2025-09, 730 hours)",
                "  d/s > d/c: 75 % of 4.0 MB crosses zones",
            ]
        );
    }

    #[test]
    fn nothing_across_zones_is_said_without_dollars() {
        let verdict = Verdict::new(7, 7, Duration::from_secs(2), Vec::new());
        assert_eq!(verdict.render(), ["", "across zones: nothing in 2.0 s"]);
    }

    #[test]
    fn both_directions_of_all_agents_are_charged() {
        let text = "zonemeter_pod_bytes_total{scope=\"cross_zone\",direction=\"transmit\"} 3\n\
             zonemeter_pod_bytes_total{scope=\"cross_zone\",direction=\"receive\"} 4\n\
             zonemeter_pod_bytes_total{scope=\"intra_zone\",direction=\"receive\"} 50\n";
        let metrics = || Metrics::parse(text).unwrap();
        assert_eq!(charged(&[metrics(), metrics()]), 14);
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
        let price = format!("expr: vector({DOLLARS_PER_GIGABYTE})");
        let lines: Vec<&str> = text.lines().collect();
        let priced = lines.windows(2).filter(|pair| of_scope(&pair[1]));
        assert!(priced.clone().all(|pair| pair[0].contains(&price)));
    }
}
