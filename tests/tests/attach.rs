//! Both ways to attach, on whatever kernel this is.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{net::SocketAddr, time::Duration};

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
