//! Both ways to attach, on whatever kernel this is.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "privilege/user.rs"]
mod user;

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use zonemeter_lab::{
    Agent, Lab, NodePlan, Plan, PodPlan,
    address::Zone,
    kernel,
    traffic::{self, Datagrams},
};

/// One agent and three pods: small enough for an emulated machine.
fn lab(name: &str) -> Lab {
    let plan = Plan::empty(name)
        .node(NodePlan::new("a1", Zone::A).single_eni())
        .node(NodePlan::new("b1", Zone::B).single_eni())
        .pod(PodPlan::new("default", "client", "a1"))
        .pod(PodPlan::new("default", "near", "a1"))
        .pod(PodPlan::new("default", "far", "b1"));
    Lab::raise(plan).unwrap()
}

/// Known amounts to a pod of the node and to one in another zone, seen from the node: 2 × 84
/// bytes each way for default pings, 100 × 1028 one way for datagrams.
fn counts_what_is_sent(lab: &Lab, agent: &mut Agent, mode: &str) {
    let client = lab.pod("default/client").unwrap();
    for peer in ["default/near", "default/far"] {
        let peer = lab.pod(peer).unwrap();
        traffic::ping(client.namespace(), peer.address(), 2).unwrap();
        let server = SocketAddr::new(peer.address(), 7000);
        let what = Datagrams::new(100, 1000);
        traffic::udp_send(client.namespace(), peer.namespace(), server, what).unwrap();
    }
    let metrics = agent.settled().unwrap();
    assert_eq!(metrics.sum("zonemeter_interfaces", &[("mode", mode)]), 2);
    for scope in ["intra_node", "cross_zone"] {
        let bytes = |direction| {
            let labels = [
                ("pod", "client"),
                ("scope", scope),
                ("direction", direction),
            ];
            metrics.sum("zonemeter_pod_bytes_total", &labels)
        };
        assert_eq!(bytes("transmit"), 168 + 102_800, "{scope}");
        assert_eq!(bytes("receive"), 168, "{scope}");
    }
}

#[test]
fn filters_of_clsact_count_exactly() {
    let lab = lab("attach-tc");
    let mut agent = lab
        .agent("a1")
        .unwrap()
        .flag("--attach", "tc")
        .start_ready()
        .unwrap();
    counts_what_is_sent(&lab, &mut agent, "tc");
}

/// The best way is taken where none is asked for; TCX that is asked for and that the kernel lacks
/// ends the process with one line.
#[test]
fn tcx_counts_exactly_where_the_kernel_has_it_and_is_not_missed_where_it_has_not() {
    let lab = lab("attach-tcx");
    let best = if kernel::has_tcx().unwrap() {
        "tcx"
    } else {
        "tc"
    };
    let plan = lab.agent("a1").unwrap();
    let mut agent = plan.start_ready().unwrap();
    counts_what_is_sent(&lab, &mut agent, best);
    if !kernel::has_tcx().unwrap() {
        agent.stop().unwrap();
        let asked = plan.flag("--attach", "tcx");
        let (status, said) = asked.run(Duration::from_secs(10)).unwrap();
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(
            said.contains("--attach tcx") && said.contains("6.6"),
            "{said}"
        );
    }
}

/// A user with three capabilities may lock 64 KiB of memory. Before Linux 5.11 maps count against
/// that: `check` and the agent name the limit and both remedies, and each of these is one.
#[test]
fn a_limit_of_locked_memory_is_named_where_maps_count_against_it() {
    let lab = lab("attach-memlock");
    user::give_pins(&lab);
    let wrapper = |limit: &str, more: &[&str]| {
        let prlimit = ["prlimit".to_owned(), format!("--memlock={limit}")].to_vec();
        let capabilities = [&user::CAPABILITIES, more].concat();
        [prlimit, user::as_user(&capabilities)].concat()
    };
    let little = wrapper("65536:65536", &[]);
    let memory = map_memory(&lab, &little);
    let enough = if kernel::version().unwrap() < (5, 11) {
        assert_eq!(memory["status"], "failed", "{memory}");
        let plan = user::plan(&lab, &little);
        let (status, said) = plan.run(Duration::from_secs(10)).unwrap();
        assert_eq!(status.code(), Some(2), "{said}");
        for text in [memory.to_string(), said] {
            for word in [
                "RLIMIT_MEMLOCK is 64KiB",
                "CAP_SYS_RESOURCE",
                "LimitMEMLOCK",
            ] {
                assert!(text.contains(word), "{word}: {text}");
            }
        }
        let raised = map_memory(&lab, &wrapper("65536:65536", &["sys_resource"]));
        assert_eq!(raised["status"], "ok", "{raised}");
        wrapper("unlimited:unlimited", &[])
    } else {
        assert_eq!(memory["status"], "ok", "{memory}");
        little
    };
    let plan = user::plan(&lab, &enough).flag("--attach", "tc");
    counts_what_is_sent(&lab, &mut plan.start_ready().unwrap(), "tc");
}

/// What `check` says of map memory.
fn map_memory(lab: &Lab, wrapper: &[String]) -> Value {
    let node = lab.node("a1").unwrap();
    let mut command = node.namespace().command(&wrapper[0]);
    command.args(&wrapper[1..]).arg(user::binary(lab));
    command.args(["check", "--json", "--node-name", "a1", "--pin-dir"]);
    let output = command.arg(node.pin_directory()).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = report["requirements"].as_array().unwrap();
    let memory = all.iter().find(|one| one["name"] == "map memory");
    let memory = memory.unwrap_or_else(|| panic!("{report}"));
    let has_no_tables = memory["found"].to_string().contains("no tables");
    assert_eq!(has_no_tables, kernel::is_realtime(), "{memory}");
    memory.clone()
}
