//! The debug listener and the commands that read it, against what went over the wires.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use serde_json::Value;
use zonemeter_lab::{
    Agent, Lab, Plan, Pod, PodPlan, ServicePlan, Transport, agent_binary,
    traffic::{self, Datagrams},
    until,
};

const PATIENCE: Duration = Duration::from_secs(30);
const CLUSTER_IP: &str = "10.100.0.50";
/// The port of [`CLUSTER_IP`] and the one of its backend.
const PORTS: (u16, u16) = (80, 8080);

fn lab(name: &str) -> Lab {
    let plan = Plan::new(name)
        .pod(PodPlan::new("shop", "client", "a1"))
        .pod(PodPlan::new("shop", "server", "b1"));
    Lab::raise(plan).unwrap()
}

fn agent(lab: &Lab, interval: &str) -> Agent {
    let plan = lab.agent("a1").unwrap().flag("--interval", interval);
    plan.start_ready().unwrap()
}

fn json(agent: &Agent, path: &str) -> Value {
    let answer = agent.debug(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// What `zonemeter` prints when it runs on the agent's node.
fn command(agent: &Agent, arguments: &[&str]) -> String {
    let mut command = agent.node().namespace().command(agent_binary().unwrap());
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn send(client: &Pod, server: &Pod, count: u32) {
    let to = SocketAddr::new(server.address(), 7000);
    let what = Datagrams::new(count, 1000);
    traffic::udp_send(client.namespace(), server.namespace(), to, what).unwrap();
}

/// The flows of all drains add up to what arrived at the wire's far end.
#[test]
fn flows_and_zones_are_what_went_over_the_wire() {
    let lab = lab("debug-flows");
    let agent = agent(&lab, "1s");
    let (client, server) = (
        lab.pod("shop/client").unwrap(),
        lab.pod("shop/server").unwrap(),
    );
    send(&client, &server, 100);
    let wire = lab.between(client.address(), server.address()).unwrap();
    assert!(wire.bytes >= 102_800, "{wire:?}");
    let mut drains = BTreeMap::new();
    let flow = until(PATIENCE, "all bytes in the flows", || {
        let answer = json(&agent, "/api/flows?scope=cross_zone&peer=shop/server");
        let flow = answer["flows"].as_array().unwrap().first().cloned();
        let ended = answer["drained_unix_seconds"].to_string();
        if let Some(flow) = &flow {
            drains.insert(ended, flow["transmit"]["bytes"].as_u64().unwrap());
        }
        flow.filter(|_| drains.values().sum::<u64>() == wire.bytes)
    })
    .unwrap();
    assert_eq!(flow["local"]["pod"], "client");
    assert_eq!(flow["local"]["zone"], "us-east-2a");
    assert_eq!(flow["peer"]["address"], server.address().to_string());
    assert_eq!(flow["peer"]["port"], 7000);
    assert_eq!(flow["peer"]["zone"], "us-east-2b");
    assert_eq!(flow["peer"]["node"], server.node().object_name());
    assert_eq!(
        (&flow["protocol"], &flow["pending"]),
        (&"udp".into(), &false.into())
    );
    // A moment after the flows of a drain its totals are there.
    until(PATIENCE, "all bytes in the zones", || {
        let zones = json(&agent, "/api/zones");
        let mut rows = zones["zones"].as_array().unwrap().iter();
        let row = rows.find(|row| row["scope"] == "cross_zone" && row["peer_zone"] == "us-east-2b");
        row.filter(|row| row["transmit"]["bytes"] == wire.bytes)
            .map(drop)
    })
    .unwrap();
    let interfaces = json(&agent, "/api/interfaces");
    let [interface] = &interfaces["interfaces"].as_array().unwrap()[..] else {
        panic!("one pod, one interface: {interfaces}")
    };
    assert_eq!(
        (&interface["name"], &interface["pod"]),
        (&client.veth().into(), &"client".into())
    );
    assert_eq!(json(&agent, "/api/config")["interval"], "1s");
}

/// A pair is what the sender's veth carried, what `/metrics` has, and its price at both ends.
#[test]
fn pairs_are_what_went_over_the_wire_and_what_it_costs() {
    let lab = lab("debug-pairs");
    let prices = Path::new(env!("CARGO_MANIFEST_DIR"));
    let prices = prices.join("../deploy/prometheus/zonemeter.prices.yaml");
    let plan = lab.agent("a1").unwrap().flag("--interval", "200ms");
    let mut agent = plan.flag("--prices-file", prices).start_ready().unwrap();
    let (client, server) = (
        lab.pod("shop/client").unwrap(),
        lab.pod("shop/server").unwrap(),
    );
    send(&client, &server, 100);
    let wire = lab.between(client.address(), server.address()).unwrap();
    let answer = until(PATIENCE, "all bytes in the pair", || {
        let answer = json(
            &agent,
            "/api/pairs?window=start&scope=cross_zone&search=shop/server",
        );
        (answer["pairs"][0]["transmit"]["bytes"] == wire.bytes).then_some(answer)
    })
    .unwrap();
    let pair = &answer["pairs"][0];
    assert_eq!(pair["transmit"]["packets"], wire.packets);
    assert_eq!(pair["local"], end("client", "us-east-2a"));
    assert_eq!(pair["peer"], end("server", "us-east-2b"));
    let seconds = answer["seconds"].as_f64().unwrap();
    let rate = pair["transmit"]["bytes_per_second"].as_f64().unwrap();
    assert!((rate - wire.bytes as f64 / seconds).abs() < 1e-6 * rate);
    // $0.01 for each of 10^9 bytes at each end, in 730 hours.
    let month = wire.bytes as f64 * 0.02 / 1e9 / seconds * 730.0 * 3600.0;
    let back = pair["receive"]["bytes"].as_u64().unwrap();
    let month = month * (wire.bytes + back) as f64 / wire.bytes as f64;
    let dollars = pair["dollars_per_month"].as_f64().unwrap();
    assert!(
        (dollars - month).abs() < 1e-6 * month,
        "{dollars} for {month}"
    );
    assert_eq!(answer["prices"]["as_of"][0], "2026-05");
    let labels = [("peer_workload", "server"), ("direction", "transmit")];
    let metrics = agent.settled().unwrap();
    assert_eq!(
        metrics.sum("zonemeter_workload_bytes_total", &labels),
        wire.bytes
    );
    let minute = until(PATIENCE, "a window of its own", || {
        let answer = json(&agent, "/api/pairs?window=1m");
        let trend = answer["pairs"][0]["trend"].as_array().unwrap();
        (!trend.is_empty()).then_some(answer)
    })
    .unwrap();
    assert_eq!(minute["window"], "1m");
    let health = json(&agent, "/api/health");
    assert_eq!(
        (&health["counted_pods"], &health["uncounted_pods"]),
        (&1.into(), &0.into())
    );
    for sum in health["sums"].as_array().unwrap() {
        assert_eq!(sum["equal"], true, "{health}");
    }
}

fn end(pod: &str, zone: &str) -> Value {
    serde_json::json!({ "namespace": "shop", "workload": pod, "kind": "Pod", "zone": zone })
}

#[test]
fn a_service_is_shown_beside_the_backend_that_conntrack_chose() {
    let mut lab = lab("debug-service");
    let (client, server) = (
        lab.pod("shop/client").unwrap(),
        lab.pod("shop/server").unwrap(),
    );
    let service = ServicePlan::new("shop", "web", CLUSTER_IP.parse().unwrap())
        .port(Transport::Tcp, PORTS.0, PORTS.1)
        .backend(server.address());
    lab.add_service(service).unwrap();
    let agent = agent(&lab, "200ms");
    until(PATIENCE, "the Service", || {
        let said = json(&agent, &format!("/api/explain?address={CLUSTER_IP}"));
        (said["evidence"][0]["source"] == "Service").then_some(())
    })
    .unwrap();
    let http = traffic::http_server(server.namespace(), PORTS.1, PATIENCE).unwrap();
    assert_eq!(http.port, PORTS.1);
    let to = SocketAddr::new(CLUSTER_IP.parse().unwrap(), PORTS.0);
    let flow = until(PATIENCE, "a flow by way of the Service", || {
        traffic::http_get(client.namespace(), to, 10_000).unwrap();
        let answer = json(&agent, "/api/flows?peer=server");
        answer["flows"].as_array().unwrap().first().cloned()
    })
    .unwrap();
    assert_eq!(flow["service"], "shop/web");
    assert_eq!(flow["scope"], "cross_zone");
    assert_eq!(flow["peer"]["address"], server.address().to_string());
}

#[test]
fn the_commands_say_who_and_why() {
    let lab = lab("debug-commands");
    let agent = agent(&lab, "200ms");
    let (client, server) = (
        lab.pod("shop/client").unwrap(),
        lab.pod("shop/server").unwrap(),
    );
    let address = server.address().to_string();
    let said = command(&agent, &["explain", &address]);
    let node = server.node().object_name();
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let home = client.node().object_name();
    let from = format!("seen from node {home}, zone us-east-2a");
    assert_eq!(lines[0], from, "{said}");
    assert_eq!(lines[1], format!("{address}  cross_zone"), "{said}");
    assert!(said.contains("a GB      its price is not known"), "{said}");
    assert!(lines.contains(&"zone      us-east-2b"), "{said}");
    let because = format!("* Pod            shop/server on node {node} (");
    assert!(said.contains(&because), "{said}");
    let zone = format!("* Node           node {node}, zone us-east-2b (");
    assert!(said.contains(&zone), "{said}");
    let outside = command(&agent, &["explain", "1.1.1.1"]);
    assert!(outside.contains("\n1.1.1.1  internet\n"), "{outside}");
    let named = command(&agent, &["explain", "shop/server"]);
    assert!(named.contains("\nPod shop/server: 1 address\n"), "{named}");
    let json = command(&agent, &["explain", "server", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let explained = &json["matches"][0]["explained"][0];
    assert_eq!(explained["holder"]["address"], address);
    assert_eq!(explained["scope"], "cross_zone");
    let table = until(PATIENCE, "the flow in top", || {
        send(&client, &server, 20);
        let table = command(
            &agent,
            &["top", "--group", "connection", "--sort", "transmit"],
        );
        table.contains("shop/server:7000").then_some(table)
    })
    .unwrap();
    let row = table.lines().find(|line| line.contains(":7000")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().take(5).collect();
    let expected = "shop/client -> shop/server:7000 us-east-2a>us-east-2b cross_zone";
    assert_eq!(cells.join(" "), expected, "{table}");
}
