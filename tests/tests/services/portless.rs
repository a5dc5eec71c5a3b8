//! Packets of a Service without ports of their own: ICMP errors, and fragments after the first.

use std::net::SocketAddr;

use zonemeter_lab::{
    Family, KubeProxy,
    traffic::{self, Datagrams, Exchange},
};

use crate::{
    cluster::{Cluster, PORT, TARGET, service_address},
    moved::{self, Bytes, Reading, Series},
    party::{Named, pod},
};

const FAR: u8 = 23;

/// What `client` and `far` must have sent to each other.
fn between(cluster: &Cluster, up: u64, down: u64) -> Bytes {
    let mut bytes = Bytes::new();
    for (name, home, peer, [sent, received]) in [
        ("client", "a1", "far", [up, down]),
        ("far", "b1", "client", [down, up]),
    ] {
        for (direction, count) in [("transmit", sent), ("receive", received)] {
            let labels = Named::Pod(peer).labels(&cluster.lab, home);
            let workload = name.to_owned();
            bytes.insert(
                Series {
                    workload,
                    direction,
                    labels,
                },
                count,
            );
        }
    }
    bytes
}

fn asked(cluster: &Cluster) -> SocketAddr {
    SocketAddr::new(service_address(cluster.family, FAR), PORT)
}

/// Nobody listens at the backend, so it answers with "port unreachable" and as much of the
/// datagram as fits: into 576 bytes in IPv4 (RFC 1812, 4.3.2.3), into 1280 in IPv6 (RFC 4443,
/// 2.4), where all of it does.
#[test]
fn an_icmp_error_comes_from_the_backend_that_made_it() {
    for (family, sent, error) in [(Family::V4, 1028, 576), (Family::V6, 1048, 1048 + 48)] {
        let name = if family.has_v4() {
            "services-icmp4"
        } else {
            "services-icmp6"
        };
        let mut cluster = Cluster::raise(name, KubeProxy::Iptables, family);
        let before = Reading::take(&mut cluster.agents, family);
        let client = pod(&cluster.lab, "client");
        for _ in 0..3 {
            let what = Datagrams::new(1, 1000);
            traffic::udp_send_only(client.namespace(), asked(&cluster), what).unwrap();
        }
        let expected = between(&cluster, 3 * sent, 3 * error);
        moved::wait(&mut cluster, &before, &expected, "ICMP errors");
    }
}

/// Three fragments each way: 1480, 1480 and what is left of payload and UDP header, with an IP
/// header of 20 bytes on each.
#[test]
fn fragments_go_where_their_datagram_goes() {
    let mut cluster = Cluster::raise("services-frag", KubeProxy::Iptables, Family::V4);
    let before = Reading::take(&mut cluster.agents, cluster.family);
    let (client, far) = (pod(&cluster.lab, "client"), pod(&cluster.lab, "far"));
    let what = Exchange {
        count: 10,
        request: 4000,
        answer: 3000,
    };
    let any = |port| SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), port);
    traffic::udp_exchange(
        (client.namespace(), any(0)),
        asked(&cluster),
        (far.namespace(), any(TARGET)),
        what,
    )
    .unwrap();
    let expected = between(&cluster, 10 * (4008 + 60), 10 * (3008 + 60));
    moved::wait(&mut cluster, &before, &expected, "fragments");
}
