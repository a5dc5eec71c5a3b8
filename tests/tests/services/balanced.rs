//! Several backends of one Service: each gets the bytes that it really got.

use std::{net::SocketAddr, time::Duration};

use zonemeter_lab::{Record, traffic};

use crate::{
    cluster::{Cluster, PORT, TARGET, service_address},
    moved::{self, Bytes, Methods},
    party::{Named, Party, pod, tcp_arrived},
    path::{self, Legs},
};

const BACKENDS: [&str; 3] = ["near", "zone", "far"];
const CLIENT: Party = Party::Pod("client");
const CONNECTIONS: usize = 40;
/// The Service whose clients stay with the backend that they had first.
pub(crate) const STICKY: u8 = 29;
/// The Service whose backends get equal shares.
pub(crate) const SPREAD: u8 = 30;

/// Calls the Service from `client`, again and again, and waits until the metrics of all nodes
/// show for each backend what went over the wire. Returns how many backends were called.
pub(crate) fn call(cluster: &mut Cluster, service: u8) -> (usize, Methods) {
    let before = arrived(cluster);
    let servers = BACKENDS.map(|name| {
        let inside = pod(&cluster.lab, name).namespace().clone();
        traffic::http_server(&inside, TARGET, Duration::from_secs(60)).unwrap()
    });
    let client = pod(&cluster.lab, "client");
    let asked = SocketAddr::new(service_address(cluster.family, service), PORT);
    for index in 0..CONNECTIONS {
        traffic::http_get(client.namespace(), asked, 1000 * index).unwrap();
    }
    drop(servers);
    let moved = moved::wait(cluster, "several backends", |cluster| {
        expected(cluster, &before)
    });
    let called = BACKENDS.iter().zip(arrived(cluster)).zip(before);
    let called = called.filter(|((_, now), before)| now.up > before.up);
    (called.count(), moved.methods)
}

fn expected(cluster: &Cluster, before: &[Legs; 3]) -> Bytes {
    let mut bytes = Bytes::new();
    for ((name, now), before) in BACKENDS.iter().zip(arrived(cluster)).zip(before) {
        let legs = Legs {
            up: now.up - before.up,
            down: now.down - before.down,
        };
        let ends = [
            (CLIENT, Named::Pod(name)),
            (Party::Pod(name), Named::Pod("client")),
        ];
        path::add(&mut bytes, cluster, ends, legs);
    }
    bytes
}

/// What has arrived over wires at each backend and from each backend. The client's own counter
/// sees the Service's address only: those of other nodes are told apart at their uplinks, and the
/// one on the client's node has the rest.
fn arrived(cluster: &Cluster) -> [Legs; 3] {
    let lab = &cluster.lab;
    let uplinks = lab.uplink_truth().unwrap();
    let client = cluster.address(CLIENT);
    let down = ["zone", "far"].map(|name| {
        let backend = cluster.address(Party::Pod(name));
        let wanted = |record: &Record| (record.source, record.destination) == (backend, client);
        tcp_arrived(&uplinks, wanted).bytes
    });
    let all = CLIENT.tcp_arrived(lab).unwrap().bytes;
    // Less than nothing only while packets are under way.
    let near = all.saturating_sub(down[0] + down[1]);
    let down = [near, down[0], down[1]];
    [0, 1, 2].map(|index| Legs {
        up: Party::Pod(BACKENDS[index]).tcp_arrived(lab).unwrap().bytes,
        down: down[index],
    })
}
