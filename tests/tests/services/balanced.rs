//! Several backends of one Service: each gets the bytes that it really got.

use std::{net::SocketAddr, thread, time::Duration};

use zonemeter_lab::{Family, KubeProxy, traffic};

use crate::{
    cluster::{Cluster, PORT, TARGET, service_address},
    moved::Reading,
    party::{Party, pod},
};

const BACKENDS: [&str; 3] = ["near", "zone", "far"];
const CONNECTIONS: usize = 40;

/// With session affinity one backend gets all.
#[test]
fn every_backend_of_a_service_is_named_with_its_own_bytes() {
    for (mode, name) in [
        (KubeProxy::Iptables, "services-many-i"),
        (KubeProxy::Nftables, "services-many-n"),
    ] {
        let mut cluster = Cluster::raise(name, mode, Family::V4);
        assert_eq!(
            busy_backends(&mut cluster, 30),
            BACKENDS.len(),
            "equal shares"
        );
        assert_eq!(busy_backends(&mut cluster, 29), 1, "session affinity");
    }
}

/// Calls the Service from `client`; returns how many backends were called, by what arrived there.
fn busy_backends(cluster: &mut Cluster, service: u8) -> usize {
    let before = Reading::take(&mut cluster.agents, cluster.family);
    let truth_before = arrived(cluster);
    let servers: Vec<_> = BACKENDS
        .iter()
        .map(|name| {
            let inside = pod(&cluster.lab, name).namespace().clone();
            traffic::http_server(&inside, TARGET, Duration::from_secs(60)).unwrap()
        })
        .collect();
    let client = pod(&cluster.lab, "client");
    let asked = SocketAddr::new(service_address(cluster.family, service), PORT);
    for index in 0..CONNECTIONS {
        traffic::http_get(client.namespace(), asked, 1000 * index).unwrap();
    }
    drop(servers);
    // The last acknowledgements follow the last byte of the answer.
    thread::sleep(Duration::from_millis(300));
    let now = Reading::take(&mut cluster.agents, cluster.family);
    let moved = now.since(&before);
    let of = |workload: &str, direction: &str, peer: &str| -> u64 {
        let found = moved.iter().filter(|(series, _)| {
            (&*series.workload, series.direction, &*series.labels.peer)
                == (workload, direction, peer)
        });
        found.map(|(_, bytes)| bytes).sum()
    };
    let truth = arrived(cluster);
    let mut busy = 0;
    for (index, name) in BACKENDS.iter().enumerate() {
        let wire = truth[index] - truth_before[index];
        assert_eq!(of("client", "transmit", name), wire, "{name}: {moved:#?}");
        assert_eq!(of(name, "receive", "client"), wire, "{name}: {moved:#?}");
        assert_eq!(
            of("client", "receive", name),
            of(name, "transmit", "client"),
            "{name}"
        );
        busy += usize::from(wire > 0);
    }
    busy
}

fn arrived(cluster: &Cluster) -> [u64; 3] {
    BACKENDS.map(|name| Party::Pod(name).tcp_arrived(&cluster.lab).unwrap().bytes)
}
