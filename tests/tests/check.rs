//! `zonemeter check` on a node: what it finds, and how it ends.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{process::Output, time::Duration};

use serde_json::Value;
use zonemeter_lab::{Lab, MemoryGroup, Namespace, Plan, PodPlan, agent_binary};

fn lab(name: &str) -> Lab {
    let plan = Plan::new(name)
        .pod(PodPlan::new("default", "a", "a1"))
        .pod(PodPlan::new("default", "b", "a1"));
    Lab::raise(plan).unwrap()
}

fn check(lab: &Lab, arguments: &[&str]) -> Output {
    let node = lab.node("a1").unwrap();
    node.namespace()
        .command(agent_binary().unwrap())
        .arg("check")
        .args(arguments)
        .arg("--cluster-file")
        .arg(lab.cluster_file())
        .env_remove("NODE_NAME")
        .output()
        .unwrap()
}

/// The report under the node's own name, and whether the process ended with 0.
fn report(lab: &Lab, arguments: &[&str]) -> (Value, bool) {
    let own_name = lab.node("a1").unwrap().object_name();
    report_nameless(lab, &[arguments, &["--node-name", &own_name]].concat())
}

fn report_nameless(lab: &Lab, arguments: &[&str]) -> (Value, bool) {
    let output = check(lab, &[arguments, &["--json"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    (
        serde_json::from_str(&text).unwrap(),
        output.status.success(),
    )
}

fn requirement<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report["requirements"].as_array().unwrap();
    all.iter().find(|one| one["name"] == name).unwrap()
}

/// Runs `tc` and fails with what it said.
fn tc(node: &Namespace, arguments: &[&str]) {
    let output = node.command("tc").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tc {arguments:?}: {said}");
}

#[test]
fn a_node_that_works_is_told_so_and_left_as_it_was() {
    let lab = lab("check-works");
    let node = lab.node("a1").unwrap();
    let qdiscs = || {
        let output = node
            .namespace()
            .command("tc")
            .args(["qdisc", "show"])
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let before = qdiscs();
    let (report, ended_well) = report(&lab, &[]);
    assert!(ended_well && report["works"] == true, "{report}");
    assert_eq!(requirement(&report, "interfaces")["found"], "2 match");
    assert_eq!(requirement(&report, "programs")["status"], "ok");
    assert_eq!(
        requirement(&report, "others on the hooks")["found"],
        "nobody"
    );
    assert_eq!(qdiscs(), before);
}

#[test]
fn what_keeps_the_agent_from_working_is_named_with_a_remedy() {
    let lab = lab("check-fails");
    let (nameless, ended_well) = report_nameless(&lab, &[]);
    assert!(!ended_well && nameless["works"] == false, "{nameless}");
    let name = requirement(&nameless, "node name");
    assert_eq!(name["status"], "failed");
    assert!(
        name["remedy"].as_str().unwrap().contains("--node-name"),
        "{name}"
    );
    let place = ["--pin-dir", "/tmp/zonemeter"];
    let (elsewhere, ended_well) = report(&lab, &place);
    assert!(!ended_well, "{elsewhere}");
    assert_eq!(
        requirement(&elsewhere, "bpf file system")["status"],
        "failed"
    );
    let (unpinned, ended_well) = report(&lab, &["--pin-dir", ""]);
    assert!(ended_well, "{unpinned}");
    assert_eq!(
        requirement(&unpinned, "bpf file system")["status"],
        "warning"
    );
    let wrong = check(&lab, &["--attach", "xdp"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}

/// Maps of 2,097,152 flows take 1 GiB and more: `check` says so before, and the agent, which asks
/// the kernel for nothing then, in the same words.
#[test]
fn more_map_memory_than_the_cgroup_allows_is_named_with_the_flag() {
    let lab = lab("check-memory");
    let group = MemoryGroup::new("check-memory", 256 << 20).unwrap();
    let wrapper = group.wrapper("true");
    let words = wrapper.each_ref().map(String::as_str);
    let flags = ["--node-name", "a1", "--max-flows", "2097152"];
    let node = lab.node("a1").unwrap();
    let mut command = node.namespace().command(words[0]);
    command.args(&words[1..]).arg(agent_binary().unwrap());
    let output = command.args(["check", "--json"]).args(flags).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let memory = requirement(&report, "map memory");
    assert_eq!(memory["status"], "failed", "{memory}");

    let plan = lab.agent("a1").unwrap().flag("--max-flows", "2097152");
    let (status, said) = plan.wrapped(&words).run(Duration::from_secs(20)).unwrap();
    assert_eq!(status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for text in [memory.to_string(), said] {
        for word in [
            "not enough memory",
            "256.0 MiB",
            "--max-flows 2097152",
            "a lower --max-flows",
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}

/// The maps fit, and what 20,000 series may take beside them does not: it works, for now.
#[test]
fn a_limit_that_the_process_may_outgrow_is_a_warning() {
    let lab = lab("check-half-memory");
    let group = MemoryGroup::new("check-half-memory", 128 << 20).unwrap();
    let wrapper = group.wrapper("true");
    let node = lab.node("a1").unwrap();
    let mut command = node.namespace().command(&wrapper[0]);
    command.args(&wrapper[1..]).arg(agent_binary().unwrap());
    let output = command
        .args(["check", "--json", "--node-name", "a1"])
        .output();
    let output = output.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let memory = requirement(&report, "map memory");
    assert_eq!(memory["status"], "warning", "{memory}");
    let remedy = memory["remedy"].as_str().unwrap();
    for word in ["128.0 MiB", "OOMKilled", "--max-series 20000"] {
        assert!(remedy.contains(word), "{word}: {remedy}");
    }
}

/// A filter in the place of the AWS network policy agent's.
#[test]
fn others_on_the_hooks_are_named() {
    let lab = lab("check-others");
    let node = lab.node("a1").unwrap();
    let veth = lab.pod("default/a").unwrap().veth().to_owned();
    tc(node.namespace(), &["qdisc", "add", "dev", &veth, "clsact"]);
    let place = [
        "filter", "add", "dev", &veth, "egress", "prio", "1", "handle", "0x1",
    ];
    // One instruction of classic BPF that matches nothing.
    let what = [
        "protocol",
        "all",
        "bpf",
        "bytecode",
        "1,6 0 0 0,",
        "flowid",
        "1:1",
    ];
    tc(node.namespace(), &[&place[..], &what].concat());
    let (report, ended_well) = report(&lab, &["--attach", "tc"]);
    assert!(ended_well, "{report}");
    let others = requirement(&report, "others on the hooks");
    assert_eq!(
        others["found"],
        "tc bpf, priority 1, handle 0x1 (to the pod)"
    );
    assert_eq!(others["status"], "ok");
}

#[test]
fn an_ingress_qdisc_bars_clsact() {
    let lab = lab("check-ingress");
    let node = lab.node("a1").unwrap();
    let veth = lab.pod("default/b").unwrap().veth().to_owned();
    tc(node.namespace(), &["qdisc", "add", "dev", &veth, "ingress"]);
    let (report, _) = report(&lab, &["--attach", "tc"]);
    let others = requirement(&report, "others on the hooks");
    assert_eq!(others["status"], "warning", "{others}");
}
