//! What is asked of a store, in PromQL that all of them speak.

use crate::{
    debug::pairs::answer::Pair,
    view::{Row, Window, word},
};

/// Bytes per second of the workload's own end, by pair and direction.
pub(super) const RATES: &str = "workload_peer:zonemeter_bytes:rate5m";
/// What the own end of a pair cost in five minutes.
const DOLLARS: &str = "workload_peer:zonemeter_transfer_dollars:increase5m";
const NAMESPACE_DOLLARS: &str = "namespace:zonemeter_transfer_dollars:increase5m";
const ZONE_RATES: &str = "zone_peer_zone:zonemeter_bytes:rate5m";
const WORKLOAD_RATES: &str = "namespace_workload:zonemeter_bytes:rate5m";
/// Peers that have no series of their own. Nodes have those of what passes their uplinks.
const NO_AGENT: &str = "|Network|Service|other";
/// Rows of pods that are asked for: the busiest.
const MOST_PODS: usize = 10_000;

/// A label, `=` or `=~`, a value.
type Matcher<'a> = (&'a str, &'a str, &'a str);

/// A time of which there are rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Span {
    FiveMinutes,
    Hour,
    Day,
}

impl Span {
    /// The span of a window, or which ones there are.
    pub(super) fn of(window: Window) -> Result<Self, String> {
        match window {
            Window::FiveMinutes => Ok(Self::FiveMinutes),
            Window::Hour => Ok(Self::Hour),
            Window::Day => Ok(Self::Day),
            Window::Minute | Window::Start => Err(format!(
                "window={}: accepted of a store is 5m, 1h or 1d",
                word(&window)
            )),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    pub(super) fn seconds(self) -> f64 {
        300.0 * f64::from(self.steps())
    }

    /// Windows of five minutes that make it up.
    fn steps(self) -> u32 {
        match self {
            Self::FiveMinutes => 1,
            Self::Hour => 12,
            Self::Day => 288,
        }
    }
}

/// Expressions about one cluster, or about all that the store has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expressions<'a> {
    pub(super) cluster: Option<&'a str>,
}

impl Expressions<'_> {
    /// Whether agents are scraped.
    pub(super) fn agents(self) -> String {
        format!("count(zonemeter_build_info{})", self.where_(&[]))
    }

    /// Mean rates of every pair, by direction.
    pub(super) fn rates(self, span: Span) -> String {
        self.mean(RATES, &[], span, "")
    }

    /// Mean rates a week earlier by scope and way out, each byte once: what a pod receives from
    /// another one is that one's to transmit.
    pub(super) fn sums_a_week_ago(self, span: Span) -> String {
        let sent = [("direction", "=", "transmit")];
        let received = [
            ("direction", "=", "receive"),
            ("peer_workload_kind", "=~", NO_AGENT),
        ];
        let received_from_own_node = [
            ("direction", "=", "receive"),
            ("peer_workload_kind", "=", "Node"),
            ("scope", "=", "intra_node"),
        ];
        let mean = |matchers: &[Matcher<'_>]| self.mean(RATES, matchers, span, " offset 1w");
        format!(
            "sum by (scope, via) ({} or {} or {})",
            mean(&sent),
            mean(&received),
            mean(&received_from_own_node)
        )
    }

    /// Mean rates a week earlier, of both ends of each of these pairs.
    pub(super) fn week_ago_by(self, rows: &[Row], span: Span) -> String {
        self.by_ends(rows, |matchers| {
            self.mean(RATES, matchers, span, " offset 1w")
        })
    }

    /// Dollars a month at the pace of the span, of each end of every pair.
    pub(super) fn dollars(self, span: Span) -> String {
        let hours_per_step = 730 * 12;
        match span.steps() {
            1 => format!("{hours_per_step} * {DOLLARS}{}", self.where_(&[])),
            steps => format!(
                "{hours_per_step} / {steps} * sum_over_time({DOLLARS}{}[{}:5m])",
                self.where_(&[]),
                span.name()
            ),
        }
    }

    /// What prices those dollars are of, and how many bytes a gigabyte has.
    pub(super) fn prices(self) -> String {
        // Prices are rules without a cluster.
        "zonemeter:price_in_force:dollars_per_gigabyte or zonemeter:gigabyte:bytes".to_owned()
    }

    /// Mean rates of the busiest pods, and of units.
    pub(super) fn pods(self, span: Span) -> String {
        format!(
            "topk({MOST_PODS}, sum by (cluster, namespace, pod, workload, workload_kind, zone, \
             direction, scope, peer_zone, via) (rate({}[{}])))",
            self.where_(&[
                ("__name__", "=~", "zonemeter_(pod|host)_bytes_total"),
                ("kind", "!=", "kernel"),
            ]),
            span.name()
        )
    }

    /// What so many seconds cost, by scope and way out.
    pub(super) fn spent(self, seconds: u64) -> String {
        format!(
            "sum by (scope, via) (sum_over_time({NAMESPACE_DOLLARS}{}[{seconds}s:5m]))",
            self.where_(&[])
        )
    }

    /// What so many seconds cost, of both ends of each of these pairs.
    pub(super) fn spent_by(self, rows: &[Row], seconds: u64) -> String {
        self.by_ends(rows, |matchers| {
            let series = self.where_(matchers);
            format!("sum_over_time({DOLLARS}{series}[{seconds}s:5m])")
        })
    }

    fn by_ends(self, rows: &[Row], ask: impl Fn(&[Matcher<'_>]) -> String) -> String {
        let ends = rows.iter().flat_map(|row| {
            let Pair {
                local,
                peer,
                scope,
                via,
                ..
            } = &row.pair;
            [(local, peer), (peer, local)].map(|(own, peer)| {
                ask(&[
                    ("namespace", "=", &own.namespace),
                    ("workload", "=", &own.workload),
                    ("workload_kind", "=", &own.kind),
                    ("zone", "=", &own.zone),
                    ("peer_namespace", "=", &peer.namespace),
                    ("peer_workload", "=", &peer.workload),
                    ("peer_workload_kind", "=", &peer.kind),
                    ("peer_zone", "=", &peer.zone),
                    ("scope", "=", scope),
                    ("via", "=", via),
                ])
            })
        });
        let ends: Vec<String> = ends.collect();
        let labels = "namespace, workload, workload_kind, zone, peer_namespace, peer_workload, \
                      peer_workload_kind, peer_zone, scope, via, direction";
        format!("sum by ({labels}) ({})", ends.join(" or "))
    }

    /// Bytes of the last day between zones.
    pub(super) fn zones(self) -> String {
        self.bytes_of_a_day(ZONE_RATES, "zone, peer_zone, scope, direction")
    }

    /// Bytes of the last day by workload and scope.
    pub(super) fn workloads(self) -> String {
        let labels = "namespace, workload, workload_kind, scope, direction";
        self.bytes_of_a_day(WORKLOAD_RATES, labels)
    }

    fn bytes_of_a_day(self, rates: &str, labels: &str) -> String {
        format!(
            "sum by ({labels}) (300 * sum_over_time({rates}{}[1d:5m]))",
            self.where_(&[])
        )
    }

    /// A rate where it is missing was 0: what was there for a part of the span counts for that part.
    fn mean(self, rates: &str, matchers: &[Matcher<'_>], span: Span, offset: &str) -> String {
        let series = format!("{rates}{}", self.where_(matchers));
        match span.steps() {
            1 => format!("{series}{offset}"),
            steps => format!(
                "sum_over_time({series}[{}:5m]{offset}) / {steps}",
                span.name()
            ),
        }
    }

    fn where_(self, matchers: &[Matcher<'_>]) -> String {
        let cluster = self.cluster.map(|name| format!("cluster={}", quoted(name)));
        let more = matchers
            .iter()
            .map(|(label, operator, value)| format!("{label}{operator}{}", quoted(value)));
        let all: Vec<String> = cluster.into_iter().chain(more).collect();
        match all.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", all.join(", ")),
        }
    }
}

/// A string of PromQL.
fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Expressions<'_> = Expressions { cluster: None };

    #[test]
    fn a_span_is_made_of_five_minutes() {
        assert_eq!(ALL.rates(Span::FiveMinutes), RATES);
        assert_eq!(
            ALL.rates(Span::Hour),
            "sum_over_time(workload_peer:zonemeter_bytes:rate5m[1h:5m]) / 12"
        );
        let earlier = ALL.sums_a_week_ago(Span::Day);
        let sent = r#"rate5m{direction="transmit"}[1d:5m] offset 1w) / 288 or "#;
        assert!(earlier.contains(sent), "{earlier}");
        assert_eq!(
            ALL.dollars(Span::FiveMinutes),
            "8760 * workload_peer:zonemeter_transfer_dollars:increase5m"
        );
        let refused = Span::of(Window::Minute).unwrap_err();
        assert_eq!(refused, "window=1m: accepted of a store is 5m, 1h or 1d");
    }

    /// Prometheus, Thanos, Mimir, VictoriaMetrics and Amazon's service know these, and not all of them
    /// what is experimental in one: `@`, other functions.
    #[test]
    fn nothing_is_asked_that_only_some_stores_know() {
        let known = [
            "count",
            "rate",
            "sum",
            "sum_over_time",
            "topk",
            "by",
            "or",
            "",
        ];
        let row = [Row::default()];
        for asked in [
            ALL.agents(),
            ALL.rates(Span::Day),
            ALL.sums_a_week_ago(Span::Hour),
            ALL.week_ago_by(&row, Span::Day),
            ALL.dollars(Span::Hour),
            ALL.prices(),
            ALL.pods(Span::FiveMinutes),
            ALL.spent(900),
            ALL.spent_by(&row, 900),
            ALL.zones(),
            ALL.workloads(),
        ] {
            let code: String = asked.split('"').step_by(2).collect();
            assert!(!code.contains('@'), "{asked}");
            let mut before: Vec<&str> = code.split('(').collect();
            before.pop();
            for part in before {
                let word = |c: char| !c.is_alphanumeric() && c != '_';
                let function = part.trim_end().rsplit(word).next().unwrap();
                assert!(known.contains(&function), "{function}: {asked}");
            }
        }
    }

    #[test]
    fn a_cluster_is_chosen_whatever_its_name() {
        let one = Expressions {
            cluster: Some("a\"b\\c\nd"),
        };
        assert_eq!(
            one.agents(),
            r#"count(zonemeter_build_info{cluster="a\"b\\c\nd"})"#
        );
    }

    #[test]
    fn a_pair_is_asked_for_at_both_ends() {
        let mut row = Row::default();
        row.pair.local.workload = "web".to_owned();
        row.pair.peer.workload = "s3".to_owned();
        row.pair.scope = "cross_zone".to_owned();
        let asked = ALL.spent_by(&[row], 900);
        let ends: Vec<&str> = asked.split(" or ").collect();
        assert_eq!(ends.len(), 2, "{asked}");
        let of_web =
            r#"workload="web", workload_kind="", zone="", peer_namespace="", peer_workload="s3""#;
        assert!(ends[0].contains(of_web), "{asked}");
        assert!(
            ends[1].contains(r#"workload="s3""#) && ends[1].contains("[900s:5m]"),
            "{asked}"
        );
    }
}
