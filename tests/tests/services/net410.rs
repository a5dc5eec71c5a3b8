//! The rules of a real EKS node, as its `iptables-save` printed them (re:Invent 2018, NET410): the
//! API server's Service is two network interfaces in two zones, and a client stays with one.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use zonemeter_lab::{Agent, Lab, Metrics, Plan, Pod, PodPlan, ServicePlan, Transport, traffic};

const DUMP: &str = include_str!("net410.iptables-save");
const API_SERVER: [u8; 4] = [10, 100, 0, 1];
const INTERFACES: [[u8; 4]; 2] = [[192, 168, 119, 102], [192, 168, 154, 135]];
/// The subnets of these interfaces: each zone has a public and a private one.
const NETWORKS: &str = "vpc: [192.168.0.0/16]
networks:
  - { cidr: 192.168.96.0/19, zone: us-east-2a, name: private-a }
  - { cidr: 192.168.128.0/19, zone: us-east-2b, name: private-b }
";
/// As the subnets above place the interfaces, seen from zone us-east-2a.
const LABELS: [[&str; 3]; 2] = [
    ["intra_zone", "us-east-2a", "private-a"],
    ["cross_zone", "us-east-2b", "private-b"],
];
const CLIENTS: [&str; 6] = ["c0", "c1", "c2", "c3", "c4", "c5"];

#[test]
fn the_api_server_of_a_real_node_is_named_by_one_of_its_two_interfaces() {
    let lab = raise();
    let networks = lab.directory().join("net410.yaml");
    fs::write(&networks, NETWORKS).unwrap();
    let agent = lab.agent("a1").unwrap().flag("--interval", "100ms");
    let mut agent = agent
        .flag("--networks-file", &networks)
        .start_ready()
        .unwrap();
    let _api = traffic::http_server(lab.internet(), 443, Duration::from_secs(60)).unwrap();
    let clients = CLIENTS.map(|name| lab.pod(&format!("default/{name}")).unwrap());
    for client in &clients {
        for _ in 0..3 {
            let asked = SocketAddr::from((API_SERVER, 443));
            traffic::http_get(client.namespace(), asked, 50_000).unwrap();
        }
    }
    let (metrics, wire) = stand_still(&mut agent, &lab, &clients);
    for (client, wire) in clients.iter().zip(wire) {
        let used = wire.iter().filter(|[up, _]| *up > 0).count();
        assert_eq!(used, 1, "{} stays with one: {wire:?}", client.key());
    }
    let unresolved = [("scope", "unresolved_service")];
    assert_eq!(metrics.sum("zonemeter_pod_bytes_total", &unresolved), 0);
}

/// Bytes with each of the two interfaces: there, and back.
type Wire = [[u64; 2]; 2];

/// Waits until the agent shows what went over the wire, twice in a row: connections end some time
/// after their last byte.
fn stand_still(agent: &mut Agent, lab: &Lab, clients: &[Pod]) -> (Metrics, Vec<Wire>) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut fitted = None;
    loop {
        let of = |client| [0, 1].map(|index| wire(lab, client, index));
        let wire: Vec<Wire> = clients.iter().map(of).collect();
        let metrics = agent.settled().unwrap();
        let of = |client| [0, 1].map(|index| shown(&metrics, client, index));
        let shown: Vec<Wire> = clients.iter().map(of).collect();
        if shown == wire && fitted.as_ref() == Some(&wire) {
            return (metrics, wire);
        }
        assert!(
            Instant::now() < deadline,
            "wire {wire:?}, metrics {shown:?}"
        );
        fitted = (shown == wire).then_some(wire);
    }
}

fn raise() -> Lab {
    let mut plan = Plan::new("services-net410");
    for name in CLIENTS {
        plan = plan.pod(PodPlan::new("default", name, "a1"));
    }
    let mut service = ServicePlan::new("default", "kubernetes", API_SERVER.into());
    service = service.port(Transport::Tcp, 443, 443).session_affinity();
    for interface in INTERFACES {
        plan = plan.outside(interface.into());
        service = service.backend(interface.into());
    }
    let lab = Lab::raise(plan.service(service)).unwrap();
    lab.load_iptables(&lab.node("a1").unwrap(), DUMP).unwrap();
    lab
}

/// Bytes between a pod and an interface at the node's uplink: there, and back.
fn wire(lab: &Lab, client: &Pod, index: usize) -> [u64; 2] {
    let interface = IpAddr::from(INTERFACES[index]);
    let up = lab.between(client.address(), interface).unwrap().bytes;
    [up, lab.between(interface, client.address()).unwrap().bytes]
}

fn shown(metrics: &Metrics, client: &Pod, index: usize) -> [u64; 2] {
    let [scope, zone, network] = LABELS[index];
    ["transmit", "receive"].map(|direction| {
        let labels = [
            ("workload", client.name()),
            ("direction", direction),
            ("scope", scope),
            ("peer_zone", zone),
            ("peer_workload", network),
            ("peer_workload_kind", "Network"),
        ];
        metrics.sum("zonemeter_workload_bytes_total", &labels)
    })
}
