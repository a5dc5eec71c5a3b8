//! The heart of the product: every byte and packet that the metrics show went over a wire, and
//! every one that went over a wire is shown, in the right scope, at both ends.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "neighbours/attack.rs"]
mod attack;
#[path = "exactness/little_room.rs"]
mod little_room;

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use zonemeter_lab::{
    Agent, Family, Lab, Metrics, Namespace, Plan, Pod, PodPlan, Source,
    oracle::{self, Traffic},
    traffic::{self, Datagrams},
    with_both_sources,
};

// Past the feed nobody knows where an object came from: this shows that it is so.
with_both_sources! {
    ipv4_is_exact_in_every_scope,
}

const PEERS: [&str; 3] = [
    "default/same-node",
    "default/same-zone",
    "default/other-zone",
];

fn plan(name: &str, source: Source) -> Plan {
    Plan::new(name)
        .source(source)
        .pod(PodPlan::new("default", "a", "a1"))
        .pod(PodPlan::new("default", "same-node", "a1"))
        .pod(PodPlan::new("default", "same-zone", "a2"))
        .pod(PodPlan::new("default", "other-zone", "b1"))
        .pod(PodPlan::new("default", "on-second-eni", "a1").secondary_eni())
}

fn agents(lab: &Lab) -> Vec<Agent> {
    lab.start_agents(|agent| agent.flag("--interval", "100ms"))
        .unwrap()
}

fn address(pod: &Pod, v4: bool) -> IpAddr {
    if v4 { pod.v4() } else { pod.v6() }.unwrap()
}

/// Every protocol, with payload in both directions.
fn exercise(client: &Pod, server: &Namespace, address: IpAddr) {
    let inside = client.namespace();
    traffic::tcp_transfer(inside, server, address, 0, 3_000_000).unwrap();
    let http = traffic::http_server(server, 0, Duration::from_secs(30)).unwrap();
    traffic::http_get(inside, SocketAddr::new(address, http.port), 3_000_000).unwrap();
    let udp = |port| SocketAddr::new(address, port);
    traffic::udp_send(inside, server, udp(7000), Datagrams::new(100, 1000)).unwrap();
    traffic::udp_send(
        inside,
        server,
        udp(7001),
        Datagrams::new(200, 1200).batch(10),
    )
    .unwrap();
    // Three IP fragments each, only the first of which has ports.
    traffic::udp_send(inside, server, udp(7002), Datagrams::new(30, 4000)).unwrap();
    traffic::ping(inside, address, 2).unwrap();
}

/// Two pods to all kinds of peers, every protocol. Returns whom of the internet they talked to.
fn exercise_every_scope(lab: &Lab, v4: bool) -> Vec<(Pod, IpAddr)> {
    let mut internet = Vec::new();
    for (index, key) in ["default/a", "default/on-second-eni"]
        .into_iter()
        .enumerate()
    {
        let client = lab.pod(key).unwrap();
        for peer in PEERS {
            let peer = lab.pod(peer).unwrap();
            exercise(&client, peer.namespace(), address(&peer, v4));
        }
        let host = if v4 {
            lab.internet_host(index)
        } else {
            lab.internet_host_v6(index)
        };
        exercise(&client, lab.internet(), host);
        internet.push((client, host));
    }
    internet
}

fn check_every_scope_is_shown(shown: &Traffic) {
    for scope in ["intra_node", "intra_zone", "cross_zone", "internet"] {
        for direction in ["transmit", "receive"] {
            let bytes: u64 = shown
                .iter()
                .filter(|(series, _)| series.pod == "default/a")
                .filter(|(series, _)| series.scope == scope && series.direction == direction)
                .map(|(_, count)| count.bytes)
                .sum();
            assert!(bytes > 3_000_000, "{scope} {direction}: {bytes}");
        }
    }
}

/// Traffic, then wire against metrics.
fn every_scope_is_exact(plan: Plan, v4: bool) {
    let lab = Lab::raise(plan).unwrap();
    let mut agents = agents(&lab);
    let internet = exercise_every_scope(&lab, v4);
    let shown = oracle::wait_exact(&lab, &mut agents, &internet).unwrap();
    check_every_scope_is_shown(&shown);
    for agent in &agents {
        oracle::check_families(&agent.scrape().unwrap()).unwrap();
    }
}

fn ipv4_is_exact_in_every_scope(source: Source) {
    every_scope_is_exact(plan("exact-v4", source), true);
}

#[test]
fn ipv6_is_exact_in_every_scope() {
    every_scope_is_exact(plan("exact-v6", Source::File).family(Family::V6), false);
}

#[test]
fn jumbo_frames_are_exact_in_every_scope() {
    every_scope_is_exact(plan("exact-9001", Source::File).mtu(9001), true);
}

#[test]
fn packets_joined_at_the_uplink_count_as_they_came_over_the_wire() {
    every_scope_is_exact(plan("exact-gro-v4", Source::File).uplink_gro(true), true);
    every_scope_is_exact(
        plan("exact-gro-v6", Source::File)
            .uplink_gro(true)
            .family(Family::Dual),
        false,
    );
}

#[test]
fn where_there_is_little_room_every_scope_is_exact() {
    little_room::is_exact("exact-little", "tcx");
}

#[test]
fn where_there_is_little_room_every_scope_is_exact_with_tc() {
    little_room::is_exact("exact-little-tc", "tc");
}

/// Known amounts, without any counter in between: 2 × 84 bytes each way for default pings, 100 ×
/// 1028 one way for datagrams.
#[test]
fn known_amounts_appear_as_they_are() {
    let lab = Lab::raise(plan("known", Source::File)).unwrap();
    let mut agents = agents(&lab);
    let client = lab.pod("default/a").unwrap();
    for peer in PEERS {
        let peer = lab.pod(peer).unwrap();
        traffic::ping(client.namespace(), peer.address(), 2).unwrap();
        let server = SocketAddr::new(peer.address(), 7000);
        let what = Datagrams::new(100, 1000);
        traffic::udp_send(client.namespace(), peer.namespace(), server, what).unwrap();
    }
    traffic::ping(client.namespace(), lab.internet_host(0), 2).unwrap();
    let scrapes: Vec<Metrics> = Agent::all_settled(&mut agents).unwrap();
    let value = |node: usize, unit: &str, labels: &[(&str, &str)]| {
        scrapes[node].sum(&format!("zonemeter_pod_{unit}_total"), labels)
    };
    for (scope, zone, datagrams) in [
        ("intra_node", "us-east-2a", 100),
        ("intra_zone", "us-east-2a", 100),
        ("cross_zone", "us-east-2b", 100),
        ("internet", "", 0),
    ] {
        let a = |direction| {
            [
                ("pod", "a"),
                ("scope", scope),
                ("peer_zone", zone),
                ("direction", direction),
            ]
        };
        let sent = a("transmit");
        assert_eq!(value(0, "bytes", &sent), 168 + datagrams * 1028, "{scope}");
        assert_eq!(value(0, "packets", &sent), 2 + datagrams, "{scope}");
        let got = a("receive");
        assert_eq!(value(0, "bytes", &got), 168, "{scope}");
        assert_eq!(value(0, "packets", &got), 2, "{scope}");
    }
    for (node, pod) in [(0, "same-node"), (1, "same-zone"), (2, "other-zone")] {
        let of = |direction| [("pod", pod), ("direction", direction)];
        let background = |direction| {
            [
                ("pod", pod),
                ("direction", direction),
                ("scope", "link_local"),
            ]
        };
        let net = |direction| {
            value(node, "bytes", &of(direction)) - value(node, "bytes", &background(direction))
        };
        assert_eq!(net("receive"), 168 + 102_800, "{pod}");
        assert_eq!(net("transmit"), 168, "{pod}");
    }
}

/// A node's own packets, such as the kubelet's probes, are traffic with the Node.
#[test]
fn the_node_itself_is_a_peer_on_the_same_node() {
    let lab = Lab::raise(plan("node-peer", Source::File)).unwrap();
    let mut agents = agents(&lab);
    let (pod, node) = (lab.pod("default/a").unwrap(), lab.node("a1").unwrap());
    traffic::ping(node.namespace(), pod.address(), 2).unwrap();
    let metrics = agents[0].settled().unwrap();
    for direction in ["transmit", "receive"] {
        let labels = [
            ("workload", "a"),
            ("scope", "intra_node"),
            ("direction", direction),
            ("peer_workload_kind", "Node"),
            ("peer_zone", "us-east-2a"),
        ];
        assert_eq!(
            metrics.sum("zonemeter_workload_bytes_total", &labels),
            168,
            "{direction}"
        );
    }
}

/// Five seconds between two pods of one node, as in the AWS blog's setting where the node's own
/// network metrics cannot tell it from real traffic.
#[test]
fn iperf3_inside_a_node_stays_inside_the_node() {
    let plan = Plan::new("iperf")
        .pod(PodPlan::new("iperf3", "iperf3-client", "a1"))
        .pod(PodPlan::new("iperf3", "iperf3-server", "a1"))
        .pod(PodPlan::new("default", "bystander", "b1"));
    let lab = Lab::raise(plan).unwrap();
    let mut agents = agents(&lab);
    let client = lab.pod("iperf3/iperf3-client").unwrap();
    let server = lab.pod("iperf3/iperf3-server").unwrap();
    let report = traffic::iperf3(
        client.namespace(),
        server.namespace(),
        server.address(),
        Duration::from_secs(5),
    )
    .unwrap();
    let shown = oracle::wait_exact(&lab, &mut agents, &[]).unwrap();
    let sent: u64 = shown
        .iter()
        .filter(|(series, _)| series.pod == client.key() && series.direction == "transmit")
        .map(|(_, count)| count.bytes)
        .sum();
    assert!(
        sent > report.sent_bytes,
        "{sent} with headers, {} without",
        report.sent_bytes
    );
    assert!(
        shown.keys().all(|series| series.scope == "intra_node"),
        "{shown:?}"
    );
}
