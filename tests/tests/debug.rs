//! The debug listener and the commands that read it, against what went over the wires.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

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
    let zones = json(&agent, "/api/zones");
    let mut rows = zones["zones"].as_array().unwrap().iter();
    let row = rows.find(|row| row["scope"] == "cross_zone" && row["peer_zone"] == "us-east-2b");
    assert_eq!(row.unwrap()["transmit"]["bytes"], wire.bytes);
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
    assert_eq!(lines[0], format!("{address}  cross_zone"), "{said}");
    assert!(lines.contains(&"zone      us-east-2b"), "{said}");
    let because = format!("* Pod            shop/server on node {node} (");
    assert!(said.contains(&because), "{said}");
    let zone = format!("* Node           node {node}, zone us-east-2b (");
    assert!(said.contains(&zone), "{said}");
    let outside = command(&agent, &["explain", "1.1.1.1"]);
    assert!(outside.starts_with("1.1.1.1  internet\n"), "{outside}");
    let table = until(PATIENCE, "the flow in top", || {
        send(&client, &server, 20);
        let table = command(&agent, &["top", "--once", "--sort", "transmit"]);
        table.contains("shop/server:7000").then_some(table)
    })
    .unwrap();
    let row = table.lines().find(|line| line.contains(":7000")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().take(7).collect();
    let expected = "shop/client shop/server:7000 cross_zone us-east-2a > us-east-2b udp";
    assert_eq!(cells.join(" "), expected, "{table}");
}
