use super::*;
use crate::debug::pairs::answer::{Pair, PairEnd, PairTraffic};

pub(super) fn reading() -> Reading {
    let end = |workload: &str, zone: &str| PairEnd {
        namespace: "default".to_owned(),
        workload: workload.to_owned(),
        kind: "Deployment".to_owned(),
        zone: zone.to_owned(),
    };
    let rate = |bytes_per_second: f64| PairTraffic {
        bytes: bytes_per_second as u64,
        packets: 1,
        bytes_per_second,
    };
    let row = Row::from(Pair {
        local: end("client-dep", "us-east-2a"),
        peer: end("server-dep", "us-east-2b"),
        services: vec!["default/server".to_owned()],
        scope: "cross_zone".to_owned(),
        transmit: rate(10_000.0),
        receive: rate(170_000.0),
        total_bytes: 11_800_000,
        dollars_per_month: Some(9.46),
        trend: vec![1.0, 2.0, 4.0],
        ..Pair::default()
    });
    Reading {
        rows: vec![row],
        ..Reading::default()
    }
}

fn columns(room: usize) -> Vec<Column> {
    let reading = reading();
    let fitted = Table::new(&reading, Group::Pair).fit(room);
    let widths: usize = fitted.iter().map(|(_, width)| width + 1).sum();
    assert!(widths <= room + 1, "{room}: {fitted:?}");
    fitted.into_iter().map(|(column, _)| column).collect()
}

/// At 80 columns both names are whole.
#[test]
fn what_matters_less_gives_way() {
    for (room, missing) in [
        (120, vec![]),
        (99, vec![]),
        (90, vec![Column::Via]),
        (80, vec![Column::Via, Column::Trend]),
        (72, vec![Column::Via, Column::Trend, Column::Total]),
    ] {
        let shown = columns(room);
        let of_agents = |one: &Column| !matches!(one, Column::Week | Column::Month);
        let gone = ALL.into_iter().filter(of_agents);
        let gone: Vec<_> = gone.filter(|one| !shown.contains(one)).collect();
        assert_eq!(gone, missing, "{room}");
    }
    let reading = reading();
    let fitted = Table::new(&reading, Group::Pair).fit(80);
    assert!(fitted.contains(&(Column::Local, 18)), "{fitted:?}");
    assert!(fitted.contains(&(Column::Peer, 18)), "{fitted:?}");
    Table::new(&reading, Group::Pair).fit(0);
}

#[test]
fn cells_say_what_people_read() {
    let reading = reading();
    let table = Table::new(&reading, Group::Pair);
    let cells = ALL.map(|column| table.cell(&reading.rows[0], column));
    assert_eq!(
        cells,
        [
            "default/client-dep",
            "<>",
            "default/server-dep",
            "server",
            "2a>2b",
            "cross_zone",
            "10k",
            "170k",
            "▂▄█",
            "",
            "12M",
            "9.46",
            "-"
        ]
    );
}

#[test]
fn a_change_is_against_the_week_before() {
    let mut row = reading().rows.swap_remove(0);
    for (earlier, shown) in [
        (None, ""),
        (Some(0.0), "new"),
        (Some(180_000.0), "+0%"),
        (Some(360_000.0), "-50%"),
        (Some(20_000.0), "+800%"),
        (Some(100.0), "x1.8k"),
    ] {
        row.pair.bytes_per_second_week_ago = earlier;
        assert_eq!(change(&row), shown, "{earlier:?}");
    }
}

#[test]
fn a_trend_has_as_many_bars_as_there_is_room_for() {
    assert_eq!(trend(&[]), "");
    assert_eq!(trend(&[0.0, 0.0]), "  ");
    assert_eq!(trend(&[1.0; 60]).chars().count(), 8);
    assert_eq!(trend(&[0.0, 0.1, 8.0]), " ▁█");
}

/// A tag of a subnet or the name of another cluster's object may hold anything.
#[test]
fn text_of_others_cannot_act_on_the_terminal() {
    let mut reading = reading();
    reading.rows[0].pair.peer.workload = "\u{1b}[31mred\nline\u{202e}".to_owned();
    let table = Table::new(&reading, Group::Pair);
    let cell = table.cell(&reading.rows[0], Column::Peer);
    assert_eq!(cell, r"default/\u{1b}[31mred\nline\u{202e}");
}
