//! Agents that are killed, cgroups that come and go, and a node without cgroups.

use std::{net::SocketAddr, thread};

use zonemeter_lab::{
    Lab,
    traffic::{self, Datagrams},
};

use super::scene::*;

/// Twenty agents in a row are killed amid traffic of a host process.
#[test]
fn killed_agents_lose_nothing_and_leave_nothing_twice() {
    let mut scene = Scene::raise(plan("host-kill"), |agent| agent);
    let (node, far) = (scene.node(), scene.pod("other-zone"));
    let address = far.v4().unwrap();
    for _ in 0..20 {
        let (own, far) = (node.namespace().clone(), far.namespace().clone());
        let (groups, agent) = (&scene.groups, &mut scene.agent);
        groups
            .inside(KUBELET, || {
                let busy = thread::spawn(move || {
                    traffic::tcp_transfer(&own, &far, address, 0, 5_000_000).unwrap()
                });
                agent.kill().unwrap();
                busy.join().unwrap();
            })
            .unwrap();
        agent.restart().unwrap();
    }
    let metrics = scene.exact();
    let truth = scene.lab.uplink_truth().unwrap();
    let [sent, received] = of_host(&metrics, ("workload", "kubelet.service"), "other-zone");
    assert_nearly(sent, truth.arrived(node.address(), address), 20, "sent");
    assert_nearly(
        received,
        truth.delivered(address, node.address()),
        20,
        "received",
    );
    scene.leaks_nothing();
}

/// Cgroups come and go quicker than anybody could look at them.
#[test]
fn short_lived_cgroups_are_counted_and_leave_nothing() {
    let mut scene = Scene::raise(plan("host-churn"), |agent| agent);
    let (node, near) = (scene.node(), scene.pod("same-zone"));
    let address = near.v4().unwrap();
    let sink = traffic::udp_sink(near.namespace(), 7000, 200).unwrap();
    let server = SocketAddr::new(address, 7000);
    for number in 0..200 {
        let path = format!("system.slice/job{number}.service");
        scene.groups.add(&path).unwrap();
        let send =
            || traffic::udp_send_only(node.namespace(), server, Datagrams::new(1, 500)).unwrap();
        scene.groups.inside(&path, send).unwrap();
        scene.groups.remove(&path).unwrap();
    }
    sink.join().unwrap().unwrap();
    let metrics = scene.exact();
    // 20 bytes of IPv4 and 8 of UDP.
    let labels = [
        ("kind", "unit"),
        ("direction", "transmit"),
        ("peer_workload", "same-zone"),
    ];
    assert_eq!(
        metrics.sum("zonemeter_host_bytes_total", &labels),
        200 * 528
    );
    assert_eq!(
        metrics.sum("zonemeter_host_cgroups", &[("state", "failed")]),
        0
    );
    assert_eq!(
        linked(&metrics),
        2,
        "system.slice and the pod of the host's network"
    );
    scene.leaks_nothing();
}

/// Without cgroup v2 the bytes are counted, and it is said that they have no name.
#[test]
fn without_cgroup_v2_host_bytes_are_counted_without_a_name() {
    let lab = Lab::raise(plan("host-v1")).unwrap();
    let empty = lab.directory().join("cgroup");
    std::fs::create_dir(&empty).unwrap();
    let agent = lab.agent("a1").unwrap().flag("--uplink", "eth*");
    let agent = agent
        .flag("--interval", "100ms")
        .flag("--cgroup-dir", &empty);
    let mut agent = agent.start_ready().unwrap();
    agent
        .wait_until(WITHIN, |metrics| metrics.sum("zonemeter_uplinks", &[]) == 2)
        .unwrap();
    let (node, near) = (
        lab.node("a1").unwrap(),
        lab.pod("default/same-zone").unwrap(),
    );
    let address = near.v4().unwrap();
    traffic::tcp_transfer(node.namespace(), near.namespace(), address, 0, 100_000).unwrap();
    let labels = [("workload", "unknown"), ("direction", "transmit")];
    agent
        .wait_until(WITHIN, |metrics| {
            metrics.sum("zonemeter_host_bytes_total", &labels) > 100_000
        })
        .unwrap();
    let ready = agent.get("/readyz").unwrap().body;
    assert!(
        ready.contains("cgroups") && ready.contains("no cgroup v2"),
        "{ready}"
    );
}
