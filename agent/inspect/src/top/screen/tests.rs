use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};

use super::*;
use crate::{
    debug::pairs::answer::{Pair, PairEnd, PairTraffic, Pairs, ScopeSum},
    view::{Group, Question, Sort, Window},
};

fn end(namespace: &str, workload: &str, zone: &str) -> PairEnd {
    PairEnd {
        namespace: namespace.to_owned(),
        workload: workload.to_owned(),
        kind: "Deployment".to_owned(),
        zone: zone.to_owned(),
    }
}

fn rate(bytes_per_second: f64) -> PairTraffic {
    PairTraffic {
        bytes: bytes_per_second as u64,
        packets: 1,
        bytes_per_second,
    }
}

fn pairs() -> Vec<Pair> {
    vec![
        Pair {
            local: end("default", "client-dep", "us-east-2a"),
            peer: end("default", "server-dep", "us-east-2b"),
            services: vec!["default/server".to_owned()],
            scope: "cross_zone".to_owned(),
            transmit: rate(10_000.0),
            receive: rate(170_000.0),
            total_bytes: 11_800_000,
            dollars_per_month: Some(9.46),
            trend: vec![1.0, 2.0, 4.0, 8.0],
            ..Pair::default()
        },
        Pair {
            local: end("iperf3", "iperf3-client", "us-east-2b"),
            peer: end("iperf3", "iperf3-server", "us-east-2b"),
            scope: "intra_node".to_owned(),
            transmit: rate(52e6),
            receive: rate(50e3),
            total_bytes: 3_100_000_000,
            dollars_per_month: Some(0.0),
            ..Pair::default()
        },
    ]
}

fn state() -> State {
    let mut state = State::new(
        Question {
            group: Group::Pair,
            window: Window::Minute,
            sort: Sort::Dollars,
            scope: None,
            namespace: None,
            search: String::new(),
            limit: 1000,
            unfolded: false,
        },
        &[],
        &[],
    );
    let about = Pairs {
        node: "ip-192-168-4-10".to_owned(),
        zone: "us-east-2a".to_owned(),
        window: "1m".to_owned(),
        seconds: 60.0,
        total: 2,
        matched: 2,
        scopes: vec![ScopeSum {
            scope: "cross_zone".to_owned(),
            transmit: rate(180_000.0),
            dollars_per_month: Some(9.46),
            ..ScopeSum::default()
        }],
        prices: Some(Default::default()),
        ..Pairs::default()
    };
    state.answered(Reading {
        about,
        rows: pairs().into_iter().map(Row::from).collect(),
        ..Reading::default()
    });
    state
}

fn drawn(state: &mut State, width: u16, height: u16, colour: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let palette = Palette { colour };
    terminal.draw(|frame| draw(frame, state, palette)).unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let rows = buffer.content.chunks(buffer.area.width.into());
    let line = |cells: &[ratatui::buffer::Cell]| -> String {
        cells.iter().map(ratatui::buffer::Cell::symbol).collect()
    };
    rows.map(|cells| line(cells).trim_end().to_owned())
        .collect()
}

#[test]
fn eighty_columns_hold_names_rates_and_dollars() {
    let shown = lines(&drawn(&mut state(), 80, 24, true));
    assert_eq!(
        shown[0],
        "zonemeter top · across zones 180k B/s = $9.46/mo · ip-192-168-4-10 us-east-2a ·…"
    );
    assert_eq!(shown[1], "pairs by dollars · 1m · 2 of 2");
    let words: Vec<&str> = shown[3].split_whitespace().collect();
    let expected = "default/client-dep <> default/server-dep 2a>2b cross_zone 10k 170k";
    assert!(words.join(" ").starts_with(expected), "{shown:#?}");
    assert_eq!(words.last(), Some(&"9.46"));
    assert!(shown.iter().all(|line| line.chars().count() <= 80));
    assert!(shown[23].starts_with("q quit"));
}

#[test]
fn a_wide_terminal_has_every_column() {
    let shown = lines(&drawn(&mut state(), 140, 24, true));
    for head in [
        "WORKLOAD", "PEER", "VIA", "ZONES", "SCOPE", "OUT/s", "IN/s", "TOTAL", "$/MO",
    ] {
        assert!(shown[2].contains(head), "{head}: {}", shown[2]);
    }
    assert!(shown[3].contains("server") && shown[3].contains("▁▂▄█"));
}

/// Names that are too long and terminals that are too small.
#[test]
fn nothing_is_wrapped_at_any_size() {
    let mut state = state();
    let mut reading = state.reading.clone().unwrap();
    reading.rows[0].pair.local.workload = "a-very-long-name-".repeat(9);
    reading.rows[1].pair.peer.workload = "\u{1b}[2J\n".to_owned();
    state.answered(reading);
    for (width, height) in [(1, 1), (20, 5), (40, 10), (79, 24), (80, 4), (300, 3)] {
        let shown = lines(&drawn(&mut state, width, height, true));
        assert_eq!(shown.len(), usize::from(height));
        let of_first = shown.iter().filter(|line| line.contains("a-very-long"));
        assert!(of_first.count() <= 1, "{width}x{height}: {shown:#?}");
    }
    let shown = lines(&drawn(&mut state, 200, 10, true)).join("\n");
    assert!(shown.contains(r"iperf3/\u{1b}[2J\n"), "{shown}");
}

#[test]
fn colour_is_of_what_is_charged_and_only_where_it_is_wanted() {
    let red = |buffer: &Buffer| -> String {
        let red = |cell: &&ratatui::buffer::Cell| cell.fg == Color::Red;
        let cells = buffer.content.iter().filter(red);
        cells.map(ratatui::buffer::Cell::symbol).collect()
    };
    let coloured = red(&drawn(&mut state(), 100, 10, true));
    let words: Vec<&str> = coloured.split_whitespace().collect();
    assert_eq!(words, ["cross_zone9.46"], "{coloured}");
    let plain = drawn(&mut state(), 100, 10, false);
    let is_plain =
        |cell: &ratatui::buffer::Cell| cell.fg == Color::Reset && cell.bg == Color::Reset;
    assert!(plain.content.iter().all(is_plain));
    let selected = plain.content[3 * 100].modifier;
    assert!(selected.contains(Modifier::REVERSED));
}

#[test]
fn the_selected_row_is_on_the_screen_wherever_it_is() {
    let mut state = state();
    let mut reading = state.reading.clone().unwrap();
    reading.rows = (0..50)
        .map(|index| {
            let mut pair = pairs().swap_remove(0);
            pair.local.workload = format!("row-{index:02}");
            Row::from(pair)
        })
        .collect();
    state.answered(reading);
    for selected in [0, 5, 49] {
        state.selected = selected;
        let shown = lines(&drawn(&mut state, 100, 10, true)).join("\n");
        assert!(shown.contains(&format!("row-{selected:02}")), "{shown}");
    }
    assert_eq!(state.page, 6);
}

#[test]
fn help_filter_pause_and_failures_are_on_the_screen() {
    let mut state = state();
    state.panel = Panel::Help;
    let shown = lines(&drawn(&mut state, 80, 24, true)).join("\n");
    for (key, what) in KEYS {
        assert!(
            shown.contains(&format!("{key:<6} {what}")),
            "{key}: {shown}"
        );
    }
    state.panel = Panel::Filter {
        before: String::new(),
    };
    state.question.search = "shop/\u{7}".to_owned();
    let shown = lines(&drawn(&mut state, 80, 24, true));
    assert_eq!(shown[23], r"filter: shop/\u{7}_");
    state.panel = Panel::None;
    state.paused = true;
    state.failed("http://127.0.0.1:9465: refused".to_owned());
    let shown = lines(&drawn(&mut state, 80, 24, true));
    assert!(shown[0].starts_with("zonemeter top · PAUSED"));
    assert_eq!(shown[1], "http://127.0.0.1:9465: refused");
    assert!(shown[3].contains("client-dep"), "what was known stays");
}
