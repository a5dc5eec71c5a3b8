//! The bandwidth plugin's `ingress` qdisc, beside which clsact cannot be: no pod fails because of
//! the agent, and what cannot be counted has a name.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{fs, net::SocketAddr, time::Duration};

use zonemeter_lab::{
    Agent, Lab, Metrics, NodePlan, Plan, Pod, PodPlan,
    address::Zone,
    foreign::{PolicyAgent, tc},
    traffic::{self, Datagrams},
};

fn raise(name: &str) -> Lab {
    let plan = Plan::empty(name)
        .node(NodePlan::new("a1", Zone::A).single_eni())
        .node(NodePlan::new("b1", Zone::B).single_eni())
        .pod(PodPlan::new("default", "limited", "a1"))
        .pod(PodPlan::new("default", "free", "a1"))
        .pod(PodPlan::new("default", "far", "b1"));
    Lab::raise(plan).unwrap()
}

/// What the plugin does for a pod with a limit.
fn limit(pod: &Pod) {
    tc(pod, "qdisc add dev VETH ingress").unwrap();
}

/// 100 datagrams each way between the pod and one in another zone: bytes counted from the pod,
/// and to it.
fn counted(lab: &Lab, agent: &mut Agent, pod: &Pod) -> [u64; 2] {
    let far = lab.pod("default/far").unwrap();
    let read = |metrics: &Metrics| {
        ["transmit", "receive"].map(|direction| {
            let labels = [("pod", pod.name()), ("direction", direction)];
            metrics.sum("zonemeter_pod_bytes_total", &labels)
        })
    };
    let before = read(&agent.settled().unwrap());
    for (from, to) in [(pod, &far), (&far, pod)] {
        let server = SocketAddr::new(to.address(), 7000);
        let what = Datagrams::new(100, 1000);
        traffic::udp_send(from.namespace(), to.namespace(), server, what).unwrap();
    }
    let after = read(&agent.settled().unwrap());
    [after[0] - before[0], after[1] - before[1]]
}

fn interfaces(metrics: &Metrics) -> u64 {
    metrics.sum("zonemeter_interfaces", &[])
}

#[test]
fn beside_an_ingress_qdisc_clsact_counts_what_comes_from_the_pod_and_names_the_rest() {
    let lab = raise("ingress-tc");
    let (limited, free) = (
        lab.pod("default/limited").unwrap(),
        lab.pod("default/free").unwrap(),
    );
    limit(&limited);
    let plan = lab.agent("a1").unwrap().flag("--interval", "100ms");
    let mut agent = plan.flag("--attach", "tc").start_ready().unwrap();
    assert_eq!(counted(&lab, &mut agent, &limited), [102_800, 0]);
    assert_eq!(counted(&lab, &mut agent, &free), [102_800; 2]);
    let metrics = agent.scrape().unwrap();
    assert_eq!(metrics.sum("zonemeter_attach_failures_total", &[]), 1);
    assert_eq!(
        (
            interfaces(&metrics),
            metrics.sum("zonemeter_shadowed_interfaces", &[])
        ),
        (2, 0)
    );
    let ready = agent.get("/readyz").unwrap();
    let named = format!(
        "interfaces: {} (Egress): its ingress qdisc bars clsact",
        limited.veth()
    );
    assert!(
        ready.status == 200 && ready.body.contains(&named),
        "{ready:?}"
    );
    let listed = agent.debug("/api/interfaces").unwrap().body;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let lacks = |pod: &Pod| {
        let all = listed["interfaces"].as_array().unwrap();
        all.iter().find(|one| one["name"] == pod.veth()).unwrap()["lacks"].clone()
    };
    assert!(lacks(&limited).as_str().unwrap().contains("ingress qdisc"));
    assert!(lacks(&free).is_null());
    let qdiscs = tc(&limited, "qdisc show dev VETH").unwrap();
    assert!(
        qdiscs.contains("ingress") && !qdiscs.contains("clsact"),
        "{qdiscs}"
    );
}

#[test]
fn beside_an_ingress_qdisc_tcx_counts_everything() {
    let lab = raise("ingress-tcx");
    let limited = lab.pod("default/limited").unwrap();
    limit(&limited);
    let plan = lab.agent("a1").unwrap().flag("--interval", "100ms");
    let mut agent = plan.flag("--attach", "tcx").start_ready().unwrap();
    assert_eq!(counted(&lab, &mut agent, &limited), [102_800; 2]);
    assert!(!agent.get("/readyz").unwrap().body.contains("interfaces"));
}

/// A veth comes before the plugin has added its qdisc: clsact would be in its way.
#[test]
fn with_the_plugin_in_the_chain_clsact_is_added_nowhere() {
    let lab = raise("chained-bandwidth");
    let chain = lab.directory().join("cni");
    fs::create_dir_all(&chain).unwrap();
    let text = r#"{"name":"aws-cni","plugins":[{"type":"aws-cni"},{"type":"bandwidth"}]}"#;
    fs::write(chain.join("10-aws.conflist"), text).unwrap();
    let (limited, free) = (
        lab.pod("default/limited").unwrap(),
        lab.pod("default/free").unwrap(),
    );
    let plan = lab.agent("a1").unwrap().flag("--interval", "100ms");
    let plan = plan.flag("--attach", "tc").flag("--cni-dir", &chain);
    let mut agent = plan.start_ready().unwrap();
    assert_eq!(interfaces(&agent.settled().unwrap()), 0);
    let ready = agent.get("/readyz").unwrap();
    assert!(ready.status == 200, "{ready:?}");
    for pod in [&limited, &free] {
        assert!(ready.body.contains(pod.veth()), "{ready:?}");
        let qdiscs = tc(pod, "qdisc show dev VETH").unwrap();
        assert!(!qdiscs.contains("clsact"), "{qdiscs}");
    }
    // The plugin comes, and the policy agent, which adds clsact itself.
    limit(&limited);
    let policy = PolicyAgent::start(free.node(), "policy", 7999).unwrap();
    policy.attach(&free).unwrap();
    let both = |metrics: &Metrics| interfaces(metrics) == 2;
    agent.wait_until(Duration::from_secs(5), both).unwrap();
    assert_eq!(counted(&lab, &mut agent, &limited), [102_800, 0]);
    assert_eq!(counted(&lab, &mut agent, &free), [102_800; 2]);
}
