//! A setting or an input by which the agent counts or names less than it should: said by
//! `/readyz`, `/metrics`, the log and `zonemeter check`, and gone when it is mended.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use zonemeter_lab::{Agent, AgentPlan, HttpAnswer, Lab, Node, Plan, PodPlan, agent_binary};

const PATIENCE: Duration = Duration::from_secs(10);
/// What `zonemeter_condition` has a series for.
const CONDITIONS: [&str; 6] = [
    "counting",
    "cluster",
    "networks_file",
    "interfaces",
    "own_node",
    "pods_counted",
];

fn lab(name: &str) -> Lab {
    let plan = Plan::new(name)
        .pod(PodPlan::new("default", "a", "a1"))
        .pod(PodPlan::new("default", "b", "a1"));
    Lab::raise(plan).unwrap()
}

/// Starts an agent that drains often and waits until `/readyz` has all of `words`.
fn start_until(plan: AgentPlan, words: &[&str]) -> (Agent, HttpAnswer) {
    let agent = plan.flag("--interval", "200ms").start().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = agent.get("/readyz");
        if let Ok(answer) = answer {
            if words.iter().all(|word| answer.body.contains(word)) {
                return (agent, answer);
            }
            assert!(Instant::now() < deadline, "no {words:?}: {}", answer.body);
        }
        assert!(Instant::now() < deadline, "{}", agent.log().unwrap());
        thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until exactly these conditions do not hold, and so many pods are not counted.
fn lacks(agent: &mut Agent, lacking: &[&str], uncounted: u64) {
    let name = "zonemeter_condition";
    let told = agent.wait_until(PATIENCE, |metrics| {
        CONDITIONS.iter().all(|condition| {
            let value = metrics.value(name, &[("condition", condition)]);
            value == Some(f64::from(u8::from(!lacking.contains(condition))))
        }) && metrics.value("zonemeter_uncounted_pods", &[]) == Some(uncounted as f64)
    });
    let readyz = agent.get("/readyz").unwrap().body;
    told.unwrap_or_else(|error| panic!("{lacking:?}, {uncounted}: {readyz}{error:#}"));
}

/// The log has one line about the condition.
fn is_logged_once(agent: &Agent, words: &str) {
    let log = agent.log().unwrap();
    assert_eq!(log.matches(words).count(), 1, "{words}:\n{log}");
}

/// Runs `zonemeter check` with these flags of the agent: whether it ends with 0, and its report.
fn check(node: &Node, flags: &[(&str, &str)]) -> (bool, Value) {
    let mut command = node.namespace().command(agent_binary().unwrap());
    command.args(["check", "--json"]).env_remove("NODE_NAME");
    if flags.iter().all(|(flag, _)| *flag != "--pin-dir") {
        command.arg("--pin-dir").arg(node.pin_directory());
    }
    for (flag, value) in flags {
        command.args([flag, value]);
    }
    let output = command.output().unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.success(), report)
}

/// Status and remedy of one line.
fn line<'a>(report: &'a Value, name: &str) -> (&'a str, &'a str) {
    let all = report["requirements"].as_array().unwrap();
    let one = all.iter().find(|one| one["name"] == name);
    let one = one.unwrap_or_else(|| panic!("no {name}: {report}"));
    (
        one["status"].as_str().unwrap(),
        one["remedy"].as_str().unwrap(),
    )
}

#[test]
fn a_node_name_that_no_node_has() {
    let lab = lab("wrong-name");
    let plan = lab.agent("a1").unwrap().flag("--node-name", "nobody");
    let words = [
        "own_node: no Node object is named \"nobody\"",
        "--node-name",
    ];
    let (mut agent, answer) = start_until(plan, &words);
    assert_eq!(answer.status, 503, "{}", answer.body);
    lacks(&mut agent, &["own_node"], 0);
    is_logged_once(&agent, "own_node: ");
}

#[test]
fn interfaces_of_other_names_than_the_pods_have() {
    let lab = lab("wrong-glob");
    let plan = lab.agent("a1").unwrap();
    let words = [
        "interfaces: --interface nope* matches no interface",
        "pods_counted: 2 pods of this node have an address and no interface",
        "default/a, default/b",
    ];
    let wrong = plan.clone().flag("--interface", "nope*");
    let (mut agent, answer) = start_until(wrong, &words);
    assert_eq!(answer.status, 503, "{}", answer.body);
    lacks(&mut agent, &["interfaces", "pods_counted"], 2);
    is_logged_once(&agent, "pods_counted: ");
    is_logged_once(&agent, "interfaces: ");
    agent.stop().unwrap();
    // The node's own uplink is an interface, and no pod's.
    let uplink = plan.clone().flag("--interface", "eth*,ens*");
    let (mut agent, answer) = start_until(uplink, &words[1..]);
    assert_eq!(answer.status, 503, "{}", answer.body);
    agent.stop().unwrap();
    let mut agent = plan.start_ready().unwrap();
    lacks(&mut agent, &[], 0);
    assert_eq!(agent.get("/readyz").unwrap().body, "ready\n");
}

#[test]
fn a_networks_file_that_is_empty_or_not_given() {
    let lab = lab("no-networks");
    let plan = lab.agent("a1").unwrap();
    let without = plan.clone().without("--networks-file");
    let words = [
        "ready\n",
        "networks_file: no --networks-file: ",
        "S3",
        "RDS",
    ];
    let (mut agent, answer) = start_until(without, &words);
    assert_eq!(answer.status, 200, "{}", answer.body);
    lacks(&mut agent, &["networks_file"], 0);
    is_logged_once(&agent, "no --networks-file: ");
    agent.stop().unwrap();
    let empty = lab.directory().join("empty.yaml");
    fs::write(&empty, "vpc: []\nnetworks: []\n").unwrap();
    let given = plan.flag("--networks-file", &empty);
    let words = ["networks_file: ", "empty.yaml", "names no network"];
    let (mut agent, answer) = start_until(given, &words);
    assert_eq!(answer.status, 503, "{}", answer.body);
    lacks(&mut agent, &["networks_file"], 0);
    fs::copy(lab.networks_file(), &empty).unwrap();
    agent.wait_ready(PATIENCE).unwrap();
    lacks(&mut agent, &[], 0);
}

#[test]
fn check_says_the_same_beforehand() {
    let lab = lab("conditions-check");
    let node = lab.node("a1").unwrap();
    let (own, file) = (node.object_name(), lab.cluster_file());
    let networks = lab.networks_file();
    let (name, cluster) = (
        ("--node-name", &*own),
        ("--cluster-file", file.to_str().unwrap()),
    );
    let given = ("--networks-file", networks.to_str().unwrap());
    let (works, report) = check(&node, &[name, cluster, given]);
    assert!(works, "{report}");
    for condition in CONDITIONS.iter().filter(|name| **name != "counting") {
        assert_eq!(line(&report, condition), ("ok", ""), "{condition}");
    }
    assert_eq!(line(&report, "ports").0, "ok");

    let (works, report) = check(&node, &[name, cluster]);
    assert!(works, "{report}");
    let (status, remedy) = line(&report, "networks_file");
    assert!(status == "warning" && remedy.contains("S3"), "{report}");

    for (flag, value, condition, word) in [
        ("--node-name", "nobody", "own_node", "\"nobody\""),
        ("--interface", "nope*", "pods_counted", "default/a"),
        (
            "--cluster-file",
            "/nowhere.json",
            "cluster",
            "/nowhere.json",
        ),
        (
            "--networks-file",
            "/nowhere.yaml",
            "networks_file",
            "/nowhere.yaml",
        ),
    ] {
        let mut flags = vec![name, cluster, given];
        flags.retain(|(other, _)| *other != flag);
        flags.push((flag, value));
        let (works, report) = check(&node, &flags);
        let (status, remedy) = line(&report, condition);
        assert!(!works && status == "failed", "{condition}: {report}");
        assert!(remedy.contains(word), "{condition}: {remedy}");
    }

    // The agent that runs holds its ports; somebody else would be in its way.
    let agent = lab.agent("a1").unwrap().start_ready().unwrap();
    assert!(check(&node, &[name, cluster, given]).0);
    let elsewhere = [name, cluster, given, ("--pin-dir", "")];
    let (works, report) = check(&node, &elsewhere);
    assert!(
        !works && line(&report, "ports").1.contains("9464"),
        "{report}"
    );
    drop(agent);
}
