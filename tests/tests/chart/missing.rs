//! One thing less than rendered: what is missing is named.

use std::time::Duration;

use serde_json::{Value, json};
use zonemeter_lab::{Lab, Node, NodePlan, Plan, PodPlan, Source, address::Zone};

use super::{
    container::{Container, image_binary},
    kubelet,
};

const PATIENCE: Duration = Duration::from_secs(30);

fn raise(name: &str) -> (Lab, Node) {
    let plan = Plan::empty(name)
        .source(Source::Api)
        .node(NodePlan::new("a1", Zone::A).single_eni())
        .pod(PodPlan::new("default", "a", "a1"));
    let lab = Lab::raise(plan).unwrap();
    let node = lab.node("a1").unwrap();
    (lab, node)
}

/// The DaemonSet of the plain manifest, changed.
fn container(lab: &mut Lab, node: &Node, change: impl FnOnce(&mut Value)) -> Container {
    let mut workload = kubelet::awaited(lab.api().unwrap(), "daemonset", "zonemeter");
    change(&mut workload["spec"]["template"]["spec"]);
    kubelet::container(lab, node, &workload, "zonemeter", &image_binary().unwrap())
}

/// The only line that the agent ends with.
fn last_words(lab: &mut Lab, node: &Node, change: impl FnOnce(&mut Value)) -> String {
    let container = container(lab, node, change);
    let plan = lab.agent("a1").unwrap().in_container(container.command());
    let (status, said) = plan.run(PATIENCE).unwrap();
    let last = said.lines().last().unwrap_or_default().to_owned();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(last.starts_with("zonemeter: "), "{said}");
    last
}

fn without(list: &mut Value, is_it: impl Fn(&Value) -> bool) {
    let list = list.as_array_mut().unwrap();
    let before = list.len();
    list.retain(|one| !is_it(one));
    assert_eq!(list.len() + 1, before);
}

#[test]
fn a_capability_that_is_missing_is_named() {
    let (mut lab, node) = raise("no-capability");
    for name in ["BPF", "NET_ADMIN", "PERFMON"] {
        let last = last_words(&mut lab, &node, |pod| {
            let context = &mut pod["containers"][0]["securityContext"];
            without(&mut context["capabilities"]["add"], |one| one == name);
        });
        assert!(last.contains(&format!("CAP_{name}")), "{last}");
    }
}

#[test]
fn a_mount_that_is_missing_is_named() {
    let (mut lab, node) = raise("no-mount");
    for (mount, path) in [("bpffs", "/sys/fs/bpf"), ("state", "/var/lib/zonemeter")] {
        let last = last_words(&mut lab, &node, |pod| {
            let mounts = &mut pod["containers"][0]["volumeMounts"];
            without(mounts, |one| one["name"] == mount);
        });
        assert!(last.contains(path), "{mount}: {last}");
    }
}

#[test]
fn memory_for_the_maps_that_is_missing_is_named() {
    let (mut lab, node) = raise("no-memory");
    let last = last_words(&mut lab, &node, |pod| {
        let memory = json!({ "memory": "48Mi" });
        pod["containers"][0]["resources"] = json!({ "requests": memory, "limits": memory });
    });
    assert!(
        last.contains("--map-memory") && last.contains("48"),
        "{last}"
    );
}

/// Where the maps fit and the process does not, the agent ends by itself or the kernel kills it;
/// in half of what the chart gives it, it counts. Both begin with what may become too little.
#[test]
fn memory_for_the_process_that_is_missing_is_named_before_it_ends() {
    let (mut lab, node) = raise("half-memory");
    let limited = |pod: &mut Value, mebibytes: u64| {
        let memory = json!({ "memory": format!("{mebibytes}Mi") });
        pod["containers"][0]["resources"] = json!({ "requests": memory, "limits": memory });
    };
    let named = |said: &str, mebibytes: u64| {
        let limit = format!("the memory cgroup allows {mebibytes}.0 MiB");
        said.contains(&limit) && said.contains("--map-memory or --max-series")
    };
    // Maps of 64 MiB, and 4 for the process.
    let least = container(&mut lab, &node, |pod| limited(pod, 68));
    let plan = lab.agent("a1").unwrap().in_container(least.command());
    let (status, said) = plan.run(PATIENCE).unwrap();
    assert!(!status.success() && named(&said, 68), "{status}: {said}");
    drop(least);

    let mut half = 0;
    let half_of_it = container(&mut lab, &node, |pod| {
        let given = pod["containers"][0]["resources"]["limits"]["memory"].as_str();
        half = given
            .unwrap()
            .trim_end_matches("Mi")
            .parse::<u64>()
            .unwrap()
            / 2;
        limited(pod, half);
    });
    let plan = lab.agent("a1").unwrap().in_container(half_of_it.command());
    let agent = plan.start_ready().unwrap();
    let said = agent.log().unwrap();
    assert!(named(&said, half), "{said}");
}

#[test]
fn a_right_that_is_missing_is_named() {
    let (mut lab, node) = raise("no-verb");
    let rule = |group: &str, resource: &str, verbs: &[&str]| json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs });
    let both = ["list", "watch"];
    let rules = json!([
        rule("", "nodes", &both),
        rule("", "pods", &both),
        rule("", "services", &["watch"]),
        rule("discovery.k8s.io", "endpointslices", &both),
    ]);
    lab.api().unwrap().set_rules(&rules).unwrap();
    let container = container(&mut lab, &node, |_| {});
    let agent = lab
        .agent("a1")
        .unwrap()
        .in_container(container.command())
        .start()
        .unwrap();
    let mut body = String::new();
    kubelet::wait("readiness", || {
        body = agent
            .get("/readyz")
            .map(|answer| answer.body)
            .unwrap_or_default();
        body.contains("missing RBAC: list services")
    });
}
