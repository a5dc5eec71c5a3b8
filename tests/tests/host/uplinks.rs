//! Uplinks that come and go: with the node's cards, and with `--uplink`.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use zonemeter_lab::{
    Lab, Metrics, Namespace,
    traffic::{self, Datagrams},
    until,
};

use super::scene::*;

/// How often each uplink is taken away and put back.
const TIMES: usize = 5;

/// A card comes and goes while another one is busy: the sums hold at every scrape, and nothing of it
/// stays.
#[test]
fn an_uplink_that_comes_and_goes_under_load_leaves_every_sum_exact() {
    let mut scene = Scene::raise(plan("host-card"), |agent| agent);
    let (node, near) = (scene.node(), scene.pod("same-zone"));
    let (address, own) = (near.v4().unwrap(), node.namespace().clone());
    let done = AtomicBool::new(false);
    let (agent, groups) = (&mut scene.agent, &scene.groups);
    thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let speak = || {
                while !done.load(Ordering::Relaxed) {
                    traffic::tcp_transfer(&own, near.namespace(), address, 0, 500_000).unwrap();
                }
            };
            groups.inside(KUBELET, speak).unwrap();
        });
        let ends = Ends(&done);
        for _ in 0..TIMES {
            ip(&own, "link add eth7 type veth peer name far7");
            ip(&own, "link set eth7 up");
            ip(&own, "link set far7 up");
            agent
                .wait_until(WITHIN, |metrics| {
                    check_host_family(metrics);
                    metrics.sum("zonemeter_uplinks", &[]) == 3
                })
                .unwrap();
            ip(&own, "link del eth7");
            agent
                .wait_until(WITHIN, |metrics| {
                    check_host_family(metrics);
                    metrics.sum("zonemeter_uplinks", &[]) == 2
                })
                .unwrap();
        }
        drop(ends);
        busy.join().unwrap();
    });
    let metrics = agent.settled().unwrap();
    check_host_family(&metrics);
    let truth = scene.lab.uplink_truth().unwrap();
    let [sent, received] = of_host(&metrics, ("workload", "kubelet.service"), "same-zone");
    let most = 1000;
    assert_nearly(sent, truth.arrived(node.address(), address), most, "sent");
    assert_nearly(
        received,
        truth.delivered(address, node.address()),
        most,
        "received",
    );
    assert_eq!(metrics.sum("zonemeter_reconciliation_errors_total", &[]), 0);
}

fn ip(node: &Namespace, line: &str) {
    let mut ip = node.command("ip");
    let status = ip.args(line.split(' ')).status().unwrap();
    assert!(status.success(), "ip {line}");
}

/// The filters on a card of the node, as `tc` lists them.
fn filters(lab: &Lab, card: &str) -> String {
    let node = lab.node("a1").unwrap();
    ["ingress", "egress"]
        .map(|hook| {
            let mut tc = node.namespace().command("tc");
            let output = tc
                .args(["filter", "show", "dev", card, hook])
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
        .concat()
}

/// What an earlier agent put on a card that `--uplink` no longer names is taken off.
#[test]
fn a_card_that_is_no_longer_named_is_left_alone() {
    let lab = Lab::raise(plan("host-named")).unwrap();
    let agent = |uplink: &str| {
        let plan = lab.agent("a1").unwrap().flag("--uplink", uplink);
        let plan = plan.flag("--attach", "tc").flag("--interval", "100ms");
        plan.start_ready().unwrap()
    };
    let cards = |metrics: &Metrics| metrics.sum("zonemeter_uplinks", &[]);
    let mut first = agent("eth*");
    first
        .wait_until(WITHIN, |metrics| cards(metrics) == 2)
        .unwrap();
    assert!(filters(&lab, "eth1").contains("zonemeter"));
    first.stop().unwrap();
    let mut second = agent("eth0");
    second
        .wait_until(WITHIN, |metrics| cards(metrics) == 1)
        .unwrap();
    let is_clean = || (!filters(&lab, "eth1").contains("zonemeter")).then_some(());
    until(WITHIN, "filters of the earlier agent", is_clean).unwrap();
    assert!(filters(&lab, "eth0").contains("zonemeter"));
    // What is sent by it is counted once, by the card that is named.
    let (node, near) = (
        lab.node("a1").unwrap(),
        lab.pod("default/same-zone").unwrap(),
    );
    let to = std::net::SocketAddr::new(near.v4().unwrap(), 7000);
    traffic::udp_send(
        node.namespace(),
        near.namespace(),
        to,
        Datagrams::new(10, 100),
    )
    .unwrap();
    let sent = |metrics: &Metrics| {
        metrics.sum(
            "zonemeter_host_packets_total",
            &[("direction", "transmit"), ("peer_workload", "same-zone")],
        )
    };
    second
        .wait_until(Duration::from_secs(30), |metrics| sent(metrics) == 10)
        .unwrap();
}
