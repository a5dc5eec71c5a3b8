//! How long a drain takes. Prints; asserts only against disaster, since machines differ. Run with
//! `cargo test --release -p zonemeter-account --lib tests::speed -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use zonemeter_model::{cluster::Object, traffic::Flow};

use super::scenario::*;
use crate::Settings;

const LOCAL_PODS: u32 = 50;
const NODES: u32 = 110;
const PODS: u32 = 10_000;

/// 50 pods here, 10,000 elsewhere on 110 nodes in three zones.
fn big_cluster() -> Scenario {
    let mut scenario = Scenario::new(Settings {
        show_at_zero: true,
        ..settings()
    });
    for n in 10..NODES {
        let zone = ["a", "b", "c"][n as usize % 3];
        scenario.apply(node(
            &format!("node-{n}"),
            &format!("192.168.0.{n}"),
            Some(zone),
        ));
    }
    for n in 0..PODS {
        let on = format!("node-{}", 10 + n % (NODES - 10));
        scenario.apply(Object::Pod(pod(&format!("w{n}"), &on, &peer(n))));
    }
    for n in 0..LOCAL_PODS {
        scenario.apply(Object::Pod(pod(
            &format!("l{n}"),
            "node-1",
            &format!("192.168.1.{n}"),
        )));
        scenario.attach(n, "veth");
    }
    scenario
}

fn peer(n: u32) -> String {
    format!("10.0.{}.{}", n / 250, n % 250)
}

/// Each local pod talks to 200 peers of its own.
fn flows(count: u32) -> Vec<Flow> {
    let flow = |n: u32| {
        let interface = n % LOCAL_PODS;
        sent(
            interface,
            &format!("192.168.1.{interface}"),
            &peer(n % PODS),
            1,
        )
    };
    (0..count).map(flow).collect()
}

fn timed<T>(what: &str, per: u32, work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    let took = began.elapsed();
    println!(
        "{what:<28} {took:>12.3?} {:>8} ns each",
        took.as_nanos() / u128::from(per)
    );
    (result, took)
}

#[test]
#[ignore = "measures time: run it alone, in release"]
fn a_drain_of_10_000_flows_takes_a_few_milliseconds() {
    let (mut scenario, _) = timed("10,000 pods into the book", PODS, big_cluster);
    let flows = flows(10_000);
    for what in ["first drain", "second drain", "third drain"] {
        scenario.wait(5);
        let drain = scenario.drained(&flows);
        let wall = scenario.wall();
        let ((), took) = timed(what, 10_000, || scenario.account.add(&drain, wall));
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    let series = scenario.account.snapshot();
    let shown = 2 * series.pods.len() + series.workloads.len();
    timed(&format!("snapshot of {shown} series"), shown as u32, || {
        scenario.account.snapshot()
    });
}
