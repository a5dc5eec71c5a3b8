//! The page of `zonemeter serve` in a browser: what its JSON says, and what Prometheus answers when it is
//! asked in another way.

use std::path::Path;

use serde_json::{Value, json};
use zonemeter_lab::{browser::Browser, prometheus::Prometheus};

use super::{
    Served,
    history::{DOLLARS, RATES},
    is_close, scope,
};

/// Asks as people do who know PromQL.
fn value(prometheus: &Prometheus, expression: &str) -> f64 {
    match &prometheus.query(expression).unwrap()[..] {
        [one] => one.value,
        other => panic!("{expression}: {other:?}"),
    }
}

/// `$1,234.50`
fn dollars(value: f64) -> String {
    let cents = format!("{value:.2}");
    let (whole, rest) = cents.split_once('.').unwrap();
    let mut text = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("${text}.{rest}")
}

/// A rate as the page writes it: decimal units, three figures.
fn rate(value: f64) -> String {
    let (value, unit) = match value {
        ..1e6 => (value / 1e3, "kB"),
        ..1e9 => (value / 1e6, "MB"),
        _ => (value / 1e9, "GB"),
    };
    match value {
        ..10.0 => format!("{value:.2} {unit}/s"),
        ..100.0 => format!("{value:.1} {unit}/s"),
        _ => format!("{value:.0} {unit}/s"),
    }
}

pub(super) fn shows_it(prometheus: &Prometheus, served: &Served) {
    let browser = Browser::find().unwrap();
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("whole_cluster");
    let url = format!("http://{}", served.address);
    let saw = browser.look(None, "cluster.mjs", &url, &scratch).unwrap();
    for name in ["console", "foreign", "violations"] {
        assert_eq!(saw[name], json!([]), "{name}");
    }
    for (view, width) in saw["widths"].as_object().unwrap() {
        assert!(width.as_f64().unwrap() <= 400.0, "{view} is {width} wide");
    }
    the_sums_are_prometheus_own(prometheus, &saw["first"]);
    the_dearest_pair_is_prometheus_own(prometheus, &saw["first"]);
    let tabs = saw["tabs"].as_str().unwrap();
    assert!(
        !tabs.contains("Health") && !tabs.contains("Connections"),
        "{tabs}"
    );
    for part in ["a month", "both ends pay", "zonemeter explain team-"] {
        assert!(
            saw["why"].as_str().unwrap().contains(part),
            "{part}: {}",
            saw["why"]
        );
    }
    assert!(saw["link"].as_str().unwrap().contains("open=team-"));
    for asked in ["found", "hour"] {
        for row in saw[asked]["shown"]["rows"].as_array().unwrap() {
            assert!(format!("{row}").contains("service-017"), "{asked}: {row}");
        }
    }
    assert_eq!(saw["hour"]["answer"]["window"], "1h");
}

fn the_sums_are_prometheus_own(prometheus: &Prometheus, saw: &Value) {
    let across = scope(&saw["answer"], "cross_zone");
    // What one pod sends the other receives: one direction of both ends has each byte once.
    let sent = format!("sum({RATES}{{scope=\"cross_zone\", direction=\"transmit\"}})");
    let moved = value(prometheus, &sent);
    let month = value(
        prometheus,
        &format!("8760 * sum({DOLLARS}{{scope=\"cross_zone\"}})"),
    );
    assert!(
        is_close(&across["dollars_per_month"], month),
        "{month}: {across}"
    );
    let card = &saw["shown"]["cards"]["card-across"];
    assert_eq!(card[0], rate(moved));
    assert_eq!(card[1], format!("{} a month", dollars(month)));
    let so_far = across["month_to_date_dollars"].as_f64().unwrap();
    assert_eq!(card[3], format!("{} this month so far", dollars(so_far)));
    // Twice as much as a week ago, as the history was written.
    assert_eq!(card[4], "+100 % against a week ago");

    for row in saw["answer"]["zones"].as_array().unwrap() {
        let [zone, peer_zone] = ["zone", "peer_zone"].map(|name| row[name].as_str().unwrap());
        let sum: f64 = ["transmit", "receive"]
            .map(|direction| row[direction]["bytes_per_second"].as_f64().unwrap())
            .iter()
            .sum();
        let cell = json!([zone, peer_zone, rate(sum)]);
        let matrix = saw["shown"]["matrix"].as_array().unwrap();
        assert!(matrix.contains(&cell), "{cell}: {matrix:?}");
    }
}

fn the_dearest_pair_is_prometheus_own(prometheus: &Prometheus, saw: &Value) {
    let (pair, row) = (&saw["answer"]["pairs"][0], &saw["shown"]["rows"][0]);
    let [own, peer] = ["local", "peer"]
        .map(|end| ["namespace", "workload", "zone"].map(|name| pair[end][name].as_str().unwrap()));
    let end = |own: [&str; 3], peer: [&str; 3]| {
        format!(
            "{DOLLARS}{{namespace=\"{}\", workload=\"{}\", zone=\"{}\", peer_workload=\"{}\", \
             peer_zone=\"{}\"}}",
            own[0], own[1], own[2], peer[1], peer[2]
        )
    };
    let [one, other] = [end(own, peer), end(peer, own)];
    let month = value(prometheus, &format!("8760 * sum({one} or {other})"));
    assert!(
        is_close(&pair["dollars_per_month"], month),
        "{month}: {pair}"
    );
    assert_eq!(row[0], format!("{}/{}", own[0], own[1]));
    assert_eq!(row[7], dollars(month));
    let so_far = pair["month_to_date_dollars"].as_f64().unwrap();
    assert_eq!(
        (&row[8], &row[9]),
        (&json!(dollars(so_far)), &json!("+100 %"))
    );
    // No dearer one is left out.
    let highest = format!("8760 * max({DOLLARS}) * 2");
    assert!(month <= value(prometheus, &highest) * (1.0 + 1e-6));
    assert_eq!(saw["shown"]["rows"].as_array().unwrap().len(), 200);
}
