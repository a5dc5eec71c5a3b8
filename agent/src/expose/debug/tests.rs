//! The debug routes from the outside: requests in, JSON out.

use std::time::{Duration, UNIX_EPOCH};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::model::{
    cluster::{Name, Workload},
    recent::{Evidence, Party, RecentInterface, ResolvedFlow, Source},
    snapshot::{PodLabels, PodSeries, Scope, WorkloadLabels, WorkloadSeries},
    traffic::{Count, Direction},
};

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
        service: (port == 5432).then(|| Name {
            namespace: "data".into(),
            name: "db".into(),
        }),
        protocol: 6,
        scope,
        pending: false,
        count: count(bytes),
    };
    let [transmit, receive] = Direction::ALL;
    Recent {
        ended: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        lasted: Duration::from_secs(4),
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
    }
}

fn interface(name: &str) -> RecentInterface {
    RecentInterface {
        index: 7,
        name: name.into(),
        pod: Some(Name {
            namespace: "shop".into(),
            name: "client-0".into(),
        }),
        seen: [count(1400), count(6020)],
        overflow: [count(0), count(200)],
        before_attach: [count(100), count(0)],
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
        },
        bytes,
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
fn state() -> State {
    let (_, snapshots) = watch::channel(Arc::new(snapshot()));
    let (_, recent) = watch::channel(Arc::new(recent()));
    let (questions, mut asked) = mpsc::channel::<Question>(1);
    tokio::spawn(async move {
        while let Some(Question { address, answer }) = asked.recv().await {
            if address == "10.0.1.1".parse::<IpAddr>().unwrap() {
                answer.send(explanation(address)).unwrap();
            }
        }
    });
    State {
        snapshots,
        recent,
        questions,
        config: Arc::new(json!({ "interval": "5s" })),
    }
}

fn explanation(address: IpAddr) -> Explanation {
    Explanation {
        address,
        scope: Scope::IntraNode,
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

async fn get_from(host: &str, path: &str) -> (StatusCode, Vec<u8>) {
    let request = Request::get(path)
        .header("host", host)
        .body(Body::empty())
        .unwrap();
    let response = router(state()).oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, body.to_vec())
}

async fn get_json(path: &str) -> (StatusCode, Value) {
    let (status, body) = get_from("127.0.0.1:9465", path).await;
    (status, serde_json::from_slice(&body).unwrap())
}

/// Peer addresses of the answered flows, in their order.
async fn peers(query: &str) -> Vec<String> {
    let (status, answer) = get_json(&format!("/api/flows{query}")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let flows = answer["flows"].as_array().unwrap().iter();
    flows
        .map(|flow| flow["peer"]["address"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_conversation_has_both_directions_in_one_row() {
    let (_, answer) = get_json("/api/flows?limit=1").await;
    let expected = json!({
        "drained_unix_seconds": 1_700_000_000.0,
        "seconds": 4.0,
        "matched": 2,
        "flows": [{
            "local": {
                "namespace": "shop", "pod": "client-0", "workload": "client",
                "workload_kind": "Deployment", "node": "node-a", "zone": "us-east-2a",
                "address": "10.0.1.1", "port": 0,
            },
            "peer": {
                "namespace": "data", "pod": "db-0", "workload": "db",
                "workload_kind": "StatefulSet", "node": "node-a", "zone": "us-east-2b",
                "address": "10.0.2.2", "port": 5432,
            },
            "service": "data/db",
            "protocol": "tcp",
            "scope": "cross_zone",
            "pending": false,
            "transmit": { "bytes": 400, "packets": 4, "bytes_per_second": 100.0 },
            "receive": { "bytes": 6000, "packets": 60, "bytes_per_second": 1500.0 },
        }],
    });
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn flows_are_sorted_and_filtered() {
    let (server, internet) = ("10.0.2.2", "198.51.100.7");
    for (query, expected) in [
        ("", vec![server, internet]),
        ("?sort=transmit", vec![internet, server]),
        ("?sort=receive", vec![server, internet]),
        ("?scope=internet", vec![internet]),
        (
            "?namespace=shop&pod=client-0&limit=10000",
            vec![server, internet],
        ),
        ("?namespace=data", vec![]),
        ("?peer=db", vec![server]),
        ("?peer=data/db-0", vec![server]),
        ("?peer=198.51.100.7", vec![internet]),
        ("?scope=&peer=", vec![server, internet]),
    ] {
        assert_eq!(peers(query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_bad_parameter_is_named_with_what_is_accepted() {
    for (path, error) in [
        (
            "/api/flows?limit=0",
            "limit=0: accepted is a number from 1 to 10000",
        ),
        (
            "/api/flows?limit=many",
            "limit=many: accepted is a number from 1 to 10000",
        ),
        (
            "/api/flows?sort=up",
            "sort=up: accepted is transmit, receive or total",
        ),
        (
            "/api/flows?scope=far",
            "scope=far: accepted is one of intra_node, intra_zone, cross_zone, vpc, peered, \
             aws_service, internet, link_local, unresolved_service, unknown",
        ),
        (
            "/api/flows?pods=x",
            "pods=x: accepted is a parameter of limit, sort, scope, namespace, pod, peer",
        ),
        (
            "/api/flows?pod=a&pod=b",
            "pod=b: accepted is each parameter once",
        ),
        ("/api/zones?zone=x", "zone=x: accepted is no parameter"),
        (
            "/api/explain",
            "address=: accepted is an IPv4 or IPv6 address",
        ),
        (
            "/api/explain?address=db",
            "address=db: accepted is an IPv4 or IPv6 address",
        ),
    ] {
        let (status, answer) = get_json(path).await;
        assert_eq!(
            (status, answer["error"].as_str()),
            (StatusCode::BAD_REQUEST, Some(error))
        );
    }
}

#[tokio::test]
async fn zones_add_up_over_pods() {
    let row = |peer_zone: &str, scope: &str, transmit: u64, receive: u64| {
        json!({
            "zone": "us-east-2a", "peer_zone": peer_zone, "scope": scope,
            "transmit": { "bytes": transmit, "packets": transmit / 100 },
            "receive": { "bytes": receive, "packets": receive / 100 },
        })
    };
    let (_, answer) = get_json("/api/zones").await;
    let expected = [
        row("", "internet", 0, 800),
        row("us-east-2b", "cross_zone", 300, 400),
    ];
    assert_eq!(answer, json!({ "zones": expected }));
}

#[tokio::test]
async fn workloads_add_up_over_peers() {
    let (_, answer) = get_json("/api/workloads").await;
    let scope = json!({ "scope": "cross_zone", "transmit_bytes": 30, "receive_bytes": 40 });
    let expected = json!({ "workloads": [{
        "namespace": "shop", "workload": "client", "workload_kind": "Deployment",
        "scopes": [scope],
    }]});
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn interfaces_are_sorted_by_name() {
    let (_, answer) = get_json("/api/interfaces").await;
    let names: Vec<_> = answer["interfaces"].as_array().unwrap().iter().collect();
    assert_eq!([&names[0]["name"], &names[1]["name"]], ["eni1", "eni2"]);
    assert_eq!(names[0]["pod"], "client-0");
    assert_eq!(names[0]["receive"]["bytes_per_second"], 1505.0);
    assert_eq!(
        names[0]["receive_overflow"],
        json!({ "bytes": 200, "packets": 2 })
    );
    assert_eq!(
        names[0]["transmit_before_attach"],
        json!({ "bytes": 100, "packets": 1 })
    );
}

#[tokio::test]
async fn an_address_is_explained_by_the_book() {
    let (status, answer) = get_json("/api/explain?address=10.0.1.1").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["scope"], "intra_node");
    assert_eq!(answer["holder"]["pod"], "client-0");
    let evidence = json!([
        { "source": "Pod", "says": "shop/client-0 on node-a", "age_seconds": 90.0, "decides": true },
        { "source": "special_range", "says": "10.0.0.0/8 private", "age_seconds": null, "decides": false },
    ]);
    assert_eq!(answer["evidence"], evidence);
}

#[tokio::test]
async fn a_book_that_does_not_answer_is_said() {
    let (status, answer) = get_json("/api/explain?address=10.9.9.9").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .starts_with("address=10.9.9.9: no answer")
    );
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let (status, body) = get_from("localhost:9465", "/").await;
    assert_eq!(status, StatusCode::OK);
    let page = String::from_utf8(body).unwrap();
    assert!(page.contains("<title>zonemeter</title>"));
    for foreign in ["http://", "https://", "src=", "<link"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[tokio::test]
async fn other_names_and_paths_are_refused() {
    let (status, _) = get_from("rebound.example:9465", "/api/flows").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, answer) = get_json("/api/flow").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .starts_with("path=/api/flow: accepted is /")
    );
    let (status, config) = get_json("/api/config").await;
    assert_eq!(
        (status, config),
        (StatusCode::OK, json!({ "interval": "5s" }))
    );
}
