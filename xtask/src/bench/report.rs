//! What was measured, as tables that read well in a terminal and in a document.

use super::{
    LOADS,
    case::Case,
    host::OfHost,
    measure::Measured,
    median::{error, paired, quartiles},
    programs::Mode,
};

/// Of the empty program's throughput: at least so much is aimed at.
const THROUGHPUT: f64 = 0.97;
const IPERF3: f64 = 0.995;
/// Nanoseconds above the empty program, times those of IPv4: at most so much is aimed at.
const IPV6: f64 = 1.5;

/// Everything that was measured.
pub(super) struct Report {
    pub(super) cases: Vec<Measured>,
    pub(super) hosts: Vec<OfHost>,
    pub(super) seconds: u64,
}

impl Report {
    /// Three tables in Markdown.
    pub(super) fn tables(&self) -> String {
        let with_cost = self.cases.iter().filter(|one| !one.case.is_iperf3());
        let costs = with_cost.map(|one| self.cost_row(one));
        let head = [
            "case",
            "empty",
            "pairs above empty",
            "zonemeter above empty",
            "zonemeter / pairs",
        ];
        let costs = table(head, costs);
        let head = [
            "case",
            "rounds",
            "empty / without",
            "zonemeter / without",
            "zonemeter / empty",
        ];
        let throughput = table(head, self.cases.iter().map(throughput_row));
        let head = ["hook", "turns", "empty", "zonemeter above empty"];
        let hosts = table(head, self.hosts.iter().map(host_row));
        format!(
            "## Time of a run\n\n{costs}\n\n## Throughput\n\n{throughput}\n\n## The node's own \
             bytes\n\n{hosts}\n"
        )
    }

    /// The tables with what a reader must know to judge them.
    pub(super) fn document(&self, tables: &str, machine: &str) -> String {
        let seconds = self.seconds;
        format!(
            "# What counting costs per packet\n\n\
             Real packets at full speed between two pods of one node of the lab; a packet meets both \
             programs there, the one from a pod and the one to it. While the traffic goes on, what is on \
             the hooks takes turns of 100 ms: nothing, a program that does nothing (*empty*), one that \
             counts bytes and packets by interface and IPv4 peer in a per-CPU hash and nothing else \
             (*pairs*), and zonemeter's, whose agent runs and drains them all the time. Each value is \
             compared with that of the same round of turns; shown are medians over the rounds and in \
             brackets the lower and the upper quartile. What is aimed at stands behind *target*.\n\n\
             Measured on {machine}, by `cargo xtask bench --seconds {seconds} --write`: {seconds} s for \
             each case, five times as long for TCP and ten times for iperf3, with the programs loaded \
             {LOADS} times. Anything else that runs on the machine shows, most of all in the throughput.\n\n\
             - *Time of a run*: nanoseconds of one run of a program, the mean of both programs, by the \
             kernel's own statistics (`kernel.bpf_stats_enabled`). Hook and statistics alone cost what \
             *empty* says; everything else is above it.\n\
             - *Throughput*: with the statistics off; after ± the standard error of the median. iperf3 \
             goes between a pod and one of another node; only the first has programs. What comes in \
             by the node's uplink is joined to super-packets (GRO), as EC2's network driver does.\n\
             - *The node's own bytes*: one TCP stream of a process of the node by its uplink, out and \
             then in. The agent's programs and empty ones behind them run for the same packets.\n\n\
             {tables}"
        )
    }

    fn cost_row(&self, one: &Measured) -> [String; 5] {
        let (max_ns, max_times) = one.case.target();
        let (own, pairs) = (above(one, Mode::Agent), above(one, Mode::Pairs));
        let beside = match (middle(&own), middle(&pairs), one.case) {
            (Some(own), _, Case::UdpIpv6) => {
                let ipv4 = self.cases.iter().find(|one| one.case == Case::UdpOneFlow);
                let ipv4 = ipv4.and_then(|one| middle(&above(one, Mode::Agent)));
                ipv4.map(|ipv4| format!("{:.2} × IPv4 (target {IPV6})", own / ipv4))
            }
            (Some(own), Some(pairs), _) if pairs > 0.0 => {
                let target = max_times.map(|times| format!(" (target {times})"));
                Some(format!("{:.2}{}", own / pairs, target.unwrap_or_default()))
            }
            _ => None,
        };
        let target = max_ns.map(|ns| format!(", target {ns}"));
        [
            one.case.title(),
            nanoseconds(&of(&one.costs, Mode::Empty)),
            nanoseconds(&pairs),
            nanoseconds(&own) + &target.unwrap_or_default(),
            beside.unwrap_or_else(|| "-".to_owned()),
        ]
    }
}

fn throughput_row(one: &Measured) -> [String; 5] {
    let rates = |mode| of(&one.rates, mode);
    let share = |one: Mode, other: Mode| {
        let shares = paired(&rates(one), &rates(other), |one, other| one / other);
        match (quartiles(shares.clone()), error(&shares)) {
            (Some([low, middle, high]), Some(error)) => {
                format!("{middle:.3} ± {error:.3} ({low:.2} to {high:.2})")
            }
            _ => "-".to_owned(),
        }
    };
    let target = if one.case.is_iperf3() {
        IPERF3
    } else {
        THROUGHPUT
    };
    [
        one.case.title(),
        rates(Mode::Agent).len().to_string(),
        share(Mode::Empty, Mode::Nothing),
        share(Mode::Agent, Mode::Nothing),
        share(Mode::Agent, Mode::Empty) + &format!(", target {target}"),
    ]
}

fn host_row(one: &OfHost) -> [String; 4] {
    let above = paired(&one.agent, &one.empty, |agent, empty| agent - empty);
    [
        one.hook.to_owned(),
        above.len().to_string(),
        nanoseconds(&one.empty),
        nanoseconds(&above),
    ]
}

/// What a mode costs more than the empty program of the same round.
fn above(one: &Measured, mode: Mode) -> Vec<f64> {
    let (costs, empty) = (of(&one.costs, mode), of(&one.costs, Mode::Empty));
    paired(&costs, &empty, |cost, empty| cost - empty)
}

fn of(values: &[(Mode, Vec<f64>)], mode: Mode) -> Vec<f64> {
    let found = values.iter().find(|(of, _)| *of == mode);
    found.map(|(_, values)| values.clone()).unwrap_or_default()
}

fn middle(values: &[f64]) -> Option<f64> {
    Some(quartiles(values.to_vec())?[1])
}

fn nanoseconds(values: &[f64]) -> String {
    match quartiles(values.to_vec()) {
        Some([low, middle, high]) => format!("{middle:.0} ns ({low:.0} to {high:.0})"),
        None => "-".to_owned(),
    }
}

/// In Markdown, with columns as wide as they need to be.
pub(super) fn table<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut all = vec![head.map(str::to_owned), ["---"; N].map(str::to_owned)];
    all.extend(rows);
    let width = |column: usize| {
        let cells = all.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        format!("| {} |", cells.join(" | "))
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        Measured {
            case: Case::UdpOneFlow,
            rates: vec![
                (Mode::Nothing, vec![200.0, 100.0]),
                (Mode::Empty, vec![190.0, 95.0]),
                (Mode::Agent, vec![180.5, 90.25]),
            ],
            costs: vec![
                (Mode::Empty, vec![30.0, 50.0]),
                (Mode::Pairs, vec![70.0, 90.0]),
                (Mode::Agent, vec![62.0, 82.0]),
            ],
        }
    }

    #[test]
    fn rounds_are_compared_one_by_one() {
        let report = Report {
            cases: vec![measured()],
            hosts: Vec::new(),
            seconds: 1,
        };
        let costs = [
            "40 ns (30 to 50)",
            "40 ns (40 to 40)",
            "32 ns (32 to 32), target 45",
            "0.80 (target 1)",
        ];
        assert_eq!(report.cost_row(&measured())[1..], costs.map(str::to_owned));
        let throughput = [
            "2",
            "0.950 ± 0.000 (0.95 to 0.95)",
            "0.902 ± 0.000 (0.90 to 0.90)",
            "0.950 ± 0.000 (0.95 to 0.95), target 0.97",
        ];
        let row = throughput_row(&measured());
        assert_eq!(row[1..], throughput.map(str::to_owned));
    }

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let rows = [["x".to_owned(), "± 1".to_owned()]];
        let expected = "| a   | b   |\n| --- | --- |\n| x   | ± 1 |";
        assert_eq!(table(["a", "b"], rows.into_iter()), expected);
    }
}
