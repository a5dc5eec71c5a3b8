//! The live table.

use std::time::Duration;

use super::{flows::Row, units};

const HEAD: [&str; 6] = ["FROM", "TO", "ZONES", "SCOPE", "BYTES", "RATE"];
const BAR: usize = 20;

/// A line on how far the demo is, the head, and a line for each flow.
pub(super) fn render(rows: &[Row], elapsed: Duration, duration: Duration) -> Vec<String> {
    let mut lines = vec![progress(elapsed, duration)];
    if rows.is_empty() {
        lines.push("waiting for the first bytes".to_owned());
        return lines;
    }
    let mut cells = vec![HEAD.map(str::to_owned)];
    cells.extend(rows.iter().map(cells_of));
    lines.extend(align(&cells, 2));
    lines
}

fn progress(elapsed: Duration, duration: Duration) -> String {
    let share = (elapsed.as_secs_f64() / duration.as_secs_f64()).clamp(0.0, 1.0);
    let full = (share * BAR as f64) as usize;
    format!(
        "[{}{}] {} of {} s",
        "#".repeat(full),
        "-".repeat(BAR - full),
        elapsed.as_secs(),
        duration.as_secs()
    )
}

fn cells_of(row: &Row) -> [String; 6] {
    let zone = |name: &str| {
        if name.is_empty() {
            "-".to_owned()
        } else {
            name.to_owned()
        }
    };
    [
        row.flow.from.clone(),
        row.flow.to.clone(),
        format!(
            "{} > {}",
            zone(&row.flow.from_zone),
            zone(&row.flow.to_zone)
        ),
        row.flow.scope.clone(),
        units::bytes(row.bytes),
        format!("{}/s", units::bytes(row.bytes_per_s as u64)),
    ]
}

/// Pads every column to its widest cell, two spaces between columns; the last `numbers` columns
/// are aligned to the right.
pub(super) fn align<const N: usize>(rows: &[[String; N]], numbers: usize) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let pad = |(column, cell): (usize, &String)| match column + numbers >= N {
        true => format!("{cell:>width$}", width = widths[column]),
        false => format!("{cell:<width$}", width = widths[column]),
    };
    rows.iter()
        .map(|row| {
            row.iter()
                .enumerate()
                .map(pad)
                .collect::<Vec<_>>()
                .join("  ")
                .trim_end()
                .to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use zonemeter_lab::Metrics;

    use super::{super::flows, *};

    fn rows() -> Vec<Row> {
        let text = "zonemeter_workload_bytes_total{namespace=\"default\",workload=\"client-dep\",\
            zone=\"us-east-2a\",direction=\"receive\",scope=\"internet\"} 1234567\n";
        let mut rates = flows::Rates::default();
        rates.next(BTreeMap::new(), Duration::ZERO);
        rates.next(
            flows::read(&[Metrics::parse(text).unwrap()]),
            Duration::from_secs(2),
        )
    }

    #[test]
    fn columns_line_up_and_say_who_where_and_how_fast() {
        let lines = render(&rows(), Duration::from_secs(5), Duration::from_secs(20));
        assert_eq!(
            lines,
            [
                "[#####---------------] 5 of 20 s",
                "FROM        TO                  ZONES           SCOPE      BYTES        RATE",
                "(internet)  default/client-dep  - > us-east-2a  internet  1.2 MB  617.3 kB/s",
            ]
        );
    }

    #[test]
    fn before_the_first_bytes_it_says_so() {
        let lines = render(&[], Duration::ZERO, Duration::from_secs(20));
        assert_eq!(lines[1], "waiting for the first bytes");
    }
}
