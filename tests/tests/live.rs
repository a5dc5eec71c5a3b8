//! The agent's process with a real API server that is away, refuses, or no longer takes the
//! token: it says what is missing and since when, goes on counting, and needs no restart.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::json;
use zonemeter_lab::{
    Agent, Lab, Plan, Pod, PodPlan, Source, oracle,
    traffic::{self, Datagrams},
};

const PARTS: [&str; 5] = [
    "nodes",
    "pods of this node",
    "pods of other nodes",
    "services",
    "endpoint slices",
];

/// On the same node, and in another zone.
const BOTH: [&str; 2] = ["default/near", "default/far"];

/// For what is noticed, or works again, after the longest pause between two attempts.
const PATIENCE: Duration = Duration::from_secs(40);

fn lab(name: &str) -> Lab {
    let plan = Plan::new(name)
        .source(Source::Api)
        .pod(PodPlan::new("default", "a", "a1"))
        .pod(PodPlan::new("default", "near", "a1"))
        .pod(PodPlan::new("default", "far", "b1"));
    Lab::raise(plan).unwrap()
}

/// Agents that count, whatever they know of the cluster.
fn start(lab: &Lab) -> Vec<Agent> {
    let start = |node| {
        let agent = lab.agent(node).unwrap().flag("--interval", "100ms");
        agent.start().unwrap()
    };
    let mut agents: Vec<Agent> = ["a1", "a2", "b1"].map(start).into();
    for (agent, veths) in agents.iter_mut().zip([2, 0, 1]) {
        readyz(agent, &[]);
        wait_for_interfaces(agent, veths);
    }
    agents
}

fn wait_for_interfaces(agent: &mut Agent, count: u64) {
    agent
        .wait_until(PATIENCE, |metrics| {
            metrics.sum("zonemeter_interfaces", &[]) == count
        })
        .unwrap();
}

/// 100 × 1028 bytes to each of the peers.
fn send(lab: &Lab, from: &Pod, peers: &[&str]) {
    for peer in peers {
        let peer = lab.pod(peer).unwrap();
        let to = SocketAddr::new(peer.address(), 7000);
        let what = Datagrams::new(100, 1000);
        traffic::udp_send(from.namespace(), peer.namespace(), to, what).unwrap();
    }
}

/// Waits until `/readyz` has every one of `texts`; its status and text then.
fn readyz(agent: &Agent, texts: &[&str]) -> (u16, String) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // While it starts, nobody listens.
        if let Ok(answer) = agent.get("/readyz") {
            if texts.iter().all(|text| answer.body.contains(text)) {
                return (answer.status, answer.body);
            }
            assert!(Instant::now() < deadline, "no {texts:?}: {}", answer.body);
        }
        assert!(Instant::now() < deadline, "nobody answers");
        thread::sleep(Duration::from_millis(50));
    }
}

fn unix_seconds() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}

/// Since when the part is missing, as Unix time; 0 where it is there.
fn missing_since(agent: &Agent, part: &str) -> f64 {
    let name = "zonemeter_cluster_missing_since_timestamp_seconds";
    let metrics = agent.scrape().unwrap();
    metrics.value(name, &[("part", part)]).unwrap()
}

fn wait_whole(agents: &mut [Agent]) {
    for agent in agents {
        agent.wait_ready(PATIENCE).unwrap();
        let whole = agent.wait_until(PATIENCE, |metrics| {
            let name = "zonemeter_cluster_missing_since_timestamp_seconds";
            metrics.select(name, &[]).all(|sample| sample.value == 0.0)
        });
        whole.unwrap();
        assert_eq!(readyz(agent, &[]), (200, "ready\n".to_owned()));
    }
}

fn unattributed(agent: &Agent) -> u64 {
    let metrics = agent.scrape().unwrap();
    metrics.sum("zonemeter_unattributed_bytes_total", &[])
}

#[test]
fn a_server_that_is_away_at_the_start_is_awaited() {
    let mut lab = lab("away-at-start");
    lab.api().unwrap().cut();
    let begin = unix_seconds();
    let mut agents = start(&lab);
    let (status, text) = readyz(&agents[0], &PARTS);
    assert_eq!(status, 503);
    assert!(text.contains("cannot list pods at https://"), "{text}");
    for part in PARTS {
        let since = missing_since(&agents[0], part);
        assert!(
            (begin..=unix_seconds()).contains(&since),
            "{part}: {since} after {begin}"
        );
    }
    let a = lab.pod("default/a").unwrap();
    send(&lab, &a, &BOTH);
    let metrics = agents[0].settled().unwrap();
    let pending = metrics.sum("zonemeter_pending_bytes", &[("direction", "transmit")]);
    assert!(pending >= 205_600, "{pending} held back");
    lab.api().unwrap().mend();
    wait_whole(&mut agents);
    oracle::wait_exact(&lab, &mut agents, &[]).unwrap();
    assert_eq!(unattributed(&agents[0]), 0);
}

/// Known pods go on under their names; one that comes meanwhile gets its bytes afterwards, and one
/// that goes is gone.
#[test]
fn a_server_that_goes_away_for_a_time_costs_no_byte() {
    let mut lab = lab("away");
    let mut agents = start(&lab);
    wait_whole(&mut agents);
    let short = lab.add_pod(PodPlan::new("default", "short", "b1")).unwrap();
    let a = lab.pod("default/a").unwrap();
    let before = unix_seconds();
    lab.api().unwrap().cut();
    let (status, text) = readyz(&agents[0], &["ready\n", "pods of this node: cannot "]);
    assert_eq!(status, 200, "it counts and names: {text}");
    let since = missing_since(&agents[0], "pods of this node");
    assert!((before..=unix_seconds()).contains(&since), "{since}");
    send(&lab, &a, &BOTH);
    let labels = [("pod", "a"), ("direction", "transmit")];
    let known = agents[0].settled().unwrap();
    assert!(known.sum("zonemeter_pod_bytes_total", &labels) >= 205_600);
    let new = lab.add_pod(PodPlan::new("default", "new", "a1")).unwrap();
    wait_for_interfaces(&mut agents[0], 3);
    send(&lab, &new, &["default/far"]);
    lab.withdraw(&short).unwrap();
    lab.unwire_pod(&short).unwrap();
    let pending = agents[0].settled().unwrap();
    let pending = pending.sum("zonemeter_pending_bytes", &[("direction", "transmit")]);
    assert!(pending >= 102_800, "{pending} held back");
    let still = missing_since(&agents[0], "pods of this node");
    assert!(still >= since && still <= since + 1.0, "{since}, {still}");
    lab.api().unwrap().mend();
    wait_whole(&mut agents);
    oracle::wait_exact(&lab, &mut agents, &[]).unwrap();
    for agent in &mut agents {
        assert_eq!(unattributed(agent), 0);
        let pods = |metrics: &zonemeter_lab::Metrics| {
            metrics.sum("zonemeter_cluster_objects", &[("kind", "Pod")])
        };
        agent
            .wait_until(PATIENCE, |metrics| pods(metrics) == 4)
            .unwrap();
    }
}

/// 403 on one resource: named by verb and resource, and everything else works.
#[test]
fn a_right_that_is_missing_is_named_and_its_grant_is_enough() {
    let mut lab = lab("no-right");
    let rule = |group: &str, resource: &str, verbs: &[&str]| json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs });
    let both = ["list", "watch"];
    let rules = json!([
        rule("", "nodes", &both),
        rule("", "pods", &both),
        rule("", "services", &both),
        rule("discovery.k8s.io", "endpointslices", &["watch"]),
    ]);
    lab.api().unwrap().set_rules(&rules).unwrap();
    let begin = unix_seconds();
    let mut agents = start(&lab);
    let named = "endpoint slices: missing RBAC: list endpointslices.discovery.k8s.io;";
    let (status, text) = readyz(&agents[0], &[named]);
    assert_eq!(status, 503, "{text}");
    agents[0]
        .wait_until(PATIENCE, |metrics| {
            metrics.sum("zonemeter_cluster_objects", &[("kind", "Pod")]) == 3
        })
        .unwrap();
    let since = missing_since(&agents[0], "endpoint slices");
    assert!((begin..=unix_seconds()).contains(&since), "{since}");
    assert_eq!(missing_since(&agents[0], "pods of this node"), 0.0);
    let a = lab.pod("default/a").unwrap();
    send(&lab, &a, &BOTH);
    oracle::wait_exact(&lab, &mut agents, &[]).unwrap();
    lab.api().unwrap().restore_rules().unwrap();
    wait_whole(&mut agents);
}

/// As with a file (`conditions.rs`).
#[test]
fn a_node_name_that_no_node_has_is_not_ready() {
    let lab = lab("wrong-name");
    let plan = lab.agent("a1").unwrap().flag("--node-name", "nobody");
    let agent = plan.start().unwrap();
    let named = "own_node: no Node object is named \"nobody\"";
    let (status, text) = readyz(&agent, &[named]);
    assert_eq!(status, 503, "{text}");
}

/// The token in the file is no longer accepted: what is known stays in use, and a good one is
/// taken from the file.
#[test]
fn a_token_that_is_rotated_is_taken_from_its_file() {
    let mut lab = lab("token");
    let mut agents = start(&lab);
    wait_whole(&mut agents);
    let a = lab.pod("default/a").unwrap();
    send(&lab, &a, &BOTH);
    lab.api().unwrap().renew_account().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let text = loop {
        // A watch that runs was let in when it began, and the server remembers for 10 s whom it
        // let in.
        lab.api().unwrap().cut();
        readyz(&agents[0], &["services: cannot "]);
        lab.api().unwrap().mend();
        let (status, text) = settled(&agents[0]);
        assert_eq!(status, 200, "{text}");
        if text != "ready\n" {
            break text;
        }
        assert!(Instant::now() < deadline, "the old token is still taken");
        thread::sleep(Duration::from_secs(1));
    };
    assert!(text.contains("(401 Unauthorized)"), "{text}");
    send(&lab, &a, &BOTH);
    lab.api().unwrap().restore_token().unwrap();
    wait_whole(&mut agents);
    oracle::wait_exact(&lab, &mut agents, &[]).unwrap();
    assert_eq!(unattributed(&agents[0]), 0);
}

/// Waits until the server has answered for every part of the cluster, or refused to.
fn settled(agent: &Agent) -> (u16, String) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = agent.get("/readyz").unwrap();
        if !answer.body.contains(": cannot ") {
            return (answer.status, answer.body);
        }
        assert!(Instant::now() < deadline, "{}", answer.body);
        thread::sleep(Duration::from_millis(50));
    }
}
