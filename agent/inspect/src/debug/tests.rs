//! The debug routes from the outside: requests in, JSON out.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use self::example::state;
use super::*;

mod example;
mod speed;

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
            "other_ports": false,
            "protocol": "tcp",
            "scope": "cross_zone",
            "via": "",
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
        ("?search=10.0.2.0/24", vec![server]),
        ("?search=data/d", vec![server]),
        ("?search=client&limit=1", vec![server]),
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
            "scope=far: accepted is one of intra_node, intra_zone, cross_zone, \
             cross_region, vpc, peered, aws_service, internet, link_local, unresolved_service, unknown",
        ),
        (
            "/api/flows?pods=x",
            "pods=x: accepted is a parameter of limit, sort, scope, namespace, pod, peer, search",
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
        (
            "/api/explain?address=10.0.0.1&what=db",
            "what=db: accepted is address or what, not both",
        ),
        (
            "/api/pairs?window=2m",
            "window=2m: accepted is 1m, 5m, 1h or start",
        ),
        (
            "/api/pairs?sort=up",
            "sort=up: accepted is dollars, total, transmit, receive or name",
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
        answer["receive_overflow"],
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
async fn a_name_is_explained_by_what_has_it() {
    let (status, answer) = get_json("/api/explain?what=shop/client-0").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&answer["node"], &answer["total"]),
        (&json!("node-a"), &json!(1))
    );
    let found = &answer["matches"][0];
    assert_eq!(
        (&found["kind"], &found["name"]),
        (&json!("Pod"), &json!("client-0"))
    );
    let explained = &found["explained"][0];
    assert_eq!(explained["rule"], "a pod of this node, or this node itself");
    assert_eq!(explained["prices"], Value::Null);
    let (_, answer) = get_json("/api/explain?what=10.0.1.1").await;
    assert_eq!(answer["matches"][0]["explained"][0]["scope"], "intra_node");
}

#[tokio::test]
async fn health_has_the_sums_and_what_is_missing() {
    let (status, answer) = get_json("/api/health").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["missing"], json!(["networks_file: none (for 3 s)"]));
    assert_eq!(
        (&answer["uncounted_pods"], &answer["counted_pods"]),
        (&json!(2), &json!(1))
    );
    let [transmit, receive] = [&answer["sums"][0], &answer["sums"][1]];
    assert_eq!(transmit["direction"], "transmit");
    assert_eq!(transmit["pods"], json!({ "bytes": 300, "packets": 3 }));
    // The example's interfaces saw nothing.
    assert_eq!(
        (&receive["equal"], &receive["pods"]["bytes"]),
        (&json!(false), &json!(1200))
    );
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

/// What the page names is there, and what is there asks for nothing from elsewhere.
#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let mut wanted = vec!["/".to_owned()];
    let mut seen = Vec::new();
    while let Some(path) = wanted.pop() {
        if seen.contains(&path) {
            continue;
        }
        let (status, body) = get_from("localhost:9465", &path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let text = String::from_utf8(body).unwrap();
        let own = !path.contains("vendor");
        for foreign in ["http://", "https://", "//cdn"] {
            let named = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!own || !named.contains(foreign), "{path}: {foreign}");
        }
        for part in text.split(['"', '\'']) {
            if let Some(file) = part.strip_prefix("./") {
                wanted.push(format!("/page/{file}"));
            } else if part.starts_with("page/") {
                wanted.push(format!("/{part}"));
            }
        }
        seen.push(path);
    }
    assert_eq!(seen.len(), 11, "{seen:?}");
}

#[tokio::test]
async fn only_its_own_script_runs_on_the_page() {
    let request = Request::get("/").header("host", "127.0.0.1:9465");
    let request = request.body(Body::empty()).unwrap();
    let response = router(state()).oneshot(request).await.unwrap();
    let policy = &response.headers()["content-security-policy"];
    let policy = policy.to_str().unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
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
