//! Medians, as a table that reads well in a terminal and in a document.

use super::{
    case::Case,
    measure::{Mode, Sample},
};

const HEAD: [&str; 7] = [
    "case",
    "empty",
    "pairs above empty",
    "zonemeter above empty",
    "zonemeter / pairs",
    "throughput, empty / without",
    "throughput, zonemeter / without",
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
             Nanoseconds per run of a program, the mean of the program from the pod and the one to \
             it, from the kernel's own statistics (`kernel.bpf_stats_enabled`). *Empty* is a program \
             that does nothing: hook and statistics cost that. Everything else is **above** it. \
             *Pairs* is a yardstick, a program that counts bytes and packets by interface and IPv4 \
             peer in a per-CPU hash and nothing else. Throughput is measured with the statistics \
             off. Real packets at full speed between two pods of one node of the lab; a packet meets \
             both programs there. Nothing, empty, pairs and agent take turns in each round; medians \
             of {rounds} rounds of {seconds} s, and in brackets the lower and the upper quartile. What \
             else runs on the machine slows all of them alike, and shows most in the throughput.\n\n\
             Measured on {machine}, by `cargo xtask bench --rounds {rounds} --seconds {seconds} \
             --write`.\n\n{table}\n",
            rounds = self.rounds,
            seconds = self.seconds,
        )
    }

    fn row(&self, case: Case) -> [String; 7] {
        let empty = quartiles(self.costs(case, Mode::Empty));
        let above = |mode| {
            let [_, floor, _] = empty?;
            Some(quartiles(self.costs(case, mode))?.map(|ns| ns - floor))
        };
        let (pairs, own) = (above(Mode::Pairs), above(Mode::Agent));
        let beside = match (pairs, own) {
            (Some([_, pairs, _]), Some([_, own, _])) if pairs > 0.0 && case != Case::UdpIpv6 => {
                format!("{:.2}", own / pairs)
            }
            _ => "-".to_owned(),
        };
        [
            case.title().to_owned(),
            spread(empty),
            spread(pairs.filter(|_| case != Case::UdpIpv6)),
            spread(own),
            beside,
            self.throughput(case, Mode::Empty),
            self.throughput(case, Mode::Agent),
        ]
    }

    /// Nanoseconds of a run, the mean of both programs, in each round.
    fn costs(&self, case: Case, mode: Mode) -> Vec<f64> {
        let mean = |sample: &Sample| Some(f64::midpoint(sample.cost_ns[0]?, sample.cost_ns[1]?));
        self.of(case, mode).filter_map(mean).collect()
    }

    /// Of each round, beside what the same round had with nothing attached.
    fn throughput(&self, case: Case, mode: Mode) -> String {
        let rates = |mode| self.of(case, mode).map(|sample| sample.bytes_per_s);
        let shares = rates(mode).zip(rates(Mode::Nothing));
        let shares: Vec<f64> = shares
            .filter(|(_, without)| *without > 0.0)
            .map(|(with, without)| with / without)
            .collect();
        match quartiles(shares) {
            Some([low, middle, high]) => format!("{middle:.3} ({low:.2} to {high:.2})"),
            None => "-".to_owned(),
        }
    }

    fn of(&self, case: Case, mode: Mode) -> impl Iterator<Item = &Sample> {
        let samples = self.samples.iter();
        samples.filter(move |sample| sample.case == case && sample.mode == mode)
    }
}

fn spread(quartiles: Option<[f64; 3]>) -> String {
    match quartiles {
        Some([low, middle, high]) => format!("{middle:.0} ns ({low:.0} to {high:.0})"),
        None => "-".to_owned(),
    }
}

/// Lower quartile, median and upper quartile.
fn quartiles(mut values: Vec<f64>) -> Option<[f64; 3]> {
    values.sort_by(f64::total_cmp);
    let middle = median(values.clone())?;
    let quarter = (values.len() - 1) / 4;
    Some([values[quarter], middle, values[values.len() - 1 - quarter]])
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
        let cost_ns = [Some(cost_ns); 2];
        Sample {
            mode,
            case: Case::UdpOneFlow,
            cost_ns,
            bytes_per_s,
        }
    }

    #[test]
    fn the_median_stands_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn quartiles_stand_around_the_median() {
        assert_eq!(quartiles(vec![]), None);
        assert_eq!(quartiles(vec![5.0]), Some([5.0, 5.0, 5.0]));
        let five = vec![5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(quartiles(five), Some([2.0, 3.0, 4.0]));
    }

    #[test]
    fn a_row_tells_costs_above_the_empty_program() {
        let samples = vec![
            sample(Mode::Nothing, 0.0, 200.0),
            sample(Mode::Empty, 30.4, 190.0),
            sample(Mode::Pairs, 70.4, 180.0),
            sample(Mode::Agent, 62.4, 180.0),
        ];
        let row = Report {
            samples,
            rounds: 1,
            seconds: 1,
        }
        .row(Case::UdpOneFlow);
        let expected = [
            "30 ns (30 to 30)",
            "40 ns (40 to 40)",
            "32 ns (32 to 32)",
            "0.80",
            "0.950 (0.95 to 0.95)",
            "0.900 (0.90 to 0.90)",
        ];
        assert_eq!(row[1..], expected.map(str::to_owned));
    }
}
