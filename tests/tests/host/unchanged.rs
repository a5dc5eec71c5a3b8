//! What is said of pods does not depend on whether the node's own bytes are counted.

use std::{collections::BTreeMap, net::SocketAddr};

use zonemeter_lab::{
    Agent, Lab, Metrics, Namespace, PodPlan, ServicePlan, Transport,
    traffic::{self, Datagrams},
};

use super::scene::*;

/// All that is said of pods.
const FAMILIES: [&str; 7] = [
    "zonemeter_pod_bytes_total",
    "zonemeter_pod_packets_total",
    "zonemeter_workload_bytes_total",
    "zonemeter_interface_bytes_total",
    "zonemeter_interface_packets_total",
    "zonemeter_unattributed_bytes_total",
    "zonemeter_unattributed_packets_total",
];

/// By name and labels.
fn of_pods(metrics: &Metrics) -> BTreeMap<String, u64> {
    let samples = metrics.samples().iter();
    let samples = samples.filter(|sample| FAMILIES.contains(&sample.name.as_str()));
    let told = samples.map(|one| (format!("{}{:?}", one.name, one.labels), one.value as u64));
    told.collect()
}

fn exchange(client: &Namespace, server: &Namespace, at: std::net::IpAddr) {
    traffic::tcp_transfer(client, server, at, 0, 1_000_000).unwrap();
    let to = SocketAddr::new(at, 7000);
    traffic::udp_send(client, server, to, Datagrams::new(100, 1000)).unwrap();
    let batched = Datagrams::new(100, 1200).batch(10);
    traffic::udp_send(client, server, to, batched).unwrap();
    traffic::udp_send(client, server, to, Datagrams::new(10, 4000)).unwrap();
    traffic::ping(client, at, 2).unwrap();
}

/// Everything that pods do: with each other, the node, a Service and the internet.
fn everything(lab: &Lab) {
    let pod = |name: &str| lab.pod(&format!("default/{name}")).unwrap();
    let (a, b, far) = (pod("a"), pod("b"), pod("other-zone"));
    let node = lab.node("a1").unwrap();
    for peer in [&b, &pod("same-zone"), &far] {
        exchange(a.namespace(), peer.namespace(), peer.v4().unwrap());
        exchange(peer.namespace(), a.namespace(), a.v4().unwrap());
    }
    exchange(a.namespace(), lab.internet(), lab.internet_host(0));
    exchange(a.namespace(), node.namespace(), node.address());
    exchange(node.namespace(), a.namespace(), a.v4().unwrap());
    let sink = traffic::tcp_sink(far.namespace(), 8080, 1).unwrap();
    let service = SocketAddr::new("10.100.7.9".parse().unwrap(), 80);
    traffic::tcp_send(a.namespace(), service, 500_000).unwrap();
    sink.finish().unwrap();
    exchange(node.namespace(), far.namespace(), far.v4().unwrap());
}

/// Two agents see the same packets, and one of them counts no uplink.
#[test]
fn pods_figures_are_the_same_without_the_nodes_own_bytes() {
    let plan = plan("host-unchanged").pod(PodPlan::new("default", "b", "a1"));
    let mut scene = Scene::raise(plan, |agent| agent);
    let backend = ServicePlan::new("default", "web", "10.100.7.9".parse().unwrap())
        .port(Transport::Tcp, 80, 8080)
        .backend(scene.pod("other-zone").v4().unwrap());
    scene.lab.add_service(backend).unwrap();
    let without = counting_hosts(scene.lab.agent("a1").unwrap(), &scene.groups).second();
    let mut without = without.flag("--uplink", "none*").start_ready().unwrap();
    let known = |metrics: &Metrics| {
        metrics.sum("zonemeter_cluster_objects", &[("kind", "EndpointSlice")]) > 0
            && metrics.sum("zonemeter_interfaces", &[]) == 2
    };
    scene.agent.wait_until(WITHIN, known).unwrap();
    without.wait_until(WITHIN, known).unwrap();
    let before = [&mut scene.agent, &mut without].map(|agent| of_pods(&agent.settled().unwrap()));
    let lab = &scene.lab;
    scene.groups.inside(KUBELET, || everything(lab)).unwrap();
    let host = class(&scene.exact(), "transmit", "host");
    assert!(host > 1_000_000, "the node's own bytes are counted: {host}");
    let counted = |agent: &mut Agent, before: &BTreeMap<String, u64>| {
        let mut counted = of_pods(&agent.settled().unwrap());
        for (series, value) in &mut counted {
            *value -= before.get(series).copied().unwrap_or_default();
        }
        counted.retain(|_, value| *value > 0);
        counted
    };
    let with = counted(&mut scene.agent, &before[0]);
    assert!(with.len() > 20, "{with:#?}");
    assert_eq!(with, counted(&mut without, &before[1]));
    let uplinks = without.scrape().unwrap();
    assert_eq!(uplinks.sum("zonemeter_uplink_bytes_total", &[]), 0);
    let wire = scene.lab.between(
        scene.pod("a").v4().unwrap(),
        scene.pod("other-zone").v4().unwrap(),
    );
    let shown = with.iter().filter(|(series, _)| {
        let said = [
            "zonemeter_pod_bytes_total",
            "\"pod\": \"a\"",
            "cross_zone",
            "transmit",
        ];
        said.iter().all(|part| series.contains(part))
    });
    assert_eq!(
        shown.map(|(_, value)| value).sum::<u64>(),
        wire.unwrap().bytes
    );
}
