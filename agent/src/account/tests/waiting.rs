//! Flows that wait for a name, and for how long.

use super::scenario::*;
use crate::model::{
    cluster::{Kind, Object},
    snapshot::Reason,
    traffic::Count,
};

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
    scenario.drain_after(11, &[]);
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
fn what_found_no_room_in_the_flow_map_does_not_wait() {
    let mut scenario = scenario();
    scenario.wait(5);
    let mut drain = scenario.drained(&[received(7, "192.168.1.1", "8.8.8.8", 3)]);
    let overflow = Count {
        bytes: 500,
        packets: 5,
    };
    drain.seen[1] += overflow;
    drain.overflow[1] = overflow;
    let snapshot = scenario.add(&drain);
    assert_eq!(unattributed(&snapshot, Reason::MapFull), [0, 5]);
    assert_eq!(packets(snapshot.interface), [0, 8]);
    assert_eq!(snapshot.drains_that_disagreed, 0);
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
