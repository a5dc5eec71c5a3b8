//! Who on this node talks to port 443 outside: by name, on the page's routes, in `top` and `explain`.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::Value;
use zonemeter_lab::{Agent, agent_binary, traffic, until};

use super::scene::*;

/// What `zonemeter` prints on the agent's node.
fn command(agent: &Agent, arguments: &[&str]) -> String {
    let mut command = agent.node().namespace().command(agent_binary().unwrap());
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(agent: &Agent, path: &str) -> Value {
    let answer = agent.debug(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

#[test]
fn who_on_the_node_talks_to_port_443_is_answered_by_name() {
    let mut scene = Scene::raise(plan("host-names"), |agent| agent);
    let (node, internet) = (scene.node(), scene.lab.internet());
    let registry = SocketAddr::new(scene.lab.internet_host(0), 443);
    let _server = traffic::http_server(internet, 443, 4 * WITHIN).unwrap();
    let done = AtomicBool::new(false);
    let (agent, groups) = (&scene.agent, &scene.groups);
    thread::scope(|scope| {
        let (done, node) = (&done, &node);
        let pull = move || {
            while !done.load(Ordering::Relaxed) {
                traffic::http_get(node.namespace(), registry, 100_000).unwrap();
            }
        };
        let pulling = scope.spawn(move || groups.inside(CONTAINERD, pull).unwrap());
        let ends = Ends(done);
        let flows = until(WITHIN, "the pull among the flows", || {
            let flows = json(agent, "/api/flows?search=:443")["flows"].clone();
            let named = |flow: &Value| flow["local"]["workload"] == "containerd.service";
            flows.as_array()?.iter().any(named).then_some(flows)
        });
        let top = until(WITHIN, "the pull in top", || {
            let arguments = ["top", "--once", "--group", "connection", "--search", ":443"];
            let shown = command(agent, &arguments);
            shown.contains("containerd.service").then_some(shown)
        });
        drop(ends);
        pulling.join().unwrap();
        let flow = &flows.unwrap()[0];
        assert_eq!(flow["local"]["workload_kind"], "Unit");
        assert_eq!(
            (&flow["scope"], &flow["peer"]["port"]),
            (&"internet".into(), &443.into())
        );
        assert_eq!(flow["peer"]["address"], registry.ip().to_string());
        let top = top.unwrap();
        assert!(top.contains(&registry.to_string()), "{top}");
    });
    let metrics = scene.exact();
    let pairs = json(
        &scene.agent,
        "/api/pairs?window=start&search=containerd.service",
    );
    let pair = &pairs["pairs"][0];
    assert_eq!(
        (&pairs["matched"], &pair["host"]),
        (&1.into(), &true.into())
    );
    for direction in ["transmit", "receive"] {
        let labels = [("workload", "containerd.service"), ("direction", direction)];
        let shown = metrics.sum("zonemeter_host_bytes_total", &labels);
        assert_eq!(pair[direction]["bytes"], shown, "{direction}");
        let shown = metrics.sum("zonemeter_host_packets_total", &labels);
        assert_eq!(pair[direction]["packets"], shown, "{direction}");
    }
    let why = command(&scene.agent, &["explain", "containerd.service"]);
    assert!(
        why.contains("Unit containerd.service: ") && why.contains(CONTAINERD),
        "{why}"
    );
    let why = command(&scene.agent, &["explain", PROXY]);
    let container = container_of(&scene.lab, PROXY);
    assert!(why.contains(&container), "{why}");
    let workloads = command(
        &scene.agent,
        &["top", "--once", "--group", "workload", "--window", "start"],
    );
    assert!(workloads.contains("containerd.service"), "{workloads}");
}
