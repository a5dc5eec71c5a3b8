//! Veths that a pod has beside its first, or that have other names: IPv4 egress of an IPv6
//! cluster, a second NIC, security groups for pods.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use zonemeter_lab::{
    Agent, Family, Lab, Metrics, Plan, Pod, PodPlan, oracle,
    traffic::{self, Datagrams},
};

fn agents(lab: &Lab) -> Vec<Agent> {
    lab.start_agents(|agent| agent.flag("--interval", "100ms"))
        .unwrap()
}

/// `/api/interfaces`: pod and how it was found, by the interface's name.
fn interfaces(agent: &mut Agent) -> BTreeMap<String, (String, String)> {
    agent.settled().unwrap();
    let answer = agent.debug("/api/interfaces").unwrap();
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = answer["interfaces"].as_array().unwrap().iter();
    let row = |row: &Value| {
        let pod = (text(&row["pod"]), text(&row["pod_found_by"]));
        (text(&row["name"]), pod)
    };
    rows.map(row).collect()
}

fn found(interface: &str, pod: &str, by: &str) -> (String, (String, String)) {
    (interface.to_owned(), (pod.to_owned(), by.to_owned()))
}

fn exchange(client: &Pod, server: &zonemeter_lab::Namespace, address: IpAddr) {
    let inside = client.namespace();
    traffic::tcp_transfer(inside, server, address, 0, 1_000_000).unwrap();
    let to = SocketAddr::new(address, 7000);
    traffic::udp_send(inside, server, to, Datagrams::new(100, 1000)).unwrap();
    traffic::ping(inside, address, 2).unwrap();
}

fn ip(lab: &Lab, node: &str, words: &str) {
    let node = lab.node(node).unwrap();
    let status = node
        .namespace()
        .command("ip")
        .args(words.split(' '))
        .status();
    assert!(status.unwrap().success(), "ip {words}");
}

/// A container that is no pod has a veth with a name of the same form.
fn start_container(lab: &Lab) {
    let inside = format!("zm.{}.container", lab.name());
    let status = Command::new("ip").args(["netns", "add", &inside]).status();
    assert!(status.unwrap().success());
    let words = "link add vethdeadbeef type veth peer name eth0 netns";
    ip(lab, "a1", &format!("{words} {inside}"));
    ip(lab, "a1", "link set vethdeadbeef up");
}

/// Two pods of two nodes with the same IPv4 address, which means something on its node only.
#[test]
fn ipv4_egress_is_its_pods_and_no_containers() {
    let plan = Plan::new("egress")
        .family(Family::V6)
        .pod(PodPlan::new("default", "a", "a1").ipv4_egress(2))
        .pod(PodPlan::new("default", "second", "a1").ipv4_egress(3))
        .pod(PodPlan::new("default", "b", "b1").ipv4_egress(2));
    let lab = Lab::raise(plan).unwrap();
    start_container(&lab);
    let mut agents = agents(&lab);
    let pods = ["default/a", "default/second", "default/b"].map(|key| lab.pod(key).unwrap());
    let mut internet = Vec::new();
    for (index, pod) in pods.iter().enumerate() {
        let v4 = IpAddr::from([35, 92, 124, 10 + index as u8]);
        for host in [v4, lab.internet_host_v6(index)] {
            exchange(pod, lab.internet(), host);
            internet.push((pod.clone(), host));
        }
    }
    exchange(&pods[0], pods[2].namespace(), pods[2].address());
    oracle::wait_exact(&lab, &mut agents, &internet).unwrap();
    let beside = |pod: &Pod| found(pod.second_veths()[0], pod.name(), "network_namespace");
    let named = |pod: &Pod| found(pod.veth(), pod.name(), "name");
    let expected = pods[..2].iter().flat_map(|pod| [named(pod), beside(pod)]);
    assert_eq!(interfaces(&mut agents[0]), expected.collect());
}

/// The pod comes while the agent runs: in whatever order its veths are noticed, both count.
#[test]
fn ipv4_egress_of_a_pod_that_comes_later_is_counted() {
    let plan = Plan::new("egress-late")
        .family(Family::V6)
        .pod(PodPlan::new("default", "b", "b1"));
    let mut lab = Lab::raise(plan).unwrap();
    let agent = lab.agent("a1").unwrap().flag("--interval", "100ms");
    let mut agent = agent.start_ready().unwrap();
    for round in 0..5 {
        let name = format!("late-{round}");
        let plan = PodPlan::new("default", &name, "a1").ipv4_egress(2 + round);
        let pod = lab.add_pod(plan).unwrap();
        let both = 2 * (u64::from(round) + 1);
        agent
            .wait_until(Duration::from_secs(10), |metrics| {
                metrics.sum("zonemeter_interfaces", &[]) == both
            })
            .unwrap();
        let server = SocketAddr::from(([35, 92, 124, 10], 7000));
        let what = Datagrams::new(100, 1000);
        traffic::udp_send(pod.namespace(), lab.internet(), server, what).unwrap();
        let labels = [
            ("pod", name.as_str()),
            ("scope", "internet"),
            ("direction", "transmit"),
        ];
        let sent = |metrics: &Metrics| metrics.sum("zonemeter_pod_bytes_total", &labels);
        let metrics = agent
            .wait_until(Duration::from_secs(10), |metrics| sent(metrics) >= 102_800)
            .unwrap();
        assert_eq!(sent(&metrics), 102_800);
    }
}

/// The second NIC's address is not in the API: the device tells whose it is.
#[test]
fn a_second_nic_is_its_pods() {
    let plan = Plan::new("second-nic")
        .pod(PodPlan::new("default", "a", "a1").second_nic())
        .pod(PodPlan::new("default", "b", "b1"));
    let lab = Lab::raise(plan).unwrap();
    let (a, b) = (lab.pod("default/a").unwrap(), lab.pod("default/b").unwrap());
    let [nic] = a.second_addresses()[..] else {
        panic!("{a:?}")
    };
    let host = lab.internet_host(0);
    for peer in [b.address(), host] {
        let route = format!("route add {peer} via 169.254.1.1 dev mNicIf1 onlink src {nic}");
        let mut command = a.namespace().command("ip");
        assert!(command.args(route.split(' ')).status().unwrap().success());
    }
    let mut agents = agents(&lab);
    exchange(&a, b.namespace(), b.address());
    exchange(&a, lab.internet(), host);
    let shown = oracle::wait_exact(&lab, &mut agents, &[(a.clone(), host)]).unwrap();
    assert!(shown.values().map(|count| count.bytes).sum::<u64>() > 3_000_000);
    let first = a.interface_count().unwrap();
    assert!(
        first.received.bytes < 10_000,
        "all went by the second NIC: {first:?}"
    );
    let expected = [
        found(a.veth(), "a", "name"),
        found(a.second_veths()[0], "a", "name"),
    ];
    assert_eq!(interfaces(&mut agents[0]), expected.into());
}

/// `vlan.eth.<id>` carries the same bytes once more and is not counted.
#[test]
fn security_groups_for_pods_count_once() {
    let plan = Plan::new("branch-eni")
        .pod(PodPlan::new("default", "guarded", "a1").security_groups(1))
        .pod(PodPlan::new("default", "same-node", "a1"))
        .pod(PodPlan::new("default", "same-zone", "a2"))
        .pod(PodPlan::new("default", "other-zone", "b1"));
    let lab = Lab::raise(plan).unwrap();
    let guarded = lab.pod("default/guarded").unwrap();
    assert!(guarded.veth().starts_with("vlan"), "{guarded:?}");
    let mut agents = agents(&lab);
    for peer in [
        "default/same-node",
        "default/same-zone",
        "default/other-zone",
    ] {
        let peer = lab.pod(peer).unwrap();
        exchange(&guarded, peer.namespace(), peer.address());
    }
    let host = lab.internet_host(0);
    exchange(&guarded, lab.internet(), host);
    oracle::wait_exact(&lab, &mut agents, &[(guarded.clone(), host)]).unwrap();
    let near = lab.pod("default/same-node").unwrap();
    let expected = [
        found(guarded.veth(), "guarded", "name"),
        found(near.veth(), "same-node", "name"),
    ];
    assert_eq!(interfaces(&mut agents[0]), expected.into());
}

/// A CNI whose names say nothing: the node's route to the pod's address does, before the pod has
/// sent anything from it; with security groups for pods it is in a table of the pod's own.
#[test]
fn a_veth_whose_name_says_nothing_is_found_by_route() {
    let plan = Plan::new("by-route")
        .pod(PodPlan::new("default", "main", "a1"))
        .pod(PodPlan::new("default", "own-table", "a1").security_groups(1))
        .pod(PodPlan::new("default", "b", "b1"));
    let lab = Lab::raise(plan).unwrap();
    let pods = ["default/main", "default/own-table"].map(|key| lab.pod(key).unwrap());
    for (index, pod) in pods.iter().enumerate() {
        let veth = pod.veth();
        ip(&lab, "a1", &format!("link set dev {veth} name cali{index}"));
    }
    ip(&lab, "a1", "rule add iif cali1 lookup 101 pref 10");
    let agent = lab.agent("a1").unwrap().flag("--interval", "100ms");
    let agent = agent.flag("--interface", "cali*");
    let mut agent = agent.start_ready().unwrap();
    let b = lab.pod("default/b").unwrap();
    for pod in &pods {
        let to = SocketAddr::new(b.address(), 7000);
        let what = Datagrams::new(100, 1000);
        traffic::udp_send(pod.namespace(), b.namespace(), to, what).unwrap();
        let metrics = agent.settled().unwrap();
        let labels = [
            ("pod", pod.name()),
            ("scope", "cross_zone"),
            ("direction", "transmit"),
        ];
        assert_eq!(metrics.sum("zonemeter_pod_bytes_total", &labels), 102_800);
    }
    let expected = [
        found("cali0", "main", "route"),
        found("cali1", "own-table", "route"),
    ];
    assert_eq!(interfaces(&mut agent), expected.into());
}
