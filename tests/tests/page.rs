//! The page in a browser, against its JSON, `/metrics` and the wire; and its pictures.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "page/walks.rs"]
mod walks;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use zonemeter_lab::{
    Agent, DEBUG_PORT, Lab, Plan, Pod, PodPlan, ServicePlan, Transport, browser::Browser, traffic,
    traffic::Datagrams, until,
};

const PATIENCE: Duration = Duration::from_secs(60);
const CLUSTER_IP: &str = "10.100.0.50";

struct Scene {
    lab: Lab,
    agent: Agent,
    client: Pod,
    server: Pod,
}

/// A client with a server in another zone behind a Service, a neighbour on its node, and the
/// internet; all traffic is over and counted.
fn scene() -> Scene {
    let plan = Plan::new("page")
        .pod(PodPlan::new("shop", "client", "a1"))
        .pod(PodPlan::new("shop", "neighbour", "a1"))
        .pod(PodPlan::new("shop", "server", "b1"));
    let mut lab = Lab::raise(plan).unwrap();
    let pod = |lab: &Lab, name: &str| lab.pod(&format!("shop/{name}")).unwrap();
    let (client, server) = (pod(&lab, "client"), pod(&lab, "server"));
    let service = ServicePlan::new("shop", "web", CLUSTER_IP.parse().unwrap())
        .port(Transport::Tcp, 80, 8080)
        .backend(server.address());
    lab.add_service(service).unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let prices = repository.join("deploy/prometheus/zonemeter.prices.yaml");
    let plan = lab.agent("a1").unwrap().flag("--interval", "1s");
    let mut agent = plan.flag("--prices-file", prices).start_ready().unwrap();
    let http = traffic::http_server(server.namespace(), 8080, PATIENCE).unwrap();
    assert_eq!(http.port, 8080);
    let service = SocketAddr::new(CLUSTER_IP.parse().unwrap(), 80);
    until(PATIENCE, "the Service in the pair", || {
        traffic::http_get(client.namespace(), service, 200_000).unwrap();
        let answer = json(&agent, "/api/pairs?window=start&scope=cross_zone");
        (answer["pairs"][0]["services"] == serde_json::json!(["shop/web"])).then_some(())
    })
    .unwrap();
    send(&client, &pod(&lab, "neighbour"), 50);
    let host = SocketAddr::new(lab.internet_host(0), 7000);
    let what = Datagrams::new(80, 1000);
    traffic::udp_send(client.namespace(), lab.internet(), host, what).unwrap();
    agent.settled().unwrap();
    Scene {
        lab,
        agent,
        client,
        server,
    }
}

fn send(client: &Pod, server: &Pod, count: u32) {
    let to = SocketAddr::new(server.address(), 7000);
    let what = Datagrams::new(count, 1000);
    traffic::udp_send(client.namespace(), server.namespace(), to, what).unwrap();
}

fn json(agent: &Agent, path: &str) -> Value {
    let answer = agent.debug(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// Where pictures go that no document has.
fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("page")
}

/// A rate as the page writes it: decimal units, three figures.
fn rate(mut value: f64) -> String {
    let units = ["B", "kB", "MB", "GB"];
    let mut unit = 0;
    while value >= 1000.0 && unit < 3 {
        value /= 1000.0;
        unit += 1;
    }
    let digits = match (unit, value) {
        (0, _) => 0,
        (_, value) if value < 10.0 => 2,
        (_, value) if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {}/s", units[unit])
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

fn both(row: &Value) -> f64 {
    number(&row["transmit"]["bytes_per_second"]) + number(&row["receive"]["bytes_per_second"])
}

#[test]
fn the_page_shows_what_went_over_the_wire() {
    let Scene {
        lab,
        mut agent,
        client,
        server,
    } = scene();
    let browser = Browser::find().unwrap();
    let url = format!("http://127.0.0.1:{DEBUG_PORT}");
    let saw = browser
        .look(
            Some(agent.node().namespace()),
            "drive.mjs",
            &url,
            &scratch(),
        )
        .unwrap();
    cards_rows_and_matrix_are_the_jsons(&saw["first"]);

    // Bytes in the row, in the metrics, and at the wire's far end.
    let there = lab.between(client.address(), server.address()).unwrap();
    let back = lab.between(server.address(), client.address()).unwrap();
    let rows = saw["first"]["shown"]["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row[3] == "cross_zone").unwrap();
    assert_eq!(row[0], "shop/client");
    assert!(
        row[1]
            .as_str()
            .unwrap()
            .ends_with("shop/server by Service shop/web")
    );
    assert_eq!(row[9], (there.bytes + back.bytes).to_string());
    let metrics = agent.settled().unwrap();
    let labels = [("peer_workload", "server")];
    let counted = metrics.sum("zonemeter_workload_bytes_total", &labels);
    assert_eq!(counted, there.bytes + back.bytes);

    filters_links_and_why_work(&saw);
    for name in ["console", "foreign", "violations"] {
        assert_eq!(saw[name], serde_json::json!([]), "{name}");
    }
    for (view, width) in saw["widths"].as_object().unwrap() {
        assert!(number(width) <= 400.0, "{view} is {width} wide");
    }
    assert_ne!(saw["dark"], "rgb(255, 255, 255)");
}

fn cards_rows_and_matrix_are_the_jsons(seen: &Value) {
    let (answer, shown) = (&seen["answer"], &seen["shown"]);
    let scopes = answer["scopes"].as_array().unwrap();
    let of = |scope: &str| -> Vec<&Value> {
        let found = scopes.iter().filter(|row| row["scope"] == scope);
        found.collect()
    };
    for (card, scope) in [("card-across", "cross_zone"), ("card-internet", "internet")] {
        let value: f64 = of(scope).into_iter().map(both).sum();
        let dollars: f64 = of(scope)
            .into_iter()
            .map(|row| number(&row["dollars_per_month"]))
            .sum();
        let shown = &shown["cards"][card];
        assert_eq!(shown[0], rate(value), "{card}: {shown}");
        let month = format!("${dollars:.2} a month");
        assert!(
            value > 0.0 && (shown[1] == month || dollars < 0.005),
            "{shown}: {month}"
        );
    }
    assert_eq!(shown["cards"]["card-lost"][0], "0 B/s");
    let pairs = answer["pairs"].as_array().unwrap();
    let rows = shown["rows"].as_array().unwrap();
    assert_eq!((pairs.len(), rows.len()), (3, 3), "{answer}");
    for (pair, row) in pairs.iter().zip(rows) {
        assert_eq!(row[4], rate(number(&pair["transmit"]["bytes_per_second"])));
        assert_eq!(row[5], rate(number(&pair["receive"]["bytes_per_second"])));
        assert_eq!(row[3], pair["scope"]);
    }
    let zones = answer["zones"].as_array().unwrap();
    let across = zones
        .iter()
        .find(|row| row["scope"] == "cross_zone")
        .unwrap();
    let cell = serde_json::json!([across["zone"], across["peer_zone"], rate(both(across))]);
    let matrix = shown["matrix"].as_array().unwrap();
    assert!(matrix.contains(&cell), "{cell}: {matrix:?}");
}

fn filters_links_and_why_work(saw: &Value) {
    let typed = &saw["typed"]["shown"];
    assert_eq!(typed["rows"].as_array().unwrap().len(), 1, "{typed}");
    assert_eq!(typed["caption"][0], "1 shown, 1 of 3 match");
    let link = saw["link"].as_str().unwrap();
    for part in ["window=start", "search=shop%2Fser", "open=shop"] {
        assert!(link.contains(part), "{link}");
    }
    assert_eq!(
        (&saw["again"], &saw["closed"]),
        (&"shop/ser".into(), &0.into())
    );
    let why = saw["why"].as_str().unwrap();
    for part in [
        "Why cross_zone?",
        "a pod of this node, or this node itself",
        "a pod elsewhere whose node has a zone: another than this node's",
        "price of a GB$0.01 each way (prices of 2026-05)",
        "both ends pay",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let chosen = saw["cell"]["shown"]["rows"].as_array().unwrap();
    assert_eq!(chosen.len(), 1);
    let said = |view: &str, part: &str| {
        let text = saw["views"][view].as_str().unwrap();
        assert!(text.contains(part), "{view}: {part}: {text}");
    };
    said("workloads", "shop/client");
    said("outside", "Out of the VPC");
    said("connections", "Connections of the last drain");
    said("health", "2 of 2 pods are counted, on 2 interfaces.");
}
