//! The node's own bytes: who they are, and that nothing of them is lost.

use std::time::Duration;

use zonemeter_model::{
    cluster::{Kind, Object, Pod},
    snapshot::{HostSeries, Snapshot},
    traffic::{Class, Direction, HostFlow},
};

use super::scenario::*;
use crate::{Detail, Settings};

pub(super) const NODE: &str = "192.168.0.1";
pub(super) const REGISTRY: &str = "8.8.8.8";
pub(super) const CONTAINERD: u64 = 40;
pub(super) const PROXY: u64 = 41;
const STATIC: u64 = 42;

pub(super) fn out(cgroup: u64, peer: &str, packets: u64) -> HostFlow {
    HostFlow {
        cgroup,
        flow: sent(0, NODE, peer, packets),
    }
}

pub(super) fn back(cgroup: u64, peer: &str, packets: u64) -> HostFlow {
    HostFlow {
        cgroup,
        flow: received(0, NODE, peer, packets),
    }
}

/// A pod of the host's network on this node, with this uid.
pub(super) fn host_pod(name: &str, uid: &str) -> Object {
    Object::Pod(Pod {
        host_network: true,
        uid: uid.into(),
        ..pod(name, "node-1", NODE)
    })
}

/// `kind workload pod scope peer packets` of each host series, directions added up.
pub(super) fn lines(snapshot: &Snapshot) -> Vec<String> {
    let line = |HostSeries { labels, count, .. }: &HostSeries| {
        let party = &labels.party;
        format!(
            "{} {} {} {} {} {}",
            party.kind.name(),
            party.workload.name,
            party.pod,
            labels.scope.name(),
            labels.peer_workload.name,
            count.packets
        )
    };
    snapshot.hosts.iter().map(line).collect()
}

pub(super) fn sent_as(snapshot: &Snapshot, class: Class) -> u64 {
    snapshot.uplinks[Direction::Transmit as usize][class as usize].packets
}

fn received_as(snapshot: &Snapshot, class: Class) -> u64 {
    snapshot.uplinks[Direction::Receive as usize][class as usize].packets
}

/// Units, a pod of the host's network and a static one, each with its cgroup.
pub(super) fn busy() -> Scenario {
    let mut scenario = Scenario::new(settings());
    scenario.cgroup(CONTAINERD, "system.slice/containerd.service");
    scenario.cgroup(
        PROXY,
        "kubepods.slice/kubepods-podp_1.slice/cri-containerd-0a.scope",
    );
    scenario.cgroup(STATIC, "kubepods/burstable/pod7b8c/0b");
    scenario.apply(host_pod("proxy", "p-1"));
    scenario.apply(host_pod("etcd", "7b8c"));
    scenario
}

#[test]
fn units_and_pods_of_the_host_network_have_names_and_the_kernel_is_one_of_them() {
    let mut scenario = busy();
    scenario.apply(Object::Pod(pod("web", "node-3", "192.168.32.10")));
    let flows = [
        out(CONTAINERD, REGISTRY, 2),
        back(CONTAINERD, REGISTRY, 3),
        out(PROXY, "192.168.32.10", 5),
        out(STATIC, "192.168.0.2", 7),
        out(0, REGISTRY, 1),
    ];
    let snapshot = scenario.drain_host_after(5, &flows, 4);
    let expected = [
        "pod etcd etcd-1 intra_zone node-2 7",
        "pod proxy proxy-1 cross_zone web 5",
        "unit containerd.service  internet  2",
        "unit containerd.service  internet  3",
        "kernel   internet  1",
    ];
    assert_eq!(lines(&snapshot), expected);
    assert_eq!(
        (
            sent_as(&snapshot, Class::Host),
            sent_as(&snapshot, Class::Kernel)
        ),
        (14, 1)
    );
    let received = [Class::Host, Class::Kernel].map(|class| received_as(&snapshot, class));
    assert_eq!(received, [3, 4]);
    assert!(snapshot.pods.is_empty(), "nothing is in two families");
}

#[test]
fn the_hash_of_a_static_pod_and_uids_of_others_are_told() {
    let mut scenario = busy();
    let told = scenario.account.changed_host_pods().unwrap();
    let told: Vec<&str> = told.iter().map(|uid| &**uid).collect();
    assert_eq!(told, ["7b8c", "p-1"]);
    assert_eq!(scenario.account.changed_host_pods(), None);
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.0.10")));
    scenario.delete(Kind::Pod, "shop", "proxy-1");
    let told = scenario.account.changed_host_pods().unwrap();
    assert_eq!(told.len(), 1);
    // Neither a pod of another node nor one that has finished.
    let of = |name, on, uid: &str| Pod {
        host_network: true,
        uid: uid.into(),
        ..pod(name, on, "192.168.0.9")
    };
    scenario.apply(Object::Pod(of("agent", "node-2", "a-1")));
    assert_eq!(scenario.account.changed_host_pods(), None);
    let finished = true;
    scenario.apply(Object::Pod(Pod {
        finished,
        ..of("etcd", "node-1", "7b8c")
    }));
    assert!(scenario.account.changed_host_pods().unwrap().is_empty());
}

#[test]
fn a_drain_waits_as_a_whole_for_the_name_of_a_cgroup_and_then_is_unknown() {
    let mut scenario = busy();
    let flows = [out(77, REGISTRY, 2), out(CONTAINERD, REGISTRY, 3)];
    let snapshot = scenario.drain_host_after(5, &flows, 0);
    assert_eq!(
        (lines(&snapshot).len(), sent_as(&snapshot, Class::Host)),
        (0, 0)
    );
    scenario.cgroup(77, "system.slice/kubelet.service");
    let snapshot = scenario.drain_host_after(5, &[out(78, REGISTRY, 1)], 0);
    let expected = [
        "unit containerd.service  internet  3",
        "unit kubelet.service  internet  2",
    ];
    assert_eq!(lines(&snapshot), expected);
    scenario.drain_host_after(9, &[], 0);
    let snapshot = scenario.drain_host_after(1, &[], 0);
    assert_eq!(lines(&snapshot)[2], "unit unknown  internet  1");
    // It is not waited for again.
    let snapshot = scenario.drain_host_after(5, &[out(78, REGISTRY, 1)], 0);
    assert_eq!(lines(&snapshot)[2], "unit unknown  internet  2");
}

#[test]
fn a_cgroup_that_is_gone_keeps_its_name_for_minutes() {
    let mut scenario = busy();
    scenario.remove_cgroup(PROXY);
    scenario.delete(Kind::Pod, "shop", "proxy-1");
    let snapshot = scenario.drain_host_after(200, &[out(PROXY, REGISTRY, 2)], 0);
    assert_eq!(lines(&snapshot), ["pod proxy proxy-1 internet  2"]);
    let snapshot = scenario.drain_host_after(99, &[out(PROXY, REGISTRY, 3)], 0);
    assert_eq!(lines(&snapshot), ["pod proxy proxy-1 internet  5"]);
    scenario.drain_host_after(51, &[], 0);
    scenario.drain_host_after(1, &[out(PROXY, REGISTRY, 1)], 0);
    let snapshot = scenario.drain_host_after(20, &[], 0);
    assert!(lines(&snapshot).contains(&"unit unknown  internet  1".to_owned()));
}

#[test]
fn what_came_in_for_nobody_never_goes_down() {
    let mut scenario = busy();
    let kernel = |snapshot: &Snapshot| received_as(snapshot, Class::Kernel);
    let snapshot = scenario.drain_host_after(5, &[back(CONTAINERD, REGISTRY, 3)], 4);
    assert_eq!(kernel(&snapshot), 4);
    // More is received than has come in so far: it came in after that was read.
    scenario.wait(5);
    let mut drain = scenario.drained(&[]);
    drain.host.received_by_pods = of_packets(10);
    let snapshot = scenario.add(&drain);
    assert_eq!(kernel(&snapshot), 4);
    let mut drain = scenario.drained(&[]);
    drain.host.received = of_packets(12);
    let snapshot = scenario.add(&drain);
    assert_eq!(kernel(&snapshot), 6);
}

#[test]
fn what_found_no_room_is_nobodys_by_name_and_still_counts() {
    let mut scenario = busy();
    scenario.wait(5);
    let mut drain = scenario.drained(&[]);
    drain.host.sent[Class::Host as usize] = of_packets(9);
    drain.host.unplaced[Direction::Transmit as usize] = of_packets(9);
    let snapshot = scenario.add(&drain);
    assert_eq!(lines(&snapshot), ["unit unknown  unknown other 9"]);
    assert_eq!(snapshot.drains_that_disagreed, 0);
    let mut drain = scenario.drained(&[]);
    drain.host.sent[Class::Host as usize] = of_packets(1);
    let snapshot = scenario.add(&drain);
    assert_eq!(
        snapshot.drains_that_disagreed, 1,
        "a fault is counted, and so are its bytes"
    );
}

#[test]
fn the_next_process_goes_on_with_what_waits_too() {
    let mut scenario = busy();
    scenario.drain_host_after(5, &[out(PROXY, REGISTRY, 2)], 3);
    scenario.drain_host_after(5, &[out(99, REGISTRY, 4)], 0);
    let mut next = scenario.restarted(settings(), true);
    let snapshot = next.account.snapshot();
    assert_eq!(lines(&snapshot), ["pod proxy proxy-1 internet  2"]);
    // It knows no node yet, and no cgroup.
    let snapshot = next.drain_host_after(5, &[], 0);
    assert_eq!(sent_as(&snapshot, Class::Host), 2);
    next.apply(node("node-1", NODE, Some("a")));
    next.cgroup(99, "system.slice/kubelet.service");
    let snapshot = next.drain_host_after(1, &[], 0);
    assert!(lines(&snapshot).contains(&"unit kubelet.service  internet  4".to_owned()));
    assert_eq!(received_as(&snapshot, Class::Kernel), 3);
}

#[test]
fn series_of_those_that_are_gone_retire_and_sums_hold() {
    let mut scenario = busy();
    scenario.drain_host_after(
        5,
        &[out(PROXY, REGISTRY, 2), out(CONTAINERD, REGISTRY, 3)],
        0,
    );
    scenario.remove_cgroup(PROXY);
    scenario.delete(Kind::Pod, "shop", "proxy-1");
    let snapshot = scenario.drain_host_after(299, &[], 0);
    assert_eq!(lines(&snapshot).len(), 2);
    let snapshot = scenario.drain_host_after(301, &[], 0);
    assert_eq!(lines(&snapshot), ["unit containerd.service  internet  3"]);
    assert_eq!(packets(snapshot.hosts_retired), [2, 0]);
}

#[test]
fn past_the_ceiling_peers_are_one_and_sums_hold() {
    let small = Settings {
        max_series: 400,
        peer_timeout: Duration::ZERO,
        ..settings()
    };
    let shown = |scenario: &mut Scenario| {
        scenario.cgroup(CONTAINERD, "system.slice/containerd.service");
        let mut flows = Vec::new();
        for number in 1..200 {
            let (name, address) = (format!("web{number}"), format!("192.168.32.{number}"));
            scenario.apply(Object::Pod(pod(&name, "node-3", &address)));
            flows.push(out(CONTAINERD, &address, 1));
        }
        scenario.drain_host_after(5, &flows, 0)
    };
    let mut scenario = Scenario::new(small.clone());
    let snapshot = shown(&mut scenario);
    // 400 less 192 for `other`, less a third of that for pods, are 139: a quarter of it, two each.
    assert_eq!((snapshot.hosts.len(), snapshot.series_folded), (36, 164));
    let other = "unit containerd.service  cross_zone other 164";
    let position = lines(&snapshot).iter().position(|line| line == other);
    let labels = &snapshot.hosts[position.unwrap()].labels;
    assert_eq!(&*labels.peer_namespace, "");
    // The next process gives it no further ones.
    let mut next = scenario.restarted(small, true);
    next.apply(node("node-1", NODE, Some("a")));
    next.apply(node("node-3", "192.168.32.3", Some("b")));
    assert_eq!(shown(&mut next).hosts.len(), 36);
}

#[test]
fn series_that_stand_for_many_pods_go_with_the_last_of_them() {
    for (workloads, left) in [(true, 0), (false, 1)] {
        let mut scenario = Scenario::new(Settings {
            detail: Detail {
                pods: false,
                workloads,
            },
            ..settings()
        });
        scenario.cgroup(PROXY, "kubepods/podp-1/0a");
        scenario.apply(host_pod("proxy", "p-1"));
        scenario.drain_host_after(5, &[out(PROXY, "192.168.0.2", 1)], 0);
        let snapshot = scenario.drain_host_after(600, &[], 0);
        assert_eq!(lines(&snapshot).len(), 1);
        scenario.remove_cgroup(PROXY);
        scenario.delete(Kind::Pod, "shop", "proxy-1");
        let snapshot = scenario.drain_host_after(600, &[], 0);
        assert_eq!(lines(&snapshot).len(), left);
    }
}

#[test]
fn detail_leaves_out_pods_peers_or_both() {
    let shown = |pods, workloads| {
        let mut scenario = Scenario::new(Settings {
            detail: Detail { pods, workloads },
            ..settings()
        });
        scenario.cgroup(PROXY, "kubepods/podp-1/0a");
        scenario.apply(host_pod("proxy", "p-1"));
        let snapshot = scenario.drain_host_after(5, &[out(PROXY, "192.168.0.2", 1)], 0);
        lines(&snapshot)
    };
    assert_eq!(shown(true, true), ["pod proxy proxy-1 intra_zone node-2 1"]);
    assert_eq!(shown(false, true), ["pod proxy other intra_zone node-2 1"]);
    assert_eq!(shown(true, false), ["pod proxy proxy-1 intra_zone other 1"]);
    assert_eq!(shown(false, false), ["pod other other intra_zone other 1"]);
}

/// `who peer scope pending packets` of each flow that was written down.
fn recorded(scenario: &mut Scenario) -> Vec<String> {
    let recent = scenario.account.take_recent();
    let mut shown: Vec<String> = recent
        .flows
        .iter()
        .map(|flow| {
            let (who, peer) = (&flow.local.workload, &flow.peer_address);
            format!(
                "{} {} {peer} {} {} {}",
                who.kind,
                who.name,
                flow.scope.name(),
                flow.pending,
                flow.count.packets
            )
        })
        .collect();
    shown.sort();
    shown
}

#[test]
fn its_flows_are_written_down_by_name_while_somebody_looks() {
    let mut scenario = busy();
    let flows = [out(CONTAINERD, REGISTRY, 2), out(0, REGISTRY, 1)];
    scenario.drain_host_after(5, &flows, 0);
    assert!(recorded(&mut scenario).is_empty(), "nobody looks");
    scenario.account.record(true);
    scenario.drain_host_after(5, &flows, 0);
    let expected = [
        "Kernel kernel 8.8.8.8 internet false 1",
        "Unit containerd.service 8.8.8.8 internet false 2",
    ];
    assert_eq!(recorded(&mut scenario), expected);
    scenario.drain_host_after(5, &[out(77, REGISTRY, 1)], 0);
    let awaited = ["Unit unknown 8.8.8.8 internet true 1"];
    assert_eq!(recorded(&mut scenario), awaited);
}
