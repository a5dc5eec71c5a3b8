//! Clusters of other families than IPv4, their objects in a real API server: every byte to the
//! wire, in the right scope and zone.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::net::{IpAddr, SocketAddr};

use zonemeter_lab::{
    Family, Lab, Namespace, Plan, Pod, PodPlan, Source, Space, oracle,
    traffic::{self, Datagrams},
};

const PEERS: [&str; 3] = [
    "default/same-node",
    "default/same-zone",
    "default/other-zone",
];

fn exercise(client: &Pod, server: &Namespace, address: IpAddr) {
    let inside = client.namespace();
    traffic::tcp_transfer(inside, server, address, 0, 1_000_000).unwrap();
    let to = SocketAddr::new(address, 7000);
    traffic::udp_send(inside, server, to, Datagrams::new(100, 1000)).unwrap();
    traffic::ping(inside, address, 2).unwrap();
}

/// Every pod of the lab has `families`, and IPv4 egress where that is what it lacks.
fn cluster(name: &str, family: Family, space: Space) -> Plan {
    let pod = |name: &str, node: &str, host: u8| {
        let plan = PodPlan::new("default", name, node);
        match family {
            Family::V6 => plan.ipv4_egress(host),
            Family::V4 | Family::Dual => plan,
        }
    };
    Plan::new(name)
        .source(Source::Api)
        .family(family)
        .space(space)
        .pod(pod("a", "a1", 2))
        .pod(pod("same-node", "a1", 3))
        .pod(pod("same-zone", "a2", 2))
        .pod(pod("other-zone", "b1", 2))
}

/// One pod to all kinds of peers in every family, the internet in both; each pod to the internet
/// by IPv4, from addresses that are the same on every node where it has none of its own.
fn is_exact(plan: Plan) {
    let lab = Lab::raise(plan).unwrap();
    let mut agents = lab
        .start_agents(|agent| agent.flag("--interval", "100ms"))
        .unwrap();
    let client = lab.pod("default/a").unwrap();
    for peer in PEERS.map(|key| lab.pod(key).unwrap()) {
        for address in peer.addresses() {
            exercise(&client, peer.namespace(), *address);
        }
    }
    let mut internet = vec![(client.clone(), lab.internet_host_v6(0))];
    for (index, pod) in lab.pods().iter().enumerate() {
        internet.push((pod.clone(), IpAddr::from([35, 92, 124, 10 + index as u8])));
    }
    for (pod, host) in &internet {
        exercise(pod, lab.internet(), *host);
    }
    let shown = oracle::wait_exact(&lab, &mut agents, &internet).unwrap();
    let each = client.addresses().len() as u64 * 1_102_800;
    let expected = [
        ("intra_node", "us-east-2a", each),
        ("intra_zone", "us-east-2a", each),
        ("cross_zone", "us-east-2b", each),
        ("internet", "", 2 * 1_102_800),
    ];
    for (scope, peer_zone, payload) in expected {
        let series = shown.iter().filter(|(series, _)| {
            (&*series.pod, &*series.scope) == ("default/a", scope)
                && (&*series.direction, &*series.peer_zone) == ("transmit", peer_zone)
        });
        let bytes: u64 = series.map(|(_, count)| count.bytes).sum();
        assert!(bytes > payload, "{scope} {peer_zone}: {bytes}");
    }
    for agent in &agents {
        oracle::check_families(&agent.scrape().unwrap()).unwrap();
    }
}

#[test]
fn an_ipv6_cluster_of_unique_local_addresses_is_exact() {
    is_exact(cluster("v6-local", Family::V6, Space::UniqueLocal));
}

#[test]
fn an_ipv6_cluster_of_global_addresses_is_exact() {
    is_exact(cluster("v6-global", Family::V6, Space::Global));
}

#[test]
fn a_dual_stack_cluster_is_exact() {
    is_exact(cluster("dual", Family::Dual, Space::Global));
}
