//! The next process goes on where this one stopped.

use zonemeter_model::{
    cluster::{Change, Kind, Object},
    snapshot::{Reason, Snapshot},
};

use super::scenario::*;
use crate::{Detail, Settings};

const CART: &str = "192.168.0.10";
const PEER: &str = "203.0.113.9";

/// What the feed says of this node and its one pod, in full lists.
fn list(scenario: &mut Scenario, pods: &[&str]) {
    for (kind, objects) in [
        (Kind::Node, vec![node("node-1", "192.168.0.1", Some("a"))]),
        (
            Kind::Pod,
            pods.iter()
                .map(|name| Object::Pod(pod(name, "node-1", CART)))
                .collect(),
        ),
    ] {
        scenario.change(Change::ListStarted(kind));
        objects
            .into_iter()
            .for_each(|object| scenario.apply(object));
        scenario.change(Change::ListDone(kind));
    }
}

fn busy() -> Scenario {
    let mut scenario = Scenario::blank(settings());
    list(&mut scenario, &["cart"]);
    scenario.attach(1, "veth1");
    scenario.drain_after(5, &[sent(1, CART, PEER, 3), received(1, CART, PEER, 4)]);
    // Nobody knows the pod behind this one yet.
    scenario.drain_after(5, &[sent(2, "192.168.0.11", PEER, 5)]);
    scenario
}

/// Everything but what a process learns by itself.
fn totals(snapshot: &Snapshot) -> String {
    // What the process itself counted is not kept.
    let workloads = snapshot.workloads.iter();
    let workloads: Vec<_> = workloads
        .map(|series| (&series.labels, series.bytes, series.created))
        .collect();
    let shown = (
        &snapshot.pods,
        workloads,
        snapshot.interface,
        &snapshot.unattributed,
        snapshot.pending,
        snapshot.retired,
    );
    format!("{shown:?}")
}

#[test]
fn all_totals_are_there_at_once_and_series_go_on() {
    let scenario = busy();
    let before = scenario.account.snapshot();
    let mut next = scenario.restarted(settings(), true);
    assert_eq!(totals(&next.account.snapshot()), totals(&before));
    // A drain before anything is known again.
    let snapshot = next.drain_after(5, &[sent(1, CART, PEER, 10)]);
    assert_eq!(packets(snapshot.pending), [15, 0]);
    assert_eq!(snapshot.pods, before.pods);
    list(&mut next, &["cart"]);
    next.attach(1, "veth1");
    let snapshot = next.drain_after(5, &[]);
    let transmitted = &snapshot.pods[0];
    assert_eq!(transmitted.count.packets, 13);
    assert_eq!(transmitted.created, before.pods[0].created);
    assert_eq!(snapshot.workloads[0].created, before.workloads[0].created);
    assert_eq!(snapshot.workloads[0].bytes, 13 * PACKET_BYTES);
    let own = snapshot.workloads[0].own;
    assert_eq!((own.packets, own.bytes), (10, 10 * PACKET_BYTES));
    assert_eq!(snapshot.pods.len(), before.pods.len());
}

#[test]
fn what_was_held_back_waits_on_and_is_given_up_in_time() {
    let mut next = busy().restarted(settings(), true);
    list(&mut next, &["cart"]);
    let snapshot = next.drain_after(5, &[]);
    assert_eq!(packets(snapshot.pending), [5, 0]);
    let snapshot = next.drain_after(60, &[]);
    assert_eq!(packets(snapshot.pending), [0, 0]);
    assert_eq!(unattributed(&snapshot, Reason::UnknownPod), [5, 0]);
}

#[test]
fn after_a_start_of_the_machine_interfaces_are_others() {
    let mut next = busy().restarted(settings(), false);
    let snapshot = next.drain_after(5, &[]);
    assert_eq!(packets(snapshot.pending), [0, 0]);
    assert_eq!(unattributed(&snapshot, Reason::UnknownPod), [5, 0]);
}

#[test]
fn series_of_pods_that_went_meanwhile_retire_once_the_pods_are_listed() {
    let mut next = busy().restarted(settings(), true);
    // The nodes are listed, and the pods are not: nobody knows whether the pod is.
    next.apply(node("node-1", "192.168.0.1", Some("a")));
    next.change(Change::ListDone(Kind::Node));
    let snapshot = next.drain_after(600, &[]);
    assert_eq!(
        (snapshot.pods.len(), packets(snapshot.retired)),
        (2, [0, 0])
    );
    list(&mut next, &[]);
    let snapshot = next.drain_after(5, &[]);
    assert_eq!(
        (snapshot.pods.len(), packets(snapshot.retired)),
        (0, [3, 4])
    );
    assert!(snapshot.workloads.is_empty());
}

#[test]
fn they_stay_as_long_as_if_they_had_been_fed_at_the_restart() {
    let mut next = busy().restarted(settings(), true);
    list(&mut next, &[]);
    assert_eq!(next.drain_after(299, &[]).pods.len(), 2);
    assert!(next.drain_after(1, &[]).pods.is_empty());
}

#[test]
fn a_lower_ceiling_takes_nothing_away() {
    let low = Settings {
        max_series: 0,
        ..settings()
    };
    let mut next = busy().restarted(low, true);
    list(&mut next, &["cart"]);
    next.attach(1, "veth1");
    let flows = [sent(1, CART, PEER, 1), sent(1, CART, "8.8.8.8", 2)];
    let lines = pod_lines(&next.drain_after(5, &flows));
    assert_eq!(
        lines,
        [
            "other internet  2",
            "cart-1 unknown  4",
            "cart-1 unknown  4"
        ]
    );
}

#[test]
fn series_of_a_detail_that_is_no_longer_asked_for_retire_at_once() {
    let less = Settings {
        detail: Detail {
            pods: false,
            workloads: false,
        },
        ..settings()
    };
    let snapshot = busy().restarted(less, true).drain_after(5, &[]);
    assert!(snapshot.pods.is_empty() && snapshot.workloads.is_empty());
    assert_eq!(packets(snapshot.retired), [3, 4]);
}
