//! Flows that wait for a name, and for how long.

use std::sync::Arc;

use zonemeter_model::{
    cluster::{Kind, Object},
    snapshot::{Reason, Snapshot},
    traffic::{Count, Direction, Flow, Overflow},
};

use super::scenario::*;

/// Pod `web` behind interface 7; interface 8 is still nobody's.
fn scenario() -> Scenario {
    let mut scenario = Scenario::new(settings());
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    scenario.attach(7, "veth-a");
    scenario.attach(8, "veth-b");
    scenario
}

#[test]
fn all_that_was_held_goes_to_the_pod_once_it_is_known() {
    let mut scenario = scenario();
    let flows = [
        sent(8, "192.168.1.2", "8.8.8.8", 1),
        received(8, "192.168.1.2", "192.168.0.3", 2),
    ];
    for _ in 0..11 {
        scenario.drain_after(5, &flows);
    }
    scenario.apply(Object::Pod(pod("api", "node-1", "192.168.1.2")));
    scenario.apply(node("node-9", "192.168.0.3", Some("b")));
    let snapshot = scenario.drain_after(4, &[]);
    assert_eq!(
        pod_lines(&snapshot),
        ["api-1 internet  11", "api-1 cross_zone b 22"]
    );
    assert_eq!(packets(snapshot.pending), [0, 0]);
}

/// Its interval began when the peer still had its address, longer ago than anybody else is
/// remembered.
#[test]
fn what_is_held_keeps_the_peer_of_its_interval() {
    let mut scenario = scenario();
    scenario.apply(Object::Pod(pod("far", "node-3", "192.168.2.1")));
    scenario.drain_after(0, &[]);
    scenario.wait(4);
    scenario.delete(Kind::Pod, "shop", "far-1");
    scenario.drain_after(301, &[sent(8, "192.168.1.2", "192.168.2.1", 1)]);
    scenario.apply(Object::Pod(pod("api", "node-1", "192.168.1.2")));
    let snapshot = scenario.drain_after(5, &[]);
    assert_eq!(workload_lines(&snapshot), ["api -> Deployment shop/far 1"]);
}

#[test]
fn after_its_time_what_was_held_is_for_good_without_a_pod() {
    let mut scenario = scenario();
    let flows = [sent(8, "192.168.1.2", "8.8.8.8", 1)];
    scenario.drain_after(5, &flows);
    let snapshot = scenario.drain_after(59, &flows);
    assert_eq!(packets(snapshot.pending), [2, 0]);
    let snapshot = scenario.drain_after(1, &[]);
    assert_eq!(
        (
            packets(snapshot.pending),
            unattributed(&snapshot, Reason::UnknownPod)
        ),
        ([0, 0], [2, 0])
    );
    assert_eq!(packets(snapshot.own_unattributed), [2, 0]);
    // Given up, it is not waited for again.
    let snapshot = scenario.drain_after(5, &flows);
    assert_eq!(unattributed(&snapshot, Reason::UnknownPod), [3, 0]);
    // Known at last: from now on.
    scenario.apply(Object::Pod(pod("api", "node-1", "192.168.1.2")));
    let snapshot = scenario.drain_after(5, &flows);
    assert_eq!(pod_lines(&snapshot), ["api-1 internet  1"]);
    assert_eq!(unattributed(&snapshot, Reason::UnknownPod), [3, 0]);
}

#[test]
fn a_gone_interface_still_waits_for_its_pod() {
    let mut scenario = scenario();
    scenario.drain_after(5, &[sent(8, "192.168.1.2", "8.8.8.8", 1)]);
    scenario.detach(8);
    scenario.drain_after(50, &[]);
    scenario.apply(Object::Pod(pod("api", "node-1", "192.168.1.2")));
    let snapshot = scenario.drain_after(5, &[]);
    assert_eq!(pod_lines(&snapshot), ["api-1 internet  1"]);

    // And no longer than any other.
    scenario.attach(9, "veth-c");
    scenario.drain_after(5, &[sent(9, "192.168.1.3", "8.8.8.8", 1)]);
    scenario.detach(9);
    let snapshot = scenario.drain_after(60, &[]);
    assert_eq!(unattributed(&snapshot, Reason::UnknownPod), [1, 0]);
}

#[test]
fn a_peer_in_private_space_waits_for_its_pod() {
    let mut scenario = scenario();
    let snapshot = scenario.drain_after(5, &[sent(7, "192.168.1.1", "192.168.2.9", 4)]);
    assert_eq!(
        (packets(snapshot.pending), snapshot.pods.len()),
        ([4, 0], 0)
    );
    scenario.wait(4);
    scenario.apply(Object::Pod(pod("late", "node-2", "192.168.2.9")));
    let snapshot = scenario.drain_after(1, &[]);
    assert_eq!(workload_lines(&snapshot), ["web -> Deployment shop/late 4"]);
    assert_eq!(packets(snapshot.pending), [0, 0]);
}

#[test]
fn an_address_is_waited_for_once() {
    let mut scenario = scenario();
    let flows = [sent(7, "192.168.1.1", "192.168.2.9", 1)];
    scenario.drain_after(5, &flows);
    assert_eq!(packets(scenario.drain_after(9, &flows).pending), [2, 0]);
    let snapshot = scenario.drain_after(1, &flows);
    assert_eq!(
        (packets(snapshot.pending), &pod_lines(&snapshot)[..]),
        ([0, 0], &["web-1 unknown  3".to_owned()][..])
    );
    assert_eq!(packets(scenario.drain_after(5, &flows).pending), [0, 0]);
    // A pod had it in between: the next owner is waited for again.
    scenario.apply(Object::Pod(pod("late", "node-2", "192.168.2.9")));
    scenario.drain_after(5, &flows);
    scenario.delete(Kind::Pod, "shop", "late-1");
    scenario.drain_after(5, &[]);
    assert_eq!(packets(scenario.drain_after(5, &flows).pending), [1, 0]);
    // Given up again; and after a while it is worth another try.
    assert_eq!(packets(scenario.drain_after(10, &[]).pending), [0, 0]);
    assert_eq!(packets(scenario.drain_after(590, &flows).pending), [0, 0]);
    scenario.drain_after(10, &[]);
    assert_eq!(packets(scenario.drain_after(5, &flows).pending), [1, 0]);
}

#[test]
fn other_peers_do_not_wait() {
    let mut scenario = scenario();
    scenario.networks(
        "vpc: [2600:1f16::/56]\nnetworks:\n- { cidr: 10.8.0.0/16, scope: peered, name: on-prem }\n\
         - { cidr: 52.95.0.0/24, name: subnet }\n",
    );
    let to = |peer| sent(7, "192.168.1.1", peer, 1);
    for peer in [
        "8.8.8.8",
        "10.8.0.1",
        "169.254.169.254",
        "192.168.0.1",
        "127.0.0.1",
    ] {
        assert_eq!(
            packets(scenario.drain_after(5, &[to(peer)]).pending),
            [0, 0],
            "{peer}"
        );
    }
    for peer in ["2600:1f16::1", "10.9.0.1", "52.95.0.1"] {
        assert_eq!(
            packets(scenario.drain_after(5, &[to(peer)]).pending),
            [1, 0],
            "{peer}"
        );
        scenario.drain_after(10, &[]);
    }
}

#[test]
fn pods_wait_for_their_nodes_zone() {
    let mut scenario = Scenario::blank(settings());
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    let flows = [sent(7, "192.168.1.1", "8.8.8.8", 1)];
    assert_eq!(packets(scenario.drain_after(5, &flows).pending), [1, 0]);
    scenario.apply(node("node-1", "192.168.0.1", Some("a")));
    let snapshot = scenario.drain_after(5, &flows);
    assert_eq!(
        (
            &*snapshot.pods[0].labels.zone,
            snapshot.pods[0].count.packets
        ),
        ("a", 2)
    );

    let mut scenario = Scenario::blank(settings());
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    scenario.drain_after(5, &flows);
    let snapshot = scenario.drain_after(60, &flows);
    assert_eq!(
        (
            &*snapshot.pods[0].labels.zone,
            snapshot.pods[0].count.packets
        ),
        ("", 2)
    );
}

#[test]
fn what_found_no_room_in_the_flow_map_is_its_pods() {
    let mut scenario = scenario();
    scenario.route(7, "192.168.1.1");
    scenario.wait(5);
    let flows = [received(7, "192.168.1.1", "8.8.8.8", 3)];
    let snapshot = with_overflow(&mut scenario, &flows, &[(7, 5), (8, 7)], 9);
    assert_eq!(
        pod_lines(&snapshot),
        ["web-1 internet  3", "web-1 unknown  5"]
    );
    assert_eq!(
        workload_lines(&snapshot),
        ["web ->  / 3", "web -> other /other 5"]
    );
    assert_eq!(packets(snapshot.pending), [0, 7]);
    assert_eq!(unattributed(&snapshot, Reason::MapFull), [0, 9]);
    assert_eq!(packets(snapshot.flow_overflow), [0, 21]);
    assert_eq!(
        (snapshot.drains_that_disagreed, snapshot.series_folded),
        (0, 0)
    );

    // Its object comes over a restart and 3 s late.
    let mut scenario = scenario.restarted(settings(), true);
    scenario.apply(node("node-1", "192.168.0.1", Some("a")));
    scenario.attach(8, "veth-b");
    scenario.route(8, "192.168.1.2");
    scenario.apply(Object::Pod(pod("api", "node-1", "192.168.1.2")));
    let snapshot = scenario.drain_after(3, &[]);
    assert!(pod_lines(&snapshot).contains(&"api-1 unknown  7".to_owned()));
    assert_eq!(packets(snapshot.pending), [0, 0]);
}

/// A drain of these flows, of so many received packets by interface that found no room, and of
/// some whose interface is not known.
fn with_overflow(
    scenario: &mut Scenario,
    flows: &[Flow],
    overflow: &[(u32, u64)],
    unplaced: u64,
) -> Snapshot {
    let count = |packets| Count {
        bytes: packets * PACKET_BYTES,
        packets,
    };
    let mut drain = scenario.drained(flows);
    drain.unplaced[1] = count(unplaced);
    let overflow = overflow.iter().map(|(interface, packets)| Overflow {
        interface: *interface,
        direction: Direction::Receive,
        count: count(*packets),
    });
    drain.overflow = overflow.collect();
    drain.seen[1] += drain.overflowed()[1];
    scenario.add(&drain)
}

/// Another address of 10/8 for each number.
fn dead(n: u64) -> String {
    format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255)
}

/// 40,000 addresses that nobody has, once, and then some every few seconds: another pod, and a
/// peer of another pod, whose objects come late.
#[test]
fn a_scanner_does_not_take_the_names_of_others() {
    let mut scenario = scenario();
    let scan = |from: u64, to: u64| -> Vec<_> {
        (from..to)
            .map(|n| sent(7, "192.168.1.1", &dead(n), 1))
            .collect()
    };
    // Addresses of which some belong to new peers of others later on.
    let early: Vec<_> = (100..108)
        .map(|at| sent(7, "192.168.1.1", &format!("192.168.2.{at}"), 1))
        .collect();
    scenario.drain_after(5, &early);
    for round in 0..6 {
        scenario.drain_after(5, &scan(round * 7_000, (round + 1) * 7_000));
    }
    for round in 0..8 {
        let at = 100 + round;
        let address = format!("192.168.1.{at}");
        scenario.attach(at, "veth-late");
        scenario.route(at, &address);
        let mut flows = scan(
            50_000 + u64::from(round) * 135,
            50_135 + u64::from(round) * 135,
        );
        flows.push(sent(at, &address, "8.8.8.8", 1_000));
        scenario.drain_after(1, &flows);
        scenario.wait(3);
        let name = format!("late{at}");
        scenario.apply(Object::Pod(pod(&name, "node-1", &address)));
        let snapshot = scenario.drain_after(1, &[]);
        let line = format!("{name}-1 internet  1000");
        assert!(pod_lines(&snapshot).contains(&line), "{line}");
        assert_eq!(unattributed(&snapshot, Reason::UnknownPod), [0, 0]);

        let peer = format!("192.168.2.{at}");
        scenario.drain_after(1, &[sent(at, &address, &peer, 10)]);
        scenario.apply(Object::Pod(pod(&format!("peer{at}"), "node-2", &peer)));
        let snapshot = scenario.drain_after(1, &[]);
        let line = format!("{name} -> Deployment shop/peer{at} 10");
        assert!(workload_lines(&snapshot).contains(&line), "{line}");
    }
}

/// Flows past the limit are counted at once, without the name that might come.
#[test]
fn flows_that_wait_for_their_peers_are_bounded_and_no_byte_is_lost() {
    let mut scenario = scenario();
    let flows: Vec<_> = (0..40_000)
        .map(|n| sent(7, "192.168.1.1", &dead(n), 1))
        .collect();
    let snapshot = scenario.drain_after(1, &flows);
    // Alone it has half of the places.
    let held = scenario.account.kept(Arc::default()).held;
    assert_eq!(held.len(), 32_768 / 2);
    let shown: u64 = snapshot.pods.iter().map(|one| one.count.packets).sum();
    assert_eq!(shown + packets(snapshot.pending)[0], 40_000);
}

/// The same for the pods behind many interfaces: what is past the limit waits without detail.
#[test]
fn flows_that_wait_for_many_pods_are_bounded_and_no_byte_is_lost() {
    let mut scenario = scenario();
    let of_interface = |interface| {
        let local = format!("192.168.3.{interface}");
        let peer = |n: u32| format!("9.0.{}.{}", n >> 8, n & 255);
        (0..2_000).map(move |n| sent(interface, &local, &peer(n), 1))
    };
    let flows: Vec<_> = (100..140).flat_map(of_interface).collect();
    let snapshot = scenario.drain_after(1, &flows);
    assert_eq!(packets(snapshot.pending), [80_000, 0]);
    // 32 pods and 1,536 flows of the next one have all places; of 8 pods the others are added up.
    let held = scenario.account.kept(Arc::default()).held;
    assert_eq!(held.len(), 65_536 + 8);
}

/// More flows than are kept in detail for one interface: all bytes are the pod's.
#[test]
fn a_pod_that_scans_before_its_object_comes_loses_detail_and_no_bytes() {
    let mut scenario = scenario();
    scenario.route(8, "192.168.1.2");
    let flows: Vec<_> = (0..10_000)
        .map(|n| sent(8, "192.168.1.2", &format!("9.0.{}.{}", n >> 8, n & 255), 1))
        .collect();
    let snapshot = scenario.drain_after(1, &flows);
    assert_eq!(packets(snapshot.pending), [10_000, 0]);
    assert!(scenario.account.kept(Arc::default()).held.len() <= 2_049);
    scenario.apply(Object::Pod(pod("api", "node-1", "192.168.1.2")));
    let snapshot = scenario.drain_after(3, &[]);
    assert_eq!(
        pod_lines(&snapshot),
        ["api-1 internet  2048", "api-1 unknown  7952"]
    );
}

#[test]
fn a_drain_that_disagrees_with_itself_is_counted_and_the_sum_holds() {
    let mut scenario = scenario();
    scenario.wait(5);
    let mut drain = scenario.drained(&[sent(7, "192.168.1.1", "8.8.8.8", 3)]);
    drain.seen = [
        Count {
            bytes: 250,
            packets: 5,
        },
        Count {
            bytes: 70,
            packets: 1,
        },
    ];
    let snapshot = scenario.add(&drain);
    assert_eq!(snapshot.drains_that_disagreed, 1);
    assert_eq!(unattributed(&snapshot, Reason::NoDetail), [2, 1]);
    assert_eq!(
        snapshot.interface,
        [
            Count {
                bytes: 300,
                packets: 5
            },
            Count {
                bytes: 70,
                packets: 1
            }
        ]
    );
}
