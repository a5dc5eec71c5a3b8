//! The live table.

use std::time::Duration;

use super::{flows::Row, units, zones::Prefix};

const HEAD: [&str; 6] = ["FROM", "TO", "ZONES", "SCOPE", "BYTES", "BYTES/S"];
const BAR: usize = 20;

/// A line on how far the demo is and on how zones are shortened, the head, and a line for each
/// flow.
pub(super) fn render(rows: &[Row], elapsed: Duration, duration: Duration) -> Vec<String> {
    let mut lines = vec![progress(elapsed, duration)];
    if rows.is_empty() {
        lines.push("waiting for the first bytes".to_owned());
        return lines;
    }
    let prefix = Prefix::of(zones(rows));
    if let Some(note) = prefix.note(zones(rows)) {
        lines[0] = format!("{}; {note}", lines[0]);
    }
    let mut cells = vec![HEAD.map(str::to_owned)];
    cells.extend(rows.iter().map(|row| cells_of(row, &prefix)));
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

fn zones(rows: &[Row]) -> impl Iterator<Item = &str> {
    rows.iter()
        .flat_map(|row| [row.flow.from_zone.as_str(), row.flow.to_zone.as_str()])
}

fn cells_of(row: &Row, prefix: &Prefix) -> [String; 6] {
    let flow = &row.flow;
    let zones = [&flow.from_zone, &flow.to_zone].map(|zone| prefix.short(zone));
    [
        flow.from.clone(),
        flow.to.clone(),
        zones.join(">"),
        flow.scope.clone(),
        units::bytes(row.bytes),
        units::bytes(row.bytes_per_s as u64),
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
                "[#####---------------] 5 of 20 s; zone 2a is us-east-2a",
                "FROM        TO                  ZONES  SCOPE      BYTES   BYTES/S",
                "(internet)  default/client-dep  ->2a   internet  1.2 MB  617.3 kB",
            ]
        );
    }

    /// The longest names of the scene, the longest numbers; a terminal of 80 columns may lose the
    /// last one when the rest of the line is deleted.
    #[test]
    fn the_table_fits_80_columns() {
        let text = "zonemeter_workload_bytes_total{namespace=\"default\",workload=\"server-dep\",\
            zone=\"us-east-2a\",direction=\"transmit\",scope=\"aws_service\",peer_namespace=\"default\",\
            peer_workload=\"client-dep\",peer_workload_kind=\"Deployment\",peer_zone=\"us-east-2b\"} \
            999900000\n";
        let mut rates = flows::Rates::default();
        rates.next(BTreeMap::new(), Duration::ZERO);
        let reading = flows::read(&[Metrics::parse(text).unwrap()]);
        let rows = rates.next(reading, Duration::from_secs(1));
        for line in render(&rows, Duration::from_secs(3600), Duration::from_secs(3600)) {
            assert!(line.chars().count() < 80, "{line}");
        }
    }

    #[test]
    fn before_the_first_bytes_it_says_so() {
        let lines = render(&[], Duration::ZERO, Duration::from_secs(20));
        assert_eq!(lines[1], "waiting for the first bytes");
    }
}
