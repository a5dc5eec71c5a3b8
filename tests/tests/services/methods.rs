//! With a method switched off the next one takes over, and the counters say so.

use std::net::SocketAddr;

use zonemeter_lab::{Family, KubeProxy, Zone};

use crate::{
    cluster::{Cluster, PORT, service_address},
    party::{Named, Party},
    path::{Path, What},
    paths::path,
};

/// The Service of which all backends are in zone B, and the one whose backends are everywhere.
const FAR: u8 = 23;
const SPREAD: u8 = 30;

#[test]
fn with_a_method_switched_off_the_next_takes_over() {
    let mut cluster = Cluster::raise("services-methods", KubeProxy::Iptables, Family::V4);
    let far = Named::Pod("far");
    let far_as_service = Named::ServiceIn("far", Zone::B);
    let unresolved = Named::Service("far");
    for (methods, named, what, counted) in [
        (
            "conntrack-table,endpoint-slices",
            far,
            What::Both,
            "conntrack_table",
        ),
        (
            "endpoint-slices",
            far_as_service,
            What::Both,
            "endpoint_slices",
        ),
        (
            "packet,endpoint-slices",
            far_as_service,
            What::OneWay,
            "endpoint_slices",
        ),
        ("packet", unresolved, What::OneWay, "none"),
        (
            "packet,conntrack-table",
            far,
            What::OneWay,
            "conntrack_table",
        ),
    ] {
        cluster.name_backends_by(methods);
        let shown = to("far", FAR)
            .names(named, Named::Pod("client"))
            .carries(what)
            .take(&mut cluster);
        let by: Vec<&String> = shown.methods.keys().collect();
        assert_eq!(by, [counted], "{methods}: {:?}", shown.methods);
    }
}

/// Endpoints in several zones say nothing of where a flow went.
#[test]
fn endpoints_in_several_zones_leave_a_flow_unresolved() {
    let mut cluster = Cluster::raise("services-spread", KubeProxy::Nftables, Family::V4);
    cluster.name_backends_by("endpoint-slices");
    // The port is one that no backend listens on, so that nobody answers, whoever gets it.
    let before = crate::moved::Reading::take(&mut cluster.agents, cluster.family);
    let client = crate::party::pod(&cluster.lab, "client");
    let what = zonemeter_lab::traffic::Datagrams::new(1, 1000);
    zonemeter_lab::traffic::udp_send_only(client.namespace(), asked(SPREAD), what).unwrap();
    let metrics = cluster.agents[0].settled().unwrap();
    let labels = [
        ("pod", "client"),
        ("scope", "unresolved_service"),
        ("direction", "transmit"),
    ];
    assert_eq!(metrics.sum("zonemeter_pod_bytes_total", &labels), 1028);
    let now = crate::moved::Reading::take(&mut cluster.agents, cluster.family);
    let methods = now.methods_since(&before);
    assert_eq!(methods.keys().collect::<Vec<_>>(), ["none"], "{methods:?}");
}

fn to(name: &'static str, service: u8) -> Path {
    path(
        "pod → ClusterIP",
        Party::Pod("client"),
        asked(service),
        Party::Pod(name),
    )
}

fn asked(service: u8) -> SocketAddr {
    SocketAddr::new(service_address(Family::V4, service), PORT)
}
