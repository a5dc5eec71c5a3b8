//! Each byte by its unit or pod and its peer, in both families and by every protocol.

use std::net::{IpAddr, SocketAddr};

use zonemeter_lab::{
    Count, Family, Metrics, Plan, Pod, PodPlan, ServicePlan, Transport, Truth, Way, count,
    traffic::{self, Datagrams},
};

use super::scene::*;

/// Address of a pod, and of the node itself, in one family.
fn addresses(scene: &Scene, pod: &Pod, v4: bool) -> (IpAddr, IpAddr) {
    let node = scene.node();
    match v4 {
        true => (pod.v4().unwrap(), node.address()),
        false => (pod.v6().unwrap(), node.address_v6()),
    }
}

/// Units and a pod of the host's network, every protocol, then wire against metrics.
fn every_byte_has_a_name(plan: Plan, v4: bool) {
    let mut scene = Scene::raise(plan, |agent| agent);
    let node = scene.node();
    let (own, internet) = (node.namespace(), scene.lab.internet());
    let registry = match v4 {
        true => scene.lab.internet_host(0),
        false => scene.lab.internet_host_v6(0),
    };
    let (near, far) = (scene.pod("same-zone"), scene.pod("other-zone"));
    let (near_address, own_address) = addresses(&scene, &near, v4);
    let (far_address, _) = addresses(&scene, &far, v4);

    // An image is pulled.
    let http = traffic::http_server(internet, 0, WITHIN).unwrap();
    let image = SocketAddr::new(registry, http.port);
    let pull = || traffic::http_get(own, image, 3_000_000).unwrap();
    scene.groups.inside(CONTAINERD, pull).unwrap();
    // The kubelet speaks to a pod in another zone, by every protocol.
    let udp = |port| SocketAddr::new(far_address, port);
    let speak = || {
        traffic::tcp_transfer(own, far.namespace(), far_address, 0, 2_000_000).unwrap();
        for _ in 0..20 {
            traffic::tcp_transfer(own, far.namespace(), far_address, 0, 1000).unwrap();
        }
        traffic::udp_send(own, far.namespace(), udp(7000), Datagrams::new(100, 1000)).unwrap();
        let batched = Datagrams::new(200, 1200).batch(10);
        traffic::udp_send(own, far.namespace(), udp(7001), batched).unwrap();
        traffic::udp_send(own, far.namespace(), udp(7002), Datagrams::new(30, 4000)).unwrap();
    };
    scene.groups.inside(KUBELET, speak).unwrap();
    // A pod elsewhere scrapes an exporter of the host's network.
    let container = container_of(&scene.lab, PROXY);
    let exporter = || traffic::http_server(own, 9100, WITHIN).unwrap();
    let exporter = scene.groups.inside(&container, exporter).unwrap();
    for _ in 0..5 {
        let at = SocketAddr::new(own_address, exporter.port);
        traffic::http_get(near.namespace(), at, 100_000).unwrap();
    }
    // Nobody's: ICMP, closed ports, and what a pod sends.
    traffic::ping(own, registry, 2).unwrap();
    let closed = SocketAddr::new(own_address, 9);
    traffic::udp_send_only(near.namespace(), closed, Datagrams::new(10, 100)).unwrap();
    let pod = scene.pod("a");
    traffic::http_get(pod.namespace(), image, 1_000_000).unwrap();

    let metrics = scene.exact();
    let truth = scene.lab.uplink_truth().unwrap();
    let (there, back) = (
        |peer| truth.arrived(own_address, peer),
        |peer| truth.delivered(peer, own_address),
    );
    let [sent, received] = of_host(&metrics, ("workload", "kubelet.service"), "other-zone");
    assert_nearly(sent, there(far_address), 21, "kubelet sent");
    assert_nearly(received, back(far_address), 21, "kubelet received");
    let [sent, received] = of_host(&metrics, ("pod", "proxy"), "same-zone");
    assert_nearly(
        sent,
        there(near_address) - icmp_from(&truth, own_address, near_address),
        5,
        "proxy sent",
    );
    let at_exporter = received_at(&truth, near_address, own_address, 9100);
    assert_nearly(received, at_exporter, 5, "proxy received");
    let [sent, received] = of_host(&metrics, ("workload", "containerd.service"), "");
    assert!(
        received.bytes > 3_000_000 && sent.bytes > 1000,
        "{sent:?} {received:?}"
    );
    for (labels, scope) in [
        (("workload", "kubelet.service"), "cross_zone"),
        (("pod", "proxy"), "intra_zone"),
        (("workload", "containerd.service"), "internet"),
    ] {
        let all = metrics.sum("zonemeter_host_bytes_total", &[labels]);
        let scoped = metrics.sum("zonemeter_host_bytes_total", &[labels, ("scope", scope)]);
        assert!(
            all > 0 && all == scoped,
            "{labels:?}: {scoped} of {all} are {scope}"
        );
    }
    assert!(class(&metrics, "receive", "pod") > 1_000_000);
    // 10 datagrams of 128 or 148 bytes to a closed port.
    assert!(class(&metrics, "receive", "kernel") >= 1280);
    assert_eq!(metrics.sum("zonemeter_reconciliation_errors_total", &[]), 0);
    assert_eq!(unknown(&metrics), 0);
}

/// ICMP errors about what came to a closed port are the kernel's own.
fn icmp_from(truth: &Truth, source: IpAddr, destination: IpAddr) -> Count {
    let icmp = truth.pairs.iter().filter(|record| {
        record.way == Way::Arrived
            && record.source == source
            && record.destination == destination
            && [1, 58].contains(&record.protocol)
    });
    count(icmp)
}

fn received_at(truth: &Truth, source: IpAddr, own: IpAddr, port: u16) -> Count {
    let records = truth.flows.iter().filter(|record| {
        record.way == Way::Delivered
            && record.source == source
            && record.destination == own
            && record.ports.is_some_and(|(_, to)| to == port)
    });
    count(records)
}

#[test]
fn ipv4_is_exact_by_unit_and_pod() {
    every_byte_has_a_name(plan("host-v4"), true);
}

#[test]
fn ipv6_is_exact_by_unit_and_pod() {
    let plan = Plan::new("host-v6")
        .family(Family::V6)
        .pod(PodPlan::new("default", "a", "a1"))
        .pod(PodPlan::new("default", "same-zone", "a2"))
        .pod(PodPlan::new("default", "other-zone", "b1"))
        .host_pod(PodPlan::new("kube-system", "proxy", "a1"));
    every_byte_has_a_name(plan, false);
}

#[test]
fn packets_joined_at_the_uplink_count_as_they_came_over_the_wire() {
    every_byte_has_a_name(plan("host-gro").uplink_gro(true), true);
}

/// A pod of the host's network behind a Service address: its backend is named at both ends.
#[test]
fn a_service_is_named_by_its_backend_in_both_directions() {
    let mut scene = Scene::raise(plan("host-service"), |agent| agent);
    let (node, far) = (scene.node(), scene.pod("other-zone"));
    let backend = ServicePlan::new("default", "web", "10.100.7.8".parse().unwrap())
        .port(Transport::Tcp, 80, 8080)
        .backend(far.v4().unwrap());
    scene.lab.add_service(backend).unwrap();
    // A connection that is older than what the agent knows of the Service keeps the Service's name.
    let known = |metrics: &Metrics| {
        let of = |kind| metrics.sum("zonemeter_cluster_objects", &[("kind", kind)]);
        of("Service") > 0 && of("EndpointSlice") > 0
    };
    scene.agent.wait_until(WITHIN, known).unwrap();
    scene.agent.settled().unwrap();
    let other = scene.lab.agent("b1").unwrap();
    let mut other = other.flag("--interval", "100ms").start_ready().unwrap();
    let service = SocketAddr::new("10.100.7.8".parse().unwrap(), 80);
    let container = container_of(&scene.lab, PROXY);
    let sink = traffic::tcp_sink(far.namespace(), 8080, 3).unwrap();
    for _ in 0..3 {
        let send = || traffic::tcp_send(node.namespace(), service, 500_000).unwrap();
        scene.groups.inside(&container, send).unwrap();
    }
    sink.finish().unwrap();
    let metrics = scene.exact();
    let truth = scene.lab.uplink_truth().unwrap();
    let (own, far) = (node.address(), far.v4().unwrap());
    let [sent, received] = of_host(&metrics, ("pod", "proxy"), "other-zone");
    assert_nearly(sent, truth.arrived(own, far), 3, "sent");
    assert_nearly(received, truth.delivered(far, own), 3, "received");
    let unresolved = [("scope", "unresolved_service")];
    assert_eq!(metrics.sum("zonemeter_host_bytes_total", &unresolved), 0);
    // The backend's node says the same of the other end, the last acknowledgement included.
    let labels = [
        ("pod", "other-zone"),
        ("direction", "receive"),
        ("scope", "cross_zone"),
    ];
    let is_true = |seen: &Metrics| {
        let truth = scene.lab.uplink_truth().unwrap();
        seen.sum("zonemeter_pod_bytes_total", &labels) == truth.arrived(own, far).bytes
    };
    other.wait_until(WITHIN, is_true).unwrap();
}
