//! What of the ledger no whole account shows.

use super::*;
use zonemeter_model::snapshot::{Scope, Via};

const AT: Direction = Direction::Transmit;

fn packets(packets: u64) -> Count {
    Count { bytes: 0, packets }
}

fn labels(pod: &str) -> (PodLabels, WorkloadLabels) {
    let of_pod = PodLabels {
        namespace: "shop".into(),
        pod: pod.into(),
        zone: "a".into(),
        direction: AT,
        scope: Scope::CrossZone,
        peer_zone: "b".into(),
        via: Via::Unset,
    };
    let of_workload = WorkloadLabels {
        namespace: "shop".into(),
        workload: workload("cart"),
        zone: "a".into(),
        direction: AT,
        scope: Scope::CrossZone,
        peer_namespace: "shop".into(),
        peer_workload: workload("db"),
        peer_zone: "b".into(),
        via: Via::Unset,
    };
    (of_pod, of_workload)
}

fn workload(name: &str) -> Workload {
    Workload {
        kind: "Deployment".into(),
        name: name.into(),
    }
}

/// Of so many series, which retire after a second; and when all of a test is added.
fn ledger(max_series: usize, pods: bool, workloads: bool) -> (Ledger, DrainTime) {
    let detail = Detail { pods, workloads };
    let at = DrainTime {
        now: Instant::now(),
        began: SystemTime::UNIX_EPOCH,
    };
    (Ledger::new(max_series, detail, Duration::from_secs(1)), at)
}

/// Once the series are idle for long enough.
fn retire(ledger: &mut Ledger, at: DrainTime, live: &Live<'_>) {
    ledger.retire(at.now + Duration::from_secs(1), live);
}

/// A flow may wait for longer than its pod's series are kept. By then another pod's may stand in their
/// place.
#[test]
fn a_flow_that_comes_when_its_pods_series_are_retired_has_new_ones() {
    let (mut ledger, at) = ledger(100, true, true);
    ledger.add((1, 0, AT), packets(5), at, || labels("cart-1"));
    // Other pods of its workload are there.
    let cart = workload("cart");
    let mut live = Live::default();
    live.workloads.insert(("shop", &cart));
    retire(&mut ledger, at, &live);
    ledger.add((2, 0, AT), packets(7), at, || labels("cart-2"));
    ledger.add((1, 0, AT), packets(11), at, || labels("cart-1"));
    let snapshot = ledger.snapshot();
    let pods = snapshot.pods.iter();
    let pods: Vec<_> = pods
        .map(|series| (&*series.labels.pod, series.count.packets))
        .collect();
    assert_eq!(pods, [("cart-1", 11), ("cart-2", 7)]);
    assert_eq!(snapshot.retired, [packets(5), Count::ZERO]);
}

/// What stands for many is `other` in both labels.
#[test]
fn pods_and_workloads_that_are_called_other_retire_too() {
    let (mut ledger, at) = ledger(400, true, true);
    let kind = Workload {
        kind: "other".into(),
        ..workload("cart")
    };
    let called = [
        ("shop", "other", workload("other")),
        ("other", "cart-1", kind),
    ];
    for (interface, (namespace, pod, workload)) in (1..).zip(called) {
        let (mut of_pod, mut of_workload) = labels(pod);
        of_pod.namespace = namespace.into();
        of_workload.workload = workload.clone();
        of_workload.peer_workload = workload;
        ledger.add((interface, 0, AT), packets(1), at, || (of_pod, of_workload));
    }
    let snapshot = ledger.snapshot();
    let series = (snapshot.pods.len(), snapshot.workloads.len());
    assert_eq!((series, snapshot.series_folded), ((2, 2), 0));
    retire(&mut ledger, at, &Live::default());
    let snapshot = ledger.snapshot();
    assert!(snapshot.pods.is_empty() && snapshot.workloads.is_empty());
    assert_eq!(snapshot.retired, [packets(2), Count::ZERO]);
}

/// 400 less 192 for `other`, two series each.
#[test]
fn pods_have_the_room_that_retired_ones_gave_back() {
    let (mut ledger, at) = ledger(400, true, false);
    for first in [0, 1_000] {
        for pod in first..first + 104 {
            let name = format!("cart-{pod}");
            ledger.add((pod, 0, AT), packets(1), at, || labels(&name));
        }
        assert_eq!(ledger.snapshot().series_folded, 0);
        retire(&mut ledger, at, &Live::default());
    }
    assert_eq!(ledger.snapshot().retired, [packets(208), Count::ZERO]);
}

/// Of 208 a third is the pods'; of the 139 that are left, one workload can have half.
#[test]
fn a_workload_has_the_room_that_its_retired_series_gave_back() {
    let (mut ledger, at) = ledger(400, false, true);
    for first in [0, 1_000] {
        // Each by the way of one before, which leads nowhere any more.
        for way in 0..70 {
            let (of_pod, mut of_workload) = labels("cart-1");
            of_workload.peer_workload = workload(&format!("db-{}", first + way));
            ledger.add((1, way, AT), packets(1), at, || (of_pod, of_workload));
        }
        let snapshot = ledger.snapshot();
        assert_eq!((snapshot.workloads.len(), snapshot.series_folded), (70, 0));
        retire(&mut ledger, at, &Live::default());
    }
}

/// Of 400 series 192 are for `other`, and half of these for what cannot fold any further.
#[test]
fn workloads_fold_too_once_there_is_room_for_the_last_resort_alone() {
    let mut ceiling = Ceiling::new(400);
    (0..93).for_each(|_| ceiling.restore_pair(true));
    let (of_pod, of_workload) = labels("cart-1");
    let mut pods = Table::default();
    let folded = ceiling.fold_pod(of_pod.clone(), &pods);
    pods.insert(folded, ());
    // It takes room once.
    ceiling.fold_pod(of_pod, &pods);
    assert!(!ceiling.is_at_last_resort());
    let none = Table::<WorkloadLabels, ()>::default();
    let many = Workload {
        kind: "other".into(),
        name: "other".into(),
    };
    let expected = WorkloadLabels {
        peer_namespace: "".into(),
        peer_workload: many.clone(),
        ..of_workload.clone()
    };
    let folded = ceiling.fold_workload(of_workload.clone(), &none);
    assert_eq!(folded, expected);
    assert!(ceiling.is_at_last_resort());
    let expected = WorkloadLabels {
        namespace: "other".into(),
        workload: many,
        ..expected
    };
    assert_eq!(ceiling.fold_workload(of_workload, &none), expected);
}
