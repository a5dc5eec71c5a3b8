//! Trunk and branch ENIs: what passes `vlan.eth.N` passes the trunk, too, and is counted there.

use std::net::SocketAddr;

use zonemeter_lab::{
    Count, PodPlan, Way, count, output,
    traffic::{self, Datagrams},
};

use super::{
    echo::{Echo, ask, asked, asking},
    scene::*,
};

#[test]
fn each_byte_over_a_trunk_is_counted_once() {
    let guarded = PodPlan::new("default", "guarded", "a1").security_groups(1);
    let mut scene = Scene::raise(plan("host-trunk").pod(guarded), |agent| agent);
    let (node, guarded, far) = (scene.node(), scene.pod("guarded"), scene.pod("other-zone"));
    let (own, trunk) = (node.namespace(), node.eni_address(1));
    // From the trunk's own address by the trunk, as the CNI routes it.
    let rule = format!("rule add from {trunk} lookup 2 pref 1536");
    output(own.command("ip").args(rule.split(' '))).unwrap();
    for (inside, address) in [
        (
            scene.pod("same-zone").namespace(),
            scene.pod("same-zone").v4().unwrap(),
        ),
        (far.namespace(), far.v4().unwrap()),
        (scene.lab.internet(), scene.lab.internet_host(0)),
    ] {
        traffic::tcp_transfer(guarded.namespace(), inside, address, 0, 1_000_000).unwrap();
        let to = SocketAddr::new(address, 7000);
        traffic::udp_send(guarded.namespace(), inside, to, Datagrams::new(100, 1000)).unwrap();
    }
    traffic::tcp_transfer(
        far.namespace(),
        guarded.namespace(),
        guarded.v4().unwrap(),
        0,
        500_000,
    )
    .unwrap();
    let server = SocketAddr::new(far.v4().unwrap(), 7001);
    let _echo = Echo::start(far.namespace(), server);
    let open = || {
        let bound = super::echo::socket(own, SocketAddr::new(trunk, 0));
        bound.connect(server).unwrap();
        bound
    };
    ask(&scene.groups.inside(KUBELET, open).unwrap(), 50);
    let elsewhere = || asking(own, server);
    ask(&scene.groups.inside(CONTAINERD, elsewhere).unwrap(), 20);

    let metrics = scene.exact();
    assert_eq!(metrics.sum("zonemeter_uplinks", &[]), 2, "never vlan.eth.1");
    let truth = scene.lab.uplink_truth().unwrap();
    let of_pod = |way, is_its: &dyn Fn(&zonemeter_lab::Record) -> bool| {
        count(
            truth
                .pairs
                .iter()
                .filter(|record| record.way == way && is_its(record)),
        )
    };
    let address = guarded.v4().unwrap();
    let sent = of_pod(Way::Arrived, &|record| record.source == address);
    let received = of_pod(Way::Delivered, &|record| record.destination == address);
    assert!(
        sent.bytes > 3_000_000 && received.bytes > 500_000,
        "{sent:?} {received:?}"
    );
    for (direction, wire) in [("transmit", sent), ("receive", received)] {
        assert_eq!(class(&metrics, direction, "pod"), wire.bytes, "{direction}");
        let labels = [("pod", "guarded"), ("direction", direction)];
        let shown = Count {
            bytes: metrics.sum("zonemeter_pod_bytes_total", &labels),
            packets: metrics.sum("zonemeter_pod_packets_total", &labels),
        };
        assert_eq!(shown, wire, "{direction}");
    }
    let kubelet = of_host(&metrics, ("workload", "kubelet.service"), "other-zone");
    assert_eq!(kubelet, [asked(50), asked(50)], "by the trunk");
    let there = [
        truth.arrived(trunk, far.v4().unwrap()),
        truth.delivered(far.v4().unwrap(), trunk),
    ];
    assert_eq!(kubelet, there);
    let containerd = of_host(&metrics, ("workload", "containerd.service"), "other-zone");
    assert_eq!(containerd, [asked(20), asked(20)], "by the first card");
}
