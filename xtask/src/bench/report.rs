//! Medians, as a table that reads well in a terminal and in a document.

use super::{
    case::Case,
    measure::{Mode, Sample},
};

const HEAD: [&str; 7] = [
    "case",
    "empty, from pod",
    "empty, to pod",
    "zonemeter, from pod",
    "zonemeter, to pod",
    "packets/s without",
    "throughput with / without",
];

/// Everything that was measured.
pub(super) struct Report {
    pub(super) samples: Vec<Sample>,
    pub(super) rounds: u32,
    pub(super) seconds: u64,
}

impl Report {
    /// A Markdown table, one line per case.
    pub(super) fn table(&self) -> String {
        let mut rows = vec![HEAD.map(str::to_owned), ["---"; 7].map(str::to_owned)];
        rows.extend(Case::ALL.map(|case| self.row(case)));
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let line = |row: &[String; 7]| {
            let cell =
                |(column, text): (usize, &String)| format!("{text:<width$}", width = width(column));
            format!(
                "| {} |",
                row.iter()
                    .enumerate()
                    .map(cell)
                    .collect::<Vec<_>>()
                    .join(" | ")
            )
        };
        rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The table with what a reader must know to judge it.
    pub(super) fn document(&self, table: &str, machine: &str) -> String {
        format!(
            "# What counting costs per packet\n\n\
             Nanoseconds per run of each program, from the kernel's own statistics \
             (`kernel.bpf_stats_enabled`), and throughput with the agent and without. Real packets \
             at full speed between two pods of one node of the lab; a packet meets both programs \
             there, one of them when its peer is on another node. The empty program shows what hook \
             and statistics cost by themselves. Medians of {rounds} rounds of {seconds} s; nothing, \
             empty program and agent take turns in each round.\n\n\
             Measured on {machine}, by `cargo xtask bench --rounds {rounds} --seconds {seconds} \
             --write`.\n\n{table}\n",
            rounds = self.rounds,
            seconds = self.seconds,
        )
    }

    fn row(&self, case: Case) -> [String; 7] {
        let cost = |mode, index: usize| {
            let median = self.median(case, mode, |sample| sample.cost_ns[index]);
            median.map_or_else(|| "-".to_owned(), |ns| format!("{ns:.0} ns"))
        };
        let rate = |mode| self.median(case, mode, |sample| Some(sample.bytes_per_s));
        let packets = self.median(case, Mode::Nothing, |sample| Some(sample.packets_per_s));
        let share = match (rate(Mode::Agent), rate(Mode::Nothing)) {
            (Some(with), Some(without)) if without > 0.0 => format!("{:.2}", with / without),
            _ => "-".to_owned(),
        };
        [
            case.title().to_owned(),
            cost(Mode::Floor, 0),
            cost(Mode::Floor, 1),
            cost(Mode::Agent, 0),
            cost(Mode::Agent, 1),
            packets.map_or_else(|| "-".to_owned(), |packets| format!("{packets:.0}")),
            share,
        ]
    }

    fn median(
        &self,
        case: Case,
        mode: Mode,
        value: impl Fn(&Sample) -> Option<f64>,
    ) -> Option<f64> {
        let of_this = self
            .samples
            .iter()
            .filter(|sample| sample.case == case && sample.mode == mode);
        median(of_this.filter_map(value).collect())
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(mode: Mode, cost_ns: f64, bytes_per_s: f64) -> Sample {
        let cost_ns = [Some(cost_ns), None];
        Sample {
            mode,
            case: Case::UdpOneFlow,
            cost_ns,
            bytes_per_s,
            packets_per_s: 7.0,
        }
    }

    #[test]
    fn the_median_stands_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_row_compares_the_agent_with_nothing() {
        let samples = vec![
            sample(Mode::Nothing, 0.0, 200.0),
            sample(Mode::Floor, 30.4, 190.0),
            sample(Mode::Agent, 61.0, 180.0),
            sample(Mode::Agent, 59.0, 180.0),
        ];
        let row = Report {
            samples,
            rounds: 1,
            seconds: 1,
        }
        .row(Case::UdpOneFlow);
        assert_eq!(
            row[1..],
            ["30 ns", "-", "60 ns", "-", "7", "0.90"].map(str::to_owned)
        );
    }
}
