//! Wrong input: one line that names the thing, the value and what to do, and exit code 2 or a
//! `/readyz` that says what is missing.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use zonemeter_lab::{
    AgentPlan, Lab, Plan, PodPlan,
    traffic::{self, Datagrams},
};

const PATIENCE: Duration = Duration::from_secs(10);

fn lab(name: &str) -> Lab {
    let plan = Plan::new(name)
        .pod(PodPlan::new("default", "a", "a1"))
        .pod(PodPlan::new("default", "b", "b1"));
    Lab::raise(plan).unwrap()
}

/// The agent ends with code 2 and exactly one line, which holds every one of `words`.
fn is_refused(agent: &AgentPlan, words: &[&str]) {
    let (status, said) = agent.run(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(2), "{words:?}: {said}");
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    assert_eq!(lines.len(), 1, "{words:?}: one line, not\n{said}");
    for word in words {
        assert!(lines[0].contains(word), "{word:?} is not in: {}", lines[0]);
    }
}

/// The agent ends with code 2 and a line with `word`, or runs and `/readyz` answers 503 with it.
fn is_refused_or_not_ready(plan: &AgentPlan, word: &str) {
    let mut agent = plan.start().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(status) = agent.wait_end(Duration::from_millis(100)) {
            let log = agent.log().unwrap();
            assert_eq!(status.code(), Some(2), "{log}");
            assert!(
                log.lines().any(|line| line.contains(word)),
                "{word:?} is not in:\n{log}"
            );
            return;
        }
        if let Ok(answer) = agent.get("/readyz") {
            assert_eq!(answer.status, 503, "ready without {word}");
            if answer.body.contains(word) {
                return;
            }
        }
        assert!(
            Instant::now() < deadline,
            "nothing named {word}; log:\n{}",
            agent.log().unwrap()
        );
    }
}

#[test]
fn a_wrong_value_is_one_line_with_flag_and_value() {
    let lab = lab("bad-flags");
    let agent = lab.agent("a1").unwrap();
    for (flag, value) in [
        ("--interval", "soon"),
        ("--interval", "0s"),
        ("--listen", "nonsense"),
        ("--debug-listen", "0.0.0.0:9465"),
        ("--attach", "xdp"),
        ("--max-flows", "0"),
        ("--max-flows", "many"),
        ("--max-series", "few"),
        ("--flow-ports", "some"),
        ("--interface", "eni["),
    ] {
        is_refused(&agent.clone().flag(flag, value), &[flag, value]);
    }
    is_refused(&agent.env("ZONEMETER_INTERVAL", "soon"), &["soon"]);
}

#[test]
fn a_missing_node_name_is_named() {
    let lab = lab("no-node-name");
    is_refused(
        &lab.agent("a1").unwrap().without("--node-name"),
        &["--node-name"],
    );
}

#[test]
fn a_state_directory_that_cannot_be_used_is_named() {
    let lab = lab("no-state-dir");
    let file = lab.directory().join("a-file");
    fs::write(&file, "").unwrap();
    // Nobody can make a file there, not even root.
    for path in [lab.directory().join("absent"), file, "/proc/self".into()] {
        let agent = lab.agent("a1").unwrap().flag("--state-dir", &path);
        is_refused(
            &agent,
            &["--state-dir", path.to_str().unwrap(), "leave the flag out"],
        );
    }
}

#[test]
fn a_port_in_use_is_named() {
    let lab = lab("port-in-use");
    let node = lab.node("a1").unwrap();
    let taken = SocketAddr::from(([0, 0, 0, 0], 9464));
    let holder = node
        .namespace()
        .run(|| TcpListener::bind(taken))
        .unwrap()
        .unwrap();
    let (status, said) = lab.agent("a1").unwrap().run(PATIENCE).unwrap();
    assert!(!status.success(), "{said}");
    assert!(
        said.lines()
            .any(|line| line.contains("9464") && line.contains("in use")),
        "{said}"
    );
    drop(holder);
}

#[test]
fn a_cluster_file_that_is_not_there_or_cut_short_is_named() {
    let lab = lab("bad-cluster-file");
    let agent = lab.agent("a1").unwrap();
    is_refused_or_not_ready(
        &agent.clone().flag("--cluster-file", "/nowhere/c.json"),
        "c.json",
    );
    let half = lab.directory().join("half.json");
    let text = lab.cluster_json();
    fs::write(&half, &text[..text.len() / 2]).unwrap();
    is_refused_or_not_ready(&agent.flag("--cluster-file", half), "half.json");
}

#[test]
fn a_cluster_file_that_breaks_later_leaves_the_last_good_one_in_force() {
    let mut lab = lab("breaking-file");
    let plan = lab.agent("a1").unwrap().flag("--interval", "200ms");
    let mut agent = plan.start_ready().unwrap();
    let text = lab.cluster_json();
    fs::write(lab.cluster_file(), &text[..text.len() / 2]).unwrap();
    agent
        .wait_until(PATIENCE, |metrics| {
            metrics.sum("zonemeter_config_reload_failures_total", &[])
                + metrics.sum("zonemeter_cluster_watch_errors_total", &[])
                > 0
        })
        .unwrap();
    assert_eq!(agent.get("/readyz").unwrap().status, 200);
    let (a, b) = (lab.pod("default/a").unwrap(), lab.pod("default/b").unwrap());
    let server = SocketAddr::new(b.address(), 7000);
    let what = Datagrams::new(10, 1000);
    traffic::udp_send(a.namespace(), b.namespace(), server, what).unwrap();
    let metrics = agent.settled().unwrap();
    let labels = [
        ("pod", "a"),
        ("direction", "transmit"),
        ("scope", "cross_zone"),
    ];
    assert_eq!(metrics.sum("zonemeter_pod_bytes_total", &labels), 10_280);

    // A good file after the bad one is taken up again.
    let late = lab.add_pod(PodPlan::new("default", "late", "a1")).unwrap();
    traffic::udp_send(late.namespace(), b.namespace(), server, what).unwrap();
    let labels = [
        ("pod", "late"),
        ("direction", "transmit"),
        ("scope", "cross_zone"),
    ];
    agent
        .wait_until(PATIENCE, |metrics| {
            metrics.sum("zonemeter_pod_bytes_total", &labels) == 10_280
        })
        .unwrap();
}

#[test]
fn a_bad_networks_file_is_named_with_its_line() {
    let lab = lab("bad-networks");
    let bad = lab.directory().join("bad-networks.yaml");
    fs::write(
        &bad,
        "vpc: [192.168.0.0/16]\nnetworks:\n  - { cidr: 192.168.0.0/33 }\n",
    )
    .unwrap();
    is_refused_or_not_ready(
        &lab.agent("a1").unwrap().flag("--networks-file", bad),
        "192.168.0.0/33",
    );
}

#[test]
fn a_missing_capability_is_named() {
    let lab = lab("no-capability");
    let agent = lab.agent("a1").unwrap().wrapped(&[
        "setpriv",
        "--bounding-set=-bpf,-sys_admin",
        "--inh-caps=-bpf,-sys_admin",
        "--no-new-privs",
    ]);
    is_refused_or_not_ready(&agent, "CAP_BPF");
}
