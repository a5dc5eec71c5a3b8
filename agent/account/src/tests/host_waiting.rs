//! What passed the uplinks and waits for a name.

use zonemeter_model::{
    cluster::{Kind, Object},
    traffic::Class,
};

use super::{
    hosts::{CONTAINERD, NODE, REGISTRY, back, lines, out, sent_as},
    scenario::*,
};

/// How many packets of a drain that comes now are counted.
fn counted_after(scenario: &mut Scenario, seconds: u64, cgroup: u64, peer: &str) -> u64 {
    let before = sent_as(&scenario.account.snapshot(), Class::Host);
    let snapshot = scenario.drain_host_after(seconds, &[out(cgroup, peer, 1)], 0);
    sent_as(&snapshot, Class::Host) - before
}

#[test]
fn the_next_process_has_all_sums_of_drains_that_wait() {
    let mut scenario = Scenario::new(settings());
    for _ in 0..2 {
        scenario.wait(1);
        let mut drain = scenario.drained(&[]);
        let host = &mut drain.host;
        host.flows = vec![out(99, REGISTRY, 4), back(99, REGISTRY, 2)];
        host.sent = [1, 5, 4 + 3, 0].map(of_packets);
        host.unplaced[0] = of_packets(3);
        host.received = of_packets(20);
        host.received_by_pods = of_packets(7);
        host.received_by_sockets = of_packets(2);
        assert_eq!(sent_as(&scenario.add(&drain), Class::Host), 0);
    }
    let mut next = scenario.restarted(settings(), true);
    next.apply(node("node-1", NODE, Some("a")));
    next.cgroup(99, "system.slice/kubelet.service");
    let snapshot = next.drain_host_after(1, &[], 0);
    let expected = [
        "unit kubelet.service  internet  8",
        "unit kubelet.service  internet  4",
        "unit unknown  unknown other 6",
    ];
    assert_eq!(lines(&snapshot), expected);
    let uplinks = snapshot.uplinks.map(|of| of.map(|count| count.packets));
    // What is relayed came in as well; the rest of what came in is the kernel's.
    assert_eq!(uplinks, [[2, 10, 14, 0], [14, 10, 4, 40 - 28]]);
}

/// The kernel has no cgroup, before and after.
#[test]
fn after_a_start_of_the_machine_cgroups_are_others() {
    let mut scenario = Scenario::new(settings());
    scenario.drain_host_after(1, &[out(99, REGISTRY, 4), out(0, REGISTRY, 3)], 0);
    let mut next = scenario.restarted(settings(), false);
    next.apply(node("node-1", NODE, Some("a")));
    next.cgroup(99, "system.slice/kubelet.service");
    let snapshot = next.drain_host_after(10, &[], 0);
    let expected = ["unit unknown  internet  4", "kernel   internet  3"];
    assert_eq!(lines(&snapshot), expected);
}

#[test]
fn all_wait_for_the_zone_of_the_node() {
    let mut scenario = Scenario::blank(settings());
    scenario.cgroup(CONTAINERD, "system.slice/containerd.service");
    assert_eq!(counted_after(&mut scenario, 5, CONTAINERD, REGISTRY), 0);
    let snapshot = scenario.drain_host_after(59, &[], 0);
    assert_eq!(sent_as(&snapshot, Class::Host), 0);
    let snapshot = scenario.drain_host_after(1, &[], 0);
    assert_eq!(sent_as(&snapshot, Class::Host), 1);
}

#[test]
fn a_peer_in_private_space_is_waited_for_once() {
    let mut scenario = Scenario::new(settings());
    scenario.cgroup(CONTAINERD, "system.slice/containerd.service");
    let late = "192.168.2.9";
    assert_eq!(counted_after(&mut scenario, 5, CONTAINERD, late), 0);
    scenario.apply(Object::Pod(pod("late", "node-2", late)));
    let snapshot = scenario.drain_host_after(1, &[], 0);
    let expected = ["unit containerd.service  intra_zone late 1"];
    assert_eq!(lines(&snapshot), expected);

    let nobody = "192.168.2.10";
    assert_eq!(counted_after(&mut scenario, 5, CONTAINERD, nobody), 0);
    scenario.drain_host_after(9, &[], 0);
    assert_eq!(counted_after(&mut scenario, 1, CONTAINERD, nobody), 2);
    assert_eq!(counted_after(&mut scenario, 599, CONTAINERD, nobody), 1);
    // After ten minutes it is worth another try.
    scenario.drain_host_after(1, &[], 0);
    assert_eq!(counted_after(&mut scenario, 5, CONTAINERD, nobody), 0);
}

#[test]
fn at_most_64_drains_wait() {
    let mut scenario = Scenario::new(settings());
    for cgroup in 100..164 {
        assert_eq!(counted_after(&mut scenario, 0, cgroup, REGISTRY), 0);
    }
    // One that brought nothing takes no place.
    let snapshot = scenario.drain_host_after(0, &[], 0);
    assert_eq!(sent_as(&snapshot, Class::Host), 0);
    assert_eq!(counted_after(&mut scenario, 0, 164, REGISTRY), 1);
}

#[test]
fn at_most_4096_names_are_given_up_one_by_one() {
    let mut scenario = Scenario::new(settings());
    let mut give_up = |cgroups: std::ops::RangeInclusive<u64>| {
        let flows: Vec<_> = cgroups.map(|one| out(one, REGISTRY, 1)).collect();
        scenario.drain_host_after(5, &flows, 0);
        scenario.drain_host_after(10, &[], 0);
        counted_after(&mut scenario, 0, 1, REGISTRY)
    };
    assert_eq!(give_up(1..=1), 1);
    // They have just room.
    assert_eq!(give_up(2..=4096), 1);
    // One more: all are waited for again.
    assert_eq!(give_up(4097..=4097), 0);
}

/// Its interval began when the peer still had its address, longer ago than anybody else is
/// remembered.
#[test]
fn what_waits_keeps_the_peer_of_its_interval() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(Object::Pod(pod("far", "node-3", "192.168.2.1")));
    scenario.drain_after(0, &[]);
    scenario.wait(4);
    scenario.delete(Kind::Pod, "shop", "far-1");
    assert_eq!(counted_after(&mut scenario, 301, 77, "192.168.2.1"), 0);
    scenario.cgroup(77, "system.slice/kubelet.service");
    let snapshot = scenario.drain_host_after(1, &[], 0);
    assert_eq!(lines(&snapshot), ["unit kubelet.service  cross_zone far 1"]);
}
