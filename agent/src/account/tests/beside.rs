//! Veths that say nothing of their pod, beside one that does.

use super::scenario::{Scenario, packets, pod, pod_lines, sent, settings};
use crate::model::cluster::Object;

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
