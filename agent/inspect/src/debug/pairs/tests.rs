//! Pairs out of series, over time; expected values are added up by hand.

use zonemeter_model::snapshot::Scope;

use self::node::{DB, IN, Node, OUT, WEB, flow};
use super::answer::{Pair, Pairs};

mod node;

fn peers(answer: &Pairs) -> Vec<&str> {
    let pairs = answer.pairs.iter();
    pairs.map(|pair| &*pair.peer.workload).collect()
}

fn the_only(answer: &Pairs) -> &Pair {
    let [pair] = &answer.pairs[..] else {
        panic!("{answer:?}")
    };
    pair
}

fn is_close(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() < 1e-9 * expected.abs().max(1.0),
        "{found} for {expected}"
    );
}

#[test]
fn both_directions_are_one_row_with_its_mean_since_the_start() {
    let mut node = Node::new();
    node.drain(10, &[(DB, OUT, 400, 4), (DB, IN, 6_000, 60)]);
    let answer = node.ask("window=start");
    let pair = the_only(&answer);
    assert_eq!(
        (&*pair.local.namespace, &*pair.local.workload),
        ("shop", "client")
    );
    assert_eq!(
        (&*pair.peer.workload, &*pair.peer.zone),
        ("db", "us-east-2b")
    );
    assert_eq!((&*pair.scope, &*pair.via), ("cross_zone", ""));
    assert_eq!((pair.transmit.bytes, pair.transmit.packets), (400, 4));
    assert_eq!(pair.receive.bytes_per_second, 600.0);
    // With what an earlier process counted.
    assert_eq!(pair.total_bytes, 400 + 6_000 + 2_000);
    assert_eq!((answer.seconds, answer.age_seconds), (10.0, 2.0));
    assert_eq!(answer.since_unix_seconds, 1_000_000.0);
    assert_eq!(answer.not_attributed[0].bytes, 10);
    assert_eq!(
        (answer.total, answer.matched, answer.truncated),
        (1, 1, false)
    );
}

/// A unit is a workload like any other; its bytes are those of its series.
#[test]
fn the_nodes_own_are_pairs_too() {
    let mut node = Node::new();
    node.hosts = vec![
        node::host("containerd.service", OUT, 30, 3),
        node::host("containerd.service", IN, 700, 7),
        node::host("", OUT, 1, 1),
    ];
    node.drain(10, &[(WEB, OUT, 5, 1)]);
    let answer = node.ask("window=start&sort=total");
    let shown: Vec<_> = answer
        .pairs
        .iter()
        .map(|pair| {
            let local = (&*pair.local.kind, &*pair.local.workload, pair.host);
            (local, pair.transmit.bytes, pair.receive.packets)
        })
        .collect();
    let expected = [
        (("Unit", "containerd.service", true), 30, 7),
        (("Deployment", "client", false), 5, 0),
        (("Kernel", "kernel", true), 1, 0),
    ];
    assert_eq!(shown, expected);
    let found = node.ask("window=start&search=containerd.service");
    assert_eq!(the_only(&found).local.zone, "us-east-2a");
}

#[test]
fn a_window_begins_at_the_last_point_before_it() {
    let mut node = Node::new();
    for second in (0..=400).step_by(5) {
        node.drain(second, &[(DB, OUT, second * second, second)]);
    }
    // From 340 s, and from 100 s: squares, so that another begin gives another number.
    let minute = node.ask("window=1m");
    assert_eq!(
        (minute.seconds, the_only(&minute).transmit.bytes),
        (60.0, 160_000 - 115_600)
    );
    let five = node.ask("window=5m");
    assert_eq!(
        (five.seconds, the_only(&five).transmit.bytes),
        (310.0, 160_000 - 8_100)
    );
    assert_eq!(the_only(&five).transmit.packets, 310);
    // Not looked at for an hour: as far back as there are points.
    let hour = node.ask("window=1h");
    assert_eq!(
        (hour.seconds, the_only(&hour).transmit.bytes),
        (400.0, 160_000)
    );
    let trend = &the_only(&minute).trend;
    assert_eq!(trend.len(), 12);
    is_close(trend[0], (345.0 * 345.0 - 340.0 * 340.0) / 5.0);
    is_close(trend[11], (400.0 * 400.0 - 395.0 * 395.0) / 5.0);
}

#[test]
fn without_an_earlier_point_the_mean_is_since_the_start() {
    let mut node = Node::new();
    node.drain(1_000, &[(DB, OUT, 5_000, 5)]);
    let answer = node.ask("window=1m");
    assert_eq!(answer.seconds, 1_000.0);
    assert_eq!(the_only(&answer).transmit.bytes_per_second, 5.0);
    assert!(the_only(&answer).trend.is_empty());
}

#[test]
fn a_day_of_points_stays_small() {
    let mut node = Node::new();
    for second in (0..86_400).step_by(5) {
        node.drain(second, &[(DB, OUT, second, 1)]);
    }
    let points = node.history.read().len();
    assert!((40..=60).contains(&points), "{points}");
    assert_eq!(node.ask("window=1h").seconds, 3_775.0);
}

#[test]
fn pairs_that_come_and_go_are_counted_from_0() {
    let mut node = Node::new();
    node.drain(5, &[(WEB, OUT, 900, 9)]);
    node.drain(10, &[(DB, OUT, 50, 5), (WEB, OUT, 900, 9)]);
    // The series of WEB was retired and began anew.
    node.drain(15, &[(DB, OUT, 70, 7), (WEB, OUT, 30, 3)]);
    let answer = node.ask("window=1m&sort=name");
    let moved: Vec<u64> = answer
        .pairs
        .iter()
        .map(|pair| pair.transmit.bytes)
        .collect();
    assert_eq!((peers(&answer), moved), (vec!["", "db"], vec![30, 70]));
}

#[test]
fn inside_a_node_two_workloads_are_one_pair() {
    let here = |one, other| (one, other, "us-east-2a", Scope::IntraNode);
    let series = [
        (here("api", "web"), OUT, 10, 1),
        (here("api", "web"), IN, 700, 7),
        (here("web", "api"), OUT, 700, 7),
        (here("web", "api"), IN, 10, 1),
        (here("web", "web"), OUT, 3, 1),
        (here("web", "web"), IN, 3, 1),
    ];
    let mut node = Node::new();
    node.recent.flows = vec![flow(here("web", "api"), "web-0", "10.0.1.9", Some("api"))];
    node.drain(10, &series);
    let answer = node.ask("window=start&sort=total");
    let found: Vec<_> = answer
        .pairs
        .iter()
        .map(|pair| {
            (
                &*pair.local.workload,
                &*pair.peer.workload,
                pair.receive.bytes,
            )
        })
        .collect();
    assert_eq!(found, [("api", "web", 700), ("web", "web", 3)]);
    assert_eq!(answer.pairs[0].services, ["shop/api"]);
    assert_eq!(answer.scopes[0].transmit.bytes, 13);
}

#[test]
fn dollars_are_for_both_ends_of_730_hours() {
    let month = 730.0 * 3_600.0;
    let rds = ("client", "rds", "us-east-2b", Scope::CrossZone);
    let endpoint = ("client", "vpce/s3", "us-east-2b", Scope::CrossZone);
    let mut node = Node::new();
    node.drain(
        100,
        &[
            (DB, OUT, 1_000_000_000, 1),
            (DB, IN, 3_000_000_000, 1),
            (WEB, OUT, 1_000_000_000, 1),
            (WEB, IN, 5_000_000_000, 1),
            (rds, IN, 1_000_000_000, 1),
            (endpoint, OUT, 1_000_000_000, 1),
        ],
    );
    let answer = node.ask("window=start&sort=dollars");
    assert_eq!(peers(&answer), ["", "db", "rds", "vpce/s3"]);
    let dollars = |row: usize| answer.pairs[row].dollars_per_month.unwrap();
    // $0.01 at each end of 4 GB; $0.09 for what goes out; one end of 1 GB; none.
    is_close(dollars(1), 4.0 * 0.02 / 100.0 * month);
    is_close(dollars(0), 0.09 / 100.0 * month);
    is_close(dollars(2), 0.01 / 100.0 * month);
    is_close(dollars(3), 0.0);
    let sum = answer
        .scopes
        .iter()
        .find(|sum| sum.scope == "cross_zone")
        .unwrap();
    is_close(sum.dollars_per_month.unwrap(), 0.09 / 100.0 * month);
    assert_eq!(answer.prices.as_ref().unwrap().as_of, ["2026-05"]);
    node.prices = None;
    let answer = node.ask("window=start");
    assert_eq!(
        (answer.pairs[0].dollars_per_month, &answer.prices),
        (None, &None)
    );
}

/// The gateway takes $0.045 for each GB, and the way to another zone costs $0.01.
#[test]
fn a_nat_gateway_in_another_zone_costs_the_crossing_too() {
    let s3 = |zone| ("client", "s3", zone, Scope::AwsService);
    let mut node = Node::new();
    for (zone, price) in [("us-east-2b", 0.055), ("us-east-2a", 0.045), ("", 0.045)] {
        node.drain(
            100,
            &[
                (s3(zone), IN, 3_000_000_000, 1),
                (s3(zone), OUT, 1_000_000_000, 1),
            ],
        );
        let answer = node.ask("window=start");
        let month = 730.0 * 3_600.0;
        let expected = 4.0 * price / answer.seconds * month;
        is_close(answer.pairs[0].dollars_per_month.unwrap(), expected);
        let [sum] = &answer.zones[..] else {
            panic!("{answer:?}")
        };
        assert_eq!((&*sum.via, &*sum.peer_zone), ("nat", zone));
        is_close(sum.dollars_per_month.unwrap(), expected);
    }
}

#[test]
fn what_is_searched_for_is_found_by_part_address_and_range() {
    let mut node = Node::new();
    node.recent.flows = vec![
        flow(DB, "client-7", "10.0.2.2", Some("postgres")),
        flow(WEB, "client-8", "198.51.100.7", None),
    ];
    node.drain(
        10,
        &[
            (DB, OUT, 9, 1),
            (WEB, OUT, 8, 1),
            (("job", "rds", "", Scope::Vpc), OUT, 7, 1),
        ],
    );
    for (query, expected) in [
        ("", vec!["db", "", "rds"]),
        ("search=DB", vec!["db"]),
        ("search=shop/cli", vec!["db", ""]),
        ("search=postgres", vec!["db"]),
        ("search=shop/postgres", vec!["db"]),
        ("search=client-8", vec![""]),
        ("search=198.51.100.0/24", vec![""]),
        ("search=10.0.2.2", vec!["db"]),
        ("search=10.0.0.0/8", vec!["db", ""]),
        ("search=us-east-2b", vec!["db"]),
        ("search=nobody", vec![]),
        ("scope=internet", vec![""]),
        ("namespace=shop", vec!["db", "", "rds"]),
        ("namespace=sho", vec![]),
        ("limit=2", vec!["db", ""]),
        ("sort=name", vec!["", "db", "rds"]),
    ] {
        let answer = node.ask(query);
        assert_eq!(peers(&answer), expected, "{query}");
        assert_eq!(answer.total, 3);
    }
    let answer = node.ask("limit=2");
    assert_eq!((answer.matched, answer.truncated), (3, true));
    assert_eq!(answer.pairs[0].services, ["shop/postgres"]);
    assert_eq!(answer.scopes.len(), 3);
}

#[test]
fn zones_add_up_over_pairs() {
    let far = ("job", "db", "us-east-2b", Scope::CrossZone);
    let mut node = Node::new();
    node.drain(10, &[(DB, OUT, 30, 1), (far, IN, 50, 5), (WEB, OUT, 1, 1)]);
    let answer = node.ask("window=start");
    let [internet, across] = &answer.zones[..] else {
        panic!("{answer:?}")
    };
    assert_eq!((&*internet.peer_zone, internet.transmit.bytes), ("", 1));
    assert_eq!(
        (&*across.zone, &*across.peer_zone),
        ("us-east-2a", "us-east-2b")
    );
    assert_eq!((across.transmit.bytes, across.receive.packets), (30, 5));
}

/// Numbers of gone pairs are used again, and what is left keeps its own.
#[test]
fn pairs_that_are_gone_take_no_room_for_ever() {
    let names: Vec<&'static str> = (0..4_000)
        .map(|number| &*Box::leak(format!("peer-{number}").into_boxed_str()))
        .collect();
    let mut node = Node::new();
    node.drain(5, &[(DB, OUT, 10, 1)]);
    for (turn, some) in names.chunks(400).enumerate() {
        let mut series = vec![(DB, OUT, 20 + turn as u64, 2)];
        let of = |name: &&'static str| (("client", *name, "", Scope::Vpc), OUT, 1, 1);
        series.extend(some.iter().map(of));
        node.drain(10 + 5 * turn as u64, &series);
    }
    assert!(node.history.read().numbers() < 3_000);
    let answer = node.ask("window=1m&search=shop/db");
    assert_eq!(the_only(&answer).transmit.bytes, 19);
}
