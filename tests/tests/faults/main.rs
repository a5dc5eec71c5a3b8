//! What goes wrong around attaching: hooks without room, names that return, floods of veths, disks
//! that hang, pins that vanish, and a second agent. Every byte is counted or said to be missed.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]
#![expect(
    clippy::print_stdout,
    reason = "what was measured stands in docs/hooks.md"
)]

mod attach;
mod neighbours;
mod pins;
mod slow;
mod slow_disk;

use std::{net::SocketAddr, thread, time::Duration};

use zonemeter_lab::{
    Agent, AgentPlan, Lab, Metrics, NodePlan, Plan, Pod, PodPlan, SILENCE,
    address::Zone,
    traffic::{self, Datagrams},
    until,
};

/// Layer-3 bytes of a datagram that [`send`] sends.
const DATAGRAM: u64 = 1028;

/// One pod that everything happens to, and one in another zone.
fn raise(name: &str) -> (Lab, Pod, Pod) {
    let plan = Plan::empty(name)
        .node(NodePlan::new("a1", Zone::A).single_eni())
        .node(NodePlan::new("b1", Zone::B).single_eni())
        .pod(PodPlan::new("default", "client", "a1"))
        .pod(PodPlan::new("default", "far", "b1"));
    let lab = Lab::raise(plan).unwrap();
    let (client, far) = (lab.pod("default/client"), lab.pod("default/far"));
    (lab, client.unwrap(), far.unwrap())
}

fn plan(lab: &Lab, mode: &str) -> AgentPlan {
    let plan = lab.agent("a1").unwrap().flag("--interval", "100ms");
    plan.flag("--attach", mode)
}

/// Sends so many datagrams and waits until all have arrived.
fn send(from: &Pod, to: &Pod, datagrams: u32) {
    let server = SocketAddr::new(to.address(), 7000);
    let what = Datagrams::new(datagrams, 1000);
    traffic::udp_send(from.namespace(), to.namespace(), server, what).unwrap();
}

/// What the veth has carried from the pod and to it once nothing moves, less Ethernet headers.
fn carried(pod: &Pod) -> [u64; 2] {
    let read = || {
        let count = pod.interface_count().unwrap().layer_3();
        [count.received.bytes, count.sent.bytes]
    };
    let mut last = read();
    until(Duration::from_secs(30), "silence", || {
        thread::sleep(SILENCE);
        let before = std::mem::replace(&mut last, read());
        (before == last).then_some(last)
    })
    .unwrap()
}

fn by_direction(metrics: &Metrics, name: &str, labels: &[(&str, &str)]) -> [u64; 2] {
    ["transmit", "receive"].map(|direction| {
        let labels = [labels, &[("direction", direction)]].concat();
        metrics.sum(name, &labels)
    })
}

fn before_attach(metrics: &Metrics) -> [u64; 2] {
    by_direction(metrics, "zonemeter_before_attach_bytes_total", &[])
}

/// What is shown of this pod, by direction.
fn counted(metrics: &Metrics, pod: &Pod) -> [u64; 2] {
    let labels = [("pod", pod.name())];
    by_direction(metrics, "zonemeter_pod_bytes_total", &labels)
}

/// So many datagrams each way are counted to the byte.
fn is_exact(agent: &mut Agent, client: &Pod, far: &Pod) {
    let before = counted(&agent.settled().unwrap(), client);
    send(client, far, 30);
    send(far, client, 20);
    let after = counted(&agent.settled().unwrap(), client);
    let passed = [after[0] - before[0], after[1] - before[1]];
    assert_eq!(passed, [30 * DATAGRAM, 20 * DATAGRAM]);
}

fn interfaces(metrics: &Metrics) -> u64 {
    metrics.sum("zonemeter_interfaces", &[])
}

fn wait_for_interfaces(agent: &mut Agent, count: u64, seconds: u64) {
    agent
        .wait_until(Duration::from_secs(seconds), |metrics| {
            interfaces(metrics) == count
        })
        .unwrap();
}

/// The agent counts on `interfaces` and knows all pods of the lab, and a new one has said its hello.
fn wait_for_pod(agent: &mut Agent, lab: &Lab, pod: &Pod, interfaces: u64) {
    wait_for_interfaces(agent, interfaces, 3);
    let pods = lab.pods().len() as u64;
    let known =
        |metrics: &Metrics| metrics.sum("zonemeter_cluster_objects", &[("kind", "Pod")]) == pods;
    agent.wait_until(Duration::from_secs(10), known).unwrap();
    carried(pod);
}

fn ready(agent: &Agent) -> String {
    agent.get("/readyz").unwrap().body
}
