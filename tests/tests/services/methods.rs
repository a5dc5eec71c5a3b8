//! With a method switched off the next one takes over, and the counters say so.

use std::net::SocketAddr;

use zonemeter_lab::{
    Agent, Family, KubeProxy, Zone,
    traffic::{self, Datagrams},
};

use crate::{
    balanced::SPREAD,
    cluster::{Cluster, PORT, service_address},
    moved::{self, Bytes, Methods},
    party::{Named, Party, pod},
    path::{self, Legs, What},
    paths::path,
};

/// The Service of which all backends are in zone B.
const FAR: u8 = 23;
const CLIENT: Party = Party::Pod("client");

#[test]
fn with_a_method_switched_off_the_next_takes_over() {
    let mut cluster = Cluster::raise("services-methods", KubeProxy::Iptables, Family::V4);
    let far = Named::Pod("far");
    let as_service = Named::ServiceIn("far", Zone::B);
    let unresolved = Named::Service("far");
    let all = ask(&mut cluster, What::Both, far);
    let most = all.iter().max_by_key(|(_, bytes)| **bytes);
    assert_eq!(most.unwrap().0, "packet", "{all:?}");
    for (methods, what, named, counted) in [
        (
            "conntrack-table,endpoint-slices",
            What::Both,
            far,
            "conntrack_table",
        ),
        // Nobody answers, so no packet to the pod carries a connection.
        (
            "packet,conntrack-table",
            What::OneWay,
            far,
            "conntrack_table",
        ),
        (
            "packet,endpoint-slices",
            What::OneWay,
            as_service,
            "endpoint_slices",
        ),
        ("packet", What::OneWay, unresolved, "none"),
        ("endpoint-slices", What::Both, as_service, "endpoint_slices"),
    ] {
        cluster.name_backends_by(methods);
        let shown = ask(&mut cluster, what, named);
        let by: Vec<&String> = shown.keys().collect();
        assert_eq!(by, [counted], "{methods}: {shown:?}");
        assert_eq!(enabled(&cluster), methods);
    }
    endpoints_in_two_zones_name_nobody(&mut cluster);
    cluster.hide_types();
    let shown = ask(&mut cluster, What::Both, far);
    let by: Vec<&String> = shown.keys().collect();
    assert_eq!(by, ["conntrack_table"], "without BTF: {shown:?}");
    assert_eq!(enabled(&cluster), "conntrack-table,endpoint-slices");
}

/// The methods in use by the metrics of every agent, as the flag has them.
fn enabled(cluster: &Cluster) -> String {
    let name = "zonemeter_backend_method_enabled";
    let of = |agent: &Agent| {
        let metrics = agent.scrape().unwrap();
        ["packet", "conntrack_table", "endpoint_slices"]
            .into_iter()
            .filter(|method| metrics.sum(name, &[("method", method)]) == 1)
            .map(|method| method.replace('_', "-"))
            .collect::<Vec<_>>()
            .join(",")
    };
    let mut all = cluster.agents.iter().map(of);
    let first = all.next().unwrap();
    all.for_each(|other| assert_eq!(other, first));
    first
}

fn ask(cluster: &mut Cluster, what: What, named: Named) -> Methods {
    let path = path("methods", CLIENT, asked(FAR), Party::Pod("far"));
    let path = path.names(named, Named::Pod("client")).carries(what);
    path.take(cluster).methods
}

/// Endpoints in several zones say nothing of where a flow went. The datagram is the only one of
/// its flow, and the answer to it an error of a backend where nobody listens.
fn endpoints_in_two_zones_name_nobody(cluster: &mut Cluster) {
    let client = pod(&cluster.lab, "client");
    let what = Datagrams::new(1, 1000);
    traffic::udp_send_only(client.namespace(), asked(SPREAD), what).unwrap();
    let moved = moved::wait(cluster, "endpoints in two zones", |cluster| {
        let backend = ["near", "zone", "far"]
            .into_iter()
            .find(|name| got_a_datagram(cluster, name));
        let mut bytes = Bytes::new();
        if let Some(backend) = backend {
            let ends = [
                (CLIENT, Named::Service("spread")),
                (Party::Pod(backend), Named::Pod("client")),
            ];
            let legs = Legs {
                up: 1028,
                down: 576,
            };
            path::add(&mut bytes, cluster, ends, legs);
        }
        bytes
    });
    let by: Vec<&String> = moved.methods.keys().collect();
    assert_eq!(by, ["none"], "{:?}", moved.methods);
}

/// Whether the datagram came here: the only flow of one packet of these bytes.
fn got_a_datagram(cluster: &Cluster, name: &str) -> bool {
    let truth = cluster.lab.pod_truth(&pod(&cluster.lab, name)).unwrap();
    let mut flows = truth.flows.iter();
    flows.any(|flow| flow.protocol == 17 && (flow.count.packets, flow.count.bytes) == (1, 1028))
}

fn asked(service: u8) -> SocketAddr {
    SocketAddr::new(service_address(Family::V4, service), PORT)
}
