//! The table as text, for a file, a pipe, or `--once`.

use super::{
    columns::{Table, written},
    head,
};
use crate::view::{Question, Reading};
use zonemeter_model::text::visible;

/// Two lines about what is shown, a head line and one line for each row.
pub(super) fn render(reading: &Reading, question: &Question, limit: usize) -> String {
    let mut lines = vec![head::about(reading), head::choices(question, reading)];
    lines.extend(reading.lacks.iter().map(|line| visible(line).into_owned()));
    let mut shown = reading.clone();
    shown.rows.truncate(limit);
    if !shown.rows.is_empty() {
        lines.extend(table(
            &Table::new(&shown, question.group).with_whole_zones(),
        ));
    }
    lines
        .iter()
        .fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

fn table(table: &Table<'_>) -> Vec<String> {
    let columns = table.whole();
    let head = columns
        .iter()
        .map(|(column, room)| written(table.head(*column), *column, *room));
    let mut lines = vec![head.collect::<Vec<_>>().join("  ")];
    for row in table.rows {
        let cells = columns
            .iter()
            .map(|(column, room)| written(&table.cell(row, *column), *column, *room));
        lines.push(cells.collect::<Vec<_>>().join("  "));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        debug::{
            answer::{End, Flow, Flows, Traffic},
            pairs::answer::{Pair, PairEnd, PairTraffic, Pairs},
        },
        view::{Group, Sort, Window},
    };

    fn question(group: Group) -> Question {
        Question {
            group,
            window: Window::FiveMinutes,
            sort: Sort::Total,
            scope: None,
            namespace: None,
            search: String::new(),
            limit: 100,
            unfolded: false,
        }
    }

    #[test]
    fn columns_line_up() {
        let end = |workload: &str, zone: &str| PairEnd {
            namespace: "shop".to_owned(),
            workload: workload.to_owned(),
            kind: "Deployment".to_owned(),
            zone: zone.to_owned(),
        };
        let rate = |bytes_per_second: f64| PairTraffic {
            bytes: bytes_per_second as u64,
            packets: 1,
            bytes_per_second,
        };
        let pairs = vec![
            Pair {
                local: end("client", "us-east-2a"),
                peer: end("db", "us-east-2b"),
                services: vec!["shop/db".to_owned()],
                scope: "cross_zone".to_owned(),
                transmit: rate(12_345_678.0),
                receive: rate(999.6),
                total_bytes: 5_000_000_000,
                dollars_per_month: Some(648.8),
                ..Pair::default()
            },
            Pair {
                local: end("client", "us-east-2a"),
                scope: "internet".to_owned(),
                via: "nat".to_owned(),
                transmit: rate(7.0),
                dollars_per_month: Some(0.0),
                ..Pair::default()
            },
        ];
        let answer = Pairs {
            seconds: 300.0,
            total: 2,
            matched: 2,
            pairs,
            ..Pairs::default()
        };
        let question = question(Group::Pair);
        let reading = Reading::of_pairs(vec![answer], &question);
        let expected = "\
mean of 300 s
pairs by total · 5m · 2 of 2
WORKLOAD         PEER        VIA  ZONES                  SCOPE       OUT/s  IN/s  TOTAL    $/MO
shop/client  <>  shop/db     db   us-east-2a>us-east-2b  cross_zone    12M  1.0k   5.0G  648.80
shop/client  ->  (internet)  nat  us-east-2a>-           internet        7     0      0    0.00
";
        assert_eq!(render(&reading, &question, 100), expected);
        let one = render(&reading, &question, 1);
        assert_eq!(one.lines().count(), 4, "{one}");
    }

    #[test]
    fn a_conversation_names_pods_and_ports() {
        let end = |pod: &str, address: &str, port: u16| End {
            namespace: "shop".to_owned(),
            pod: pod.to_owned(),
            zone: "a".to_owned(),
            address: address.to_owned(),
            port,
            ..End::default()
        };
        let flow = Flow {
            local: end("client-0", "10.0.1.1", 0),
            peer: end("db-0", "10.0.2.2", 5432),
            service: String::new(),
            other_ports: true,
            protocol: "tcp".to_owned(),
            scope: "intra_zone".to_owned(),
            via: String::new(),
            pending: false,
            transmit: Traffic {
                bytes: 5000,
                packets: 5,
                bytes_per_second: 1000.0,
            },
            receive: Traffic::default(),
        };
        let flows = Flows {
            drained_unix_seconds: 1.7e9,
            seconds: 5.0,
            matched: 1,
            flows: vec![flow],
        };
        let question = question(Group::Connection);
        let reading = Reading::of_flows(vec![flows], &question);
        let expected = "\
last drain, 5.0 s
connections by total · 1 of 1
POD                PEER                       ZONES  SCOPE       OUT/s  IN/s
shop/client-0  ->  shop/db-0:5432 and others  a=a    intra_zone   1.0k     0
";
        assert_eq!(render(&reading, &question, 100), expected);
    }

    #[test]
    fn says_that_nothing_was_drained_yet() {
        let question = question(Group::Pair);
        let text = render(&Reading::default(), &question, 100);
        assert!(text.starts_with("no drain yet\n"), "{text}");
    }
}
