//! One node's drain, totals and address book, small enough to add up by hand.

use std::{
    net::IpAddr,
    time::{Duration, UNIX_EPOCH},
};

use serde_json::json;
use zonemeter_model::{
    cluster::{Name, Workload},
    recent::{
        Answered, Asked, Evidence, Explanation, FoundBy, Match, Party, RecentInterface,
        ResolvedFlow, Source,
    },
    snapshot::{PodLabels, PodSeries, Scope, Via, WorkloadLabels, WorkloadSeries},
    traffic::{Count, Direction},
};

use super::super::*;

fn party(namespace: &str, pod: &str, kind: &str, workload: &str, zone: &str) -> Arc<Party> {
    Arc::new(Party {
        namespace: namespace.into(),
        pod: pod.into(),
        workload: Workload {
            kind: kind.into(),
            name: workload.into(),
        },
        node: "node-a".into(),
        zone: zone.into(),
    })
}

fn count(bytes: u64) -> Count {
    Count {
        bytes,
        packets: bytes / 100,
    }
}

/// `client-0` speaks to a server through a Service (400 bytes out, 6000 in) and to an address of
/// the internet (1000 out, 20 in).
fn recent() -> Recent {
    let client = party("shop", "client-0", "Deployment", "client", "us-east-2a");
    let server = party("data", "db-0", "StatefulSet", "db", "us-east-2b");
    let nobody = party("", "", "", "", "");
    let flow = |direction, peer: &Arc<Party>, address: &str, port, scope, bytes| ResolvedFlow {
        interface: 7,
        direction,
        local: Arc::clone(&client),
        local_address: "10.0.1.1".parse().unwrap(),
        local_port: 0,
        peer: Arc::clone(peer),
        peer_address: address.parse().unwrap(),
        peer_port: port,
        other_ports: false,
        service: (port == 5432).then(|| Name {
            namespace: "data".into(),
            name: "db".into(),
        }),
        protocol: 6,
        scope,
        via: Via::Unset,
        pending: false,
        count: count(bytes),
    };
    let [transmit, receive] = Direction::ALL;
    Recent {
        ended: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        lasted: Duration::from_secs(4),
        recorded: true,
        flows: vec![
            flow(
                transmit,
                &nobody,
                "198.51.100.7",
                443,
                Scope::Internet,
                1000,
            ),
            flow(receive, &server, "10.0.2.2", 5432, Scope::CrossZone, 6000),
            flow(transmit, &server, "10.0.2.2", 5432, Scope::CrossZone, 400),
            flow(receive, &nobody, "198.51.100.7", 443, Scope::Internet, 20),
        ],
        interfaces: ["eni2", "eni1"].map(interface).into(),
        overflow: [count(0), count(200)],
    }
}

fn interface(name: &str) -> RecentInterface {
    let client = Name {
        namespace: "shop".into(),
        name: "client-0".into(),
    };
    RecentInterface {
        index: 7,
        name: name.into(),
        pod: Some((client, FoundBy::Name)),
        seen: [count(1400), count(6020)],
        before_attach: [count(100), count(0)],
        lacks: None,
    }
}

fn snapshot() -> Snapshot {
    let pod = |pod: &str, direction, scope, peer_zone: &str, bytes| PodSeries {
        labels: PodLabels {
            namespace: "shop".into(),
            pod: pod.into(),
            zone: "us-east-2a".into(),
            direction,
            scope,
            peer_zone: peer_zone.into(),
            via: Via::Unset,
        },
        count: count(bytes),
        created: UNIX_EPOCH,
    };
    let workload = |peer: &str, direction, bytes| WorkloadSeries {
        labels: WorkloadLabels {
            namespace: "shop".into(),
            workload: party("", "", "Deployment", "client", "").workload.clone(),
            zone: "us-east-2a".into(),
            direction,
            scope: Scope::CrossZone,
            peer_namespace: "data".into(),
            peer_workload: party("", "", "StatefulSet", peer, "").workload.clone(),
            peer_zone: "us-east-2b".into(),
            via: Via::Unset,
        },
        bytes,
        own: count(bytes),
        created: UNIX_EPOCH,
    };
    let [transmit, receive] = Direction::ALL;
    Snapshot {
        pods: vec![
            pod("client-0", transmit, Scope::CrossZone, "us-east-2b", 100),
            pod("client-1", transmit, Scope::CrossZone, "us-east-2b", 200),
            pod("client-1", receive, Scope::CrossZone, "us-east-2b", 400),
            pod("client-1", receive, Scope::Internet, "", 800),
        ],
        workloads: vec![
            workload("db", transmit, 10),
            workload("cache", transmit, 20),
            workload("cache", receive, 40),
        ],
        ..Snapshot::default()
    }
}

/// A state whose address book knows 10.0.1.1 and answers nothing about other addresses.
pub(super) fn state() -> State {
    let (_, snapshots) = watch::channel(Arc::new(snapshot()));
    let (_, recent) = watch::channel(Arc::new(recent()));
    let (questions, mut asked) = mpsc::channel::<Question>(1);
    tokio::spawn(async move {
        while let Some(Question { asked, answer }) = asked.recv().await {
            let address = "10.0.1.1".parse().unwrap();
            let kind = match asked {
                Asked::Address(asked) if asked == address => "",
                Asked::Name(name) if name == "shop/client-0" => "Pod",
                Asked::Address(_) | Asked::Name(_) => continue,
            };
            answer.send(answered(kind, address)).unwrap();
        }
    });
    State {
        config: Arc::new(json!({ "interval": "5s" })),
        standing: Arc::new(standing),
        ..State::new(snapshots, recent, questions)
    }
}

fn standing() -> Standing {
    Standing {
        ready: true,
        alive: true,
        missing: vec!["networks_file: none (for 3 s)".to_owned()],
        uncounted_pods: 2,
    }
}

fn answered(kind: &str, address: IpAddr) -> Answered {
    Answered {
        node: "node-a".into(),
        zone: "us-east-2a".into(),
        total: 1,
        matches: vec![Match {
            kind: kind.into(),
            namespace: "shop".into(),
            name: "client-0".into(),
            addresses: 1,
            explained: vec![explanation(address)],
        }],
    }
}

fn explanation(address: IpAddr) -> Explanation {
    Explanation {
        address,
        scope: Scope::IntraNode,
        via: Via::Unset,
        rule: "a pod of this node, or this node itself".to_owned(),
        party: (*party("shop", "client-0", "Deployment", "client", "us-east-2a")).clone(),
        evidence: vec![
            Evidence {
                source: Source::Pod,
                says: "shop/client-0 on node-a".to_owned(),
                age: Some(Duration::from_secs(90)),
                decides: true,
            },
            Evidence {
                source: Source::SpecialRange,
                says: "10.0.0.0/8 private".to_owned(),
                age: None,
                decides: false,
            },
        ],
    }
}
