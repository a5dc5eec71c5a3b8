//! Veths that say nothing of their pod, beside one that does.

use zonemeter_model::cluster::{Kind, Object, Pod};

use super::scenario::{Scenario, named, packets, pod, pod_lines, received, sent, settings};

/// `printf shop.web-1 | sha1sum`
const WEB_VETH: &str = "eni751425ce827";
/// `printf shop.web-1.1 | sha1sum`: the pod's second NIC.
const WEB_SECOND_NIC: &str = "eniab1db7a2c76";
/// `printf shop.api-1 | sha1sum`
const API_VETH: &str = "enidc9f65f8e42";
/// Host side of the IPv4 egress of an IPv6 cluster's pod.
const EGRESS: &str = "veth1a2b3c4d";
/// The same on every node.
const EGRESS_ADDRESS: &str = "169.254.172.2";

fn web() -> Object {
    Object::Pod(pod("web", "node-1", "fd00::1"))
}

#[test]
fn veths_into_one_namespace_are_one_pods() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(web());
    scenario.attach_into(7, WEB_VETH, Some(3));
    scenario.attach_into(8, EGRESS, Some(3));
    scenario.attach_into(9, WEB_SECOND_NIC, Some(3));
    scenario.attach_into(10, "veth00000000", Some(4));
    let snapshot = scenario.drain_after(
        5,
        &[
            sent(8, EGRESS_ADDRESS, "8.8.8.8", 3),
            sent(9, "192.168.1.9", "8.8.8.8", 4),
            sent(10, EGRESS_ADDRESS, "8.8.8.8", 5),
        ],
    );
    assert_eq!(pod_lines(&snapshot), ["web-1 internet  7"]);
    assert_eq!(packets(snapshot.pending), [5, 0], "nothing tells whose");
    assert_eq!(
        scenario.found_by(),
        [(7, "name"), (8, "network_namespace"), (9, "name")]
    );
}

/// Pod `web-1.1` has on its first NIC the name that pod `web-1` would have on its second.
#[test]
fn a_pod_with_a_dot_in_its_name_is_not_the_second_nic_of_another() {
    let dotted = Object::Pod(Pod {
        name: named("shop", "web-1.1"),
        ..pod("dotted", "node-1", "fd00::11")
    });
    let flows = [sent(9, "fd00::11", "8.8.8.8", 4)];
    // Whichever of the two is known first, and where `web-1` changes later.
    for order in [[web(), dotted.clone(), web()], [dotted, web(), web()]] {
        let mut scenario = Scenario::new(settings());
        scenario.attach_into(7, WEB_VETH, Some(3));
        scenario.attach_into(9, WEB_SECOND_NIC, Some(4));
        scenario.drain_after(1, &flows);
        for object in order {
            scenario.apply(object);
            scenario.drain_after(1, &flows);
        }
        let snapshot = scenario.drain_after(1, &flows);
        assert_eq!(pod_lines(&snapshot), ["web-1.1 internet  20"]);
    }
}

/// Two pods whose names have one hash (`printf shop.web-1753f0 | sha1sum` and `printf shop.web-a85fa7
/// | sha1sum`). The CNI gives both the same veth name, so that one has gone when the other comes,
/// but its object may stay for a while.
#[test]
fn of_two_pods_with_one_hash_none_gets_bytes_until_the_other_has_gone() {
    let mut scenario = Scenario::new(settings());
    let of = |name, address| {
        Object::Pod(Pod {
            name: named("shop", name),
            ..pod(name, "node-1", address)
        })
    };
    scenario.apply(of("web-1753f0", "fd00::21"));
    scenario.apply(of("web-a85fa7", "fd00::22"));
    scenario.attach(7, "eni1781b21f254");
    let flows = [sent(7, "fd00::22", "8.8.8.8", 3)];
    let snapshot = scenario.drain_unrouted_after(5, &flows);
    assert_eq!(packets(snapshot.pending), [3, 0]);
    scenario.delete(Kind::Pod, "shop", "web-1753f0");
    let snapshot = scenario.drain_unrouted_after(5, &flows);
    assert_eq!(pod_lines(&snapshot), ["web-a85fa7 internet  6"]);
    // What it sent last is still its own once it has gone and the other is back.
    scenario.apply(of("web-1753f0", "fd00::21"));
    scenario.delete(Kind::Pod, "shop", "web-a85fa7");
    let snapshot = scenario.drain_unrouted_after(5, &flows);
    assert_eq!(pod_lines(&snapshot), ["web-a85fa7 internet  9"]);
}

/// The name of a second NIC alone tells nothing: a pod with a dot in its name may be on its way.
#[test]
fn a_second_nic_waits_for_its_namespace() {
    let mut scenario = Scenario::new(settings());
    scenario.attach(9, WEB_SECOND_NIC);
    scenario.apply(web());
    scenario.attach(7, WEB_VETH);
    let flows = [sent(9, "192.168.1.9", "8.8.8.8", 4)];
    assert_eq!(packets(scenario.drain_after(5, &flows).pending), [4, 0]);
    scenario.attach_into(7, WEB_VETH, Some(3));
    scenario.attach_into(9, WEB_SECOND_NIC, Some(3));
    assert_eq!(
        pod_lines(&scenario.drain_after(5, &flows)),
        ["web-1 internet  8"]
    );
}

/// Without hashed names and routes, a pod writes whatever source address it likes.
#[test]
fn a_forged_source_address_does_not_make_a_veth_another_pods() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(web());
    scenario.apply(Object::Pod(pod("api", "node-1", "fd00::2")));
    scenario.attach(7, "veth-of-api");
    scenario.attach(8, "veth-of-web");
    let forged = sent(7, "fd00::1", "8.8.8.8", 3);
    let snapshot = scenario.drain_unrouted_after(5, std::slice::from_ref(&forged));
    assert_eq!(packets(snapshot.pending), [3, 0]);
    // A bridge floods what is for the victim: to both.
    let flooded = [7, 8].map(|index| received(index, "fd00::1", "8.8.8.8", 1));
    let snapshot = scenario.drain_unrouted_after(5, &flooded);
    assert_eq!(
        (packets(snapshot.pending), snapshot.pods.len()),
        ([3, 2], 0)
    );
    // What is delivered to one of them only names it, from its first byte on.
    let own = [
        received(7, "fd00::2", "8.8.8.8", 10),
        received(8, "fd00::1", "8.8.8.8", 20),
    ];
    scenario.drain_unrouted_after(11, &[]);
    let snapshot = scenario.drain_unrouted_after(5, &own);
    assert_eq!(
        pod_lines(&snapshot),
        [
            "api-1 internet  3",
            "api-1 internet  11",
            "web-1 internet  21"
        ]
    );
    assert_eq!(scenario.found_by(), [(7, "address"), (8, "address")]);
    // A third veth that gets what is for a pod with a veth of its own stays nobody's.
    scenario.attach(9, "veth-of-nobody");
    let third = [received(9, "fd00::1", "8.8.8.8", 5)];
    assert_eq!(
        packets(scenario.drain_unrouted_after(5, &third).pending),
        [0, 5]
    );
}

#[test]
fn whichever_comes_first() {
    let mut scenario = Scenario::new(settings());
    scenario.attach_into(8, EGRESS, Some(3));
    scenario.attach_into(7, WEB_VETH, Some(3));
    let flows = [sent(8, EGRESS_ADDRESS, "8.8.8.8", 3)];
    assert_eq!(packets(scenario.drain_after(5, &flows).pending), [3, 0]);
    scenario.apply(web());
    let snapshot = scenario.drain_after(5, &flows);
    assert_eq!(pod_lines(&snapshot), ["web-1 internet  6"]);
}

/// The kernel gives the id to another namespace as soon as the first has left; the first one's
/// last flows are still to come then.
#[test]
fn an_id_that_is_used_again_is_another_pod() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(web());
    scenario.attach_into(7, WEB_VETH, Some(3));
    scenario.attach_into(8, EGRESS, Some(3));
    scenario.leave(7);
    scenario.leave(8);
    scenario.attach_into(9, API_VETH, Some(3));
    scenario.attach_into(10, EGRESS, Some(3));
    let snapshot = scenario.drain_after(
        5,
        &[
            sent(8, EGRESS_ADDRESS, "8.8.8.8", 1),
            sent(10, EGRESS_ADDRESS, "8.8.8.8", 2),
        ],
    );
    assert_eq!(pod_lines(&snapshot), ["web-1 internet  1"]);
    assert_eq!(packets(snapshot.pending), [2, 0]);
    scenario.apply(Object::Pod(pod("api", "node-1", "fd00::2")));
    let snapshot = scenario.drain_after(5, &[]);
    assert_eq!(
        pod_lines(&snapshot),
        ["api-1 internet  2", "web-1 internet  1"]
    );
}

/// Those that stay are still beside whichever comes then.
#[test]
fn an_interface_that_leaves_takes_no_other_with_it() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(web());
    scenario.attach_into(8, EGRESS, Some(3));
    scenario.attach_into(10, "veth00000000", Some(3));
    scenario.leave(10);
    scenario.attach_into(7, WEB_VETH, Some(3));
    let flows = [sent(8, EGRESS_ADDRESS, "8.8.8.8", 3)];
    let snapshot = scenario.drain_after(5, &flows);
    assert_eq!(pod_lines(&snapshot), ["web-1 internet  3"]);
}

#[test]
fn an_interface_that_is_gone_is_its_pods_for_a_minute() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(web());
    scenario.attach(7, WEB_VETH);
    scenario.detach(7);
    scenario.drain_after(59, &[]);
    assert!(scenario.account.pod_behind(7).is_some());
    scenario.drain_after(1, &[]);
    assert!(scenario.account.pod_behind(7).is_none());
}

/// With a CNI whose names are no hashes, the node's route says whose the veth is, whatever
/// addresses its pod sends from.
#[test]
fn a_veth_is_the_pods_whose_address_the_node_routes_to_it() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(web());
    scenario.apply(Object::Pod(pod("api", "node-1", "fd00::2")));
    scenario.attach(7, "cali1");
    scenario.route(7, "fd00::9");
    scenario.route(7, "fd00::1");
    scenario.attach(8, "cali2");
    scenario.route(8, "fd00::1");
    scenario.unroute(8, "fd00::1");
    let flows = [
        sent(7, "fd00::2", "8.8.8.8", 3),
        sent(8, "fd00::2", "8.8.8.8", 4),
    ];
    let snapshot = scenario.drain_unrouted_after(5, &flows);
    assert_eq!(pod_lines(&snapshot), ["web-1 internet  3"]);
    assert_eq!(packets(snapshot.pending), [4, 0]);
    let snapshot = scenario.drain_unrouted_after(5, &[received(8, "fd00::2", "8.8.8.8", 1)]);
    assert_eq!(
        pod_lines(&snapshot),
        [
            "api-1 internet  4",
            "api-1 internet  1",
            "web-1 internet  3"
        ]
    );
    assert_eq!(scenario.found_by(), [(7, "route"), (8, "address")]);
}

/// A route may lead where its last owner was: a veth whose name says that it waits for its pod is
/// not read by it, nor is the one beside it.
#[test]
fn a_route_does_not_outdo_a_name() {
    for pod_is_first in [true, false] {
        let mut scenario = Scenario::new(settings());
        if pod_is_first {
            scenario.apply(web());
        }
        scenario.attach_into(7, WEB_VETH, Some(3));
        scenario.apply(web());
        scenario.attach_into(8, API_VETH, Some(4));
        scenario.attach_into(9, EGRESS, Some(4));
        for index in [8, 9] {
            scenario.route(index, "fd00::1");
        }
        let flows = [8, 9].map(|index| sent(index, "fd00::1", "8.8.8.8", 1));
        let snapshot = scenario.drain_after(5, &flows);
        assert_eq!(packets(snapshot.pending), [2, 0]);
        scenario.apply(Object::Pod(pod("api", "node-1", "fd00::2")));
        let snapshot = scenario.drain_after(5, &[]);
        assert_eq!(pod_lines(&snapshot), ["api-1 internet  2"]);
    }
}

/// A name that looks like a hash and fits no pod is no reason to wait where no name has fitted yet, nor
/// is a name that is none where others are hashes.
#[test]
fn a_route_tells_where_names_tell_nothing() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(web());
    scenario.attach(8, API_VETH);
    let flows = [sent(8, "fd00::1", "8.8.8.8", 1)];
    let snapshot = scenario.drain_after(5, &flows);
    assert_eq!(pod_lines(&snapshot), ["web-1 internet  1"]);
    assert_eq!(scenario.found_by(), [(8, "route")]);

    let mut scenario = Scenario::new(settings());
    scenario.apply(web());
    scenario.apply(Object::Pod(pod("db", "node-1", "fd00::3")));
    scenario.attach_into(7, WEB_VETH, Some(3));
    scenario.attach_into(8, "cali1", Some(4));
    scenario.attach(9, "cali2");
    let flows = [8, 9].map(|index| sent(index, "fd00::3", "8.8.8.8", 1));
    let snapshot = scenario.drain_after(5, &flows);
    assert_eq!(pod_lines(&snapshot), ["db-1 internet  2"]);
    let found = [(7, "name"), (8, "route"), (9, "route")];
    assert_eq!(scenario.found_by(), found);
}

/// The kernel frees a namespace's id before the last veth that led there is reported as gone.
#[test]
fn two_pods_in_one_namespace_are_none_until_one_has_left() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(web());
    scenario.apply(Object::Pod(pod("api", "node-1", "fd00::2")));
    scenario.attach_into(7, WEB_VETH, Some(3));
    scenario.attach_into(8, API_VETH, Some(3));
    scenario.attach_into(9, EGRESS, Some(3));
    let flows = [sent(9, EGRESS_ADDRESS, "8.8.8.8", 1)];
    assert_eq!(packets(scenario.drain_after(5, &flows).pending), [1, 0]);
    scenario.leave(7);
    assert_eq!(
        pod_lines(&scenario.drain_after(5, &flows)),
        ["api-1 internet  2"]
    );
}
