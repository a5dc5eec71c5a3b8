//! The table of `top` as text.

use std::fmt::Write as _;

use zonemeter_model::text::visible;

use crate::debug::answer::{End, Flow, Flows};

const HEAD: [&str; 7] = [
    "POD", "PEER", "SCOPE", "ZONES", "PROTOCOL", "TRANSMIT", "RECEIVE",
];
/// Columns from here on are numbers, flush right.
const NUMBERS: usize = 5;

/// A line about the drain, a head line and one line for each conversation.
pub(super) fn render(flows: &Flows) -> String {
    let rows: Vec<_> = flows.flows.iter().map(cells).collect();
    let mut text = about(flows);
    if rows.is_empty() {
        return text;
    }
    let widths = widths(&rows);
    line(&mut text, &HEAD.map(str::to_owned), widths);
    for row in &rows {
        line(&mut text, row, widths);
    }
    text
}

fn about(flows: &Flows) -> String {
    if flows.drained_unix_seconds == 0.0 {
        return "no drain yet\n".to_owned();
    }
    let (shown, matched, seconds) = (flows.flows.len(), flows.matched, flows.seconds);
    format!("{shown} of {matched} conversations in the last {seconds:.1} s\n")
}

fn cells(flow: &Flow) -> [String; 7] {
    let cells = [
        name(&flow.local),
        peer(flow),
        flow.scope.clone(),
        format!("{} > {}", known(&flow.local.zone), known(&flow.peer.zone)),
        flow.protocol.clone(),
        rate(flow.transmit.bytes_per_second),
        rate(flow.receive.bytes_per_second),
    ];
    cells.map(|cell| visible(&cell).into_owned())
}

fn peer(flow: &Flow) -> String {
    let via = match flow.service.is_empty() {
        true => String::new(),
        false => format!(" via {}", flow.service),
    };
    name(&flow.peer) + &via
}

/// `namespace/pod:port`, or the closest to it that is known.
fn name(end: &End) -> String {
    let names = [&end.pod, &end.workload];
    let name = names
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or(&end.address);
    let namespace = match end.namespace.is_empty() {
        true => String::new(),
        false => format!("{}/", end.namespace),
    };
    match end.port {
        0 => format!("{namespace}{name}"),
        port => format!("{namespace}{name}:{port}"),
    }
}

fn known(zone: &str) -> &str {
    if zone.is_empty() { "?" } else { zone }
}

/// Decimal units, as AWS bills.
fn rate(bytes_per_second: f64) -> String {
    let mut value = bytes_per_second;
    for unit in ["B/s", "kB/s", "MB/s"] {
        if value < 999.5 {
            return format!("{value:.0} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.2} GB/s")
}

fn widths(rows: &[[String; 7]]) -> [usize; 7] {
    std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEAD[column].len()]).max().unwrap_or_default()
    })
}

fn line(text: &mut String, cells: &[String; 7], widths: [usize; 7]) {
    let mut line = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        // Writing to a String cannot fail.
        let _ = match column >= NUMBERS {
            true => write!(line, "{cell:>width$}  "),
            false => write!(line, "{cell:<width$}  "),
        };
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debug::answer::Traffic;

    fn end(namespace: &str, pod: &str, zone: &str, address: &str, port: u16) -> End {
        End {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            zone: zone.to_owned(),
            address: address.to_owned(),
            port,
            ..End::default()
        }
    }

    fn flow(peer: End, service: &str, scope: &str, transmit: f64, receive: f64) -> Flow {
        let traffic = |bytes_per_second| Traffic {
            bytes: 1,
            packets: 1,
            bytes_per_second,
        };
        Flow {
            local: end("shop", "client-0", "us-east-2a", "10.0.1.1", 0),
            peer,
            service: service.to_owned(),
            protocol: "tcp".to_owned(),
            scope: scope.to_owned(),
            via: String::new(),
            pending: false,
            transmit: traffic(transmit),
            receive: traffic(receive),
        }
    }

    #[test]
    fn columns_line_up() {
        let server = end("data", "db-0", "us-east-2b", "10.0.2.2", 5432);
        let internet = end("", "", "", "198.51.100.7", 443);
        let flows = Flows {
            drained_unix_seconds: 1.7e9,
            seconds: 5.0,
            matched: 3,
            flows: vec![
                flow(server, "data/db", "cross_zone", 12_345_678.0, 999.6),
                flow(internet, "", "internet", 0.0, 2_500_000_000.0),
            ],
        };
        let expected = "\
2 of 3 conversations in the last 5.0 s
POD            PEER                        SCOPE       ZONES                    PROTOCOL  TRANSMIT    RECEIVE
shop/client-0  data/db-0:5432 via data/db  cross_zone  us-east-2a > us-east-2b  tcp        12 MB/s     1 kB/s
shop/client-0  198.51.100.7:443            internet    us-east-2a > ?           tcp          0 B/s  2.50 GB/s
";
        assert_eq!(render(&flows), expected);
    }

    /// A tag of a subnet or the name of another cluster's object may hold anything.
    #[test]
    fn text_of_others_cannot_act_on_the_terminal() {
        let network = End {
            workload: "\u{1b}[31mred\nline\u{202e}".to_owned(),
            ..End::default()
        };
        let flows = Flows {
            drained_unix_seconds: 1.7e9,
            seconds: 5.0,
            matched: 1,
            flows: vec![flow(network, "", "vpc", 0.0, 0.0)],
        };
        let table = render(&flows);
        assert_eq!(table.lines().count(), 3, "{table}");
        assert!(table.contains(r"\u{1b}[31mred\nline\u{202e}"), "{table}");
    }

    #[test]
    fn says_that_nothing_was_drained_yet() {
        let flows = Flows {
            drained_unix_seconds: 0.0,
            seconds: 0.0,
            matched: 0,
            flows: Vec::new(),
        };
        assert_eq!(render(&flows), "no drain yet\n");
    }
}
