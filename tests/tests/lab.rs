//! The lab itself: its paths and its truth, before any agent looks at them.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    process::{Command, Stdio},
    time::Instant,
};

use zonemeter_lab::{
    Count, Family, Lab, Plan, PodPlan, ServicePlan, Transport, Way, count, remove,
    traffic::{self, Datagrams},
};

/// 100 datagrams of 1000 payload bytes: 1000 + 8 (UDP) + 20 (IPv4) each.
const HUNDRED_DATAGRAMS: Count = Count {
    bytes: 102_800,
    packets: 100,
};

fn four_pods(name: &str) -> Plan {
    Plan::new(name)
        .pod(PodPlan::new("default", "a", "a1"))
        .pod(PodPlan::new("default", "same-node", "a1"))
        .pod(PodPlan::new("default", "same-zone", "a2"))
        .pod(PodPlan::new("default", "other-zone", "b1"))
}

fn send_hundred(lab: &Lab, from: &str, to: &str, server: IpAddr) -> SocketAddr {
    let (from, to) = (lab.pod(from).unwrap(), lab.pod(to).unwrap());
    let server = SocketAddr::new(server, 7000);
    traffic::udp_send(
        from.namespace(),
        to.namespace(),
        server,
        Datagrams::new(100, 1000),
    )
    .unwrap()
}

#[test]
fn truth_equals_known_datagrams_on_every_path_between_pods() {
    let lab = Lab::raise(four_pods("paths-udp")).unwrap();
    let a = lab.pod("default/a").unwrap().address();
    for peer in ["same-node", "same-zone", "other-zone"] {
        let key = format!("default/{peer}");
        let server = lab.pod(&key).unwrap().address();
        let client = send_hundred(&lab, "default/a", &key, server);
        assert_eq!(
            client.ip().to_canonical(),
            a,
            "{peer}: no address is translated in the VPC"
        );
        assert_eq!(lab.between(a, server).unwrap(), HUNDRED_DATAGRAMS, "{peer}");
        assert_eq!(lab.between(server, a).unwrap(), Count::default(), "{peer}");
    }
    let truth = lab.uplink_truth().unwrap();
    let sent = count(
        truth
            .pairs
            .iter()
            .filter(|pair| pair.way == Way::Arrived && pair.source == a),
    );
    assert_eq!(
        sent,
        HUNDRED_DATAGRAMS + HUNDRED_DATAGRAMS,
        "two of three went over the uplink"
    );
    lab.end().unwrap();
}

#[test]
fn two_pings_are_168_bytes_each_way() {
    let lab = Lab::raise(four_pods("paths-ping")).unwrap();
    let a = lab.pod("default/a").unwrap();
    for peer in ["same-node", "same-zone", "other-zone"] {
        let peer = lab.pod(&format!("default/{peer}")).unwrap();
        traffic::ping(a.namespace(), peer.address(), 2).unwrap();
        for (from, to) in [(&a, &peer), (&peer, &a)] {
            let count = lab.between(from.address(), to.address()).unwrap();
            assert_eq!(
                count,
                Count {
                    bytes: 168,
                    packets: 2
                },
                "{} to {}",
                from.key(),
                to.key()
            );
        }
    }
}

#[test]
fn the_internet_sees_the_node_and_not_the_pod() {
    let plan = four_pods("internet").pod(PodPlan::new("default", "second", "a1").secondary_eni());
    let lab = Lab::raise(plan).unwrap();
    for (index, key) in ["default/a", "default/second"].into_iter().enumerate() {
        let pod = lab.pod(key).unwrap();
        let host = lab.internet_host(index);
        let seen =
            traffic::tcp_transfer(pod.namespace(), lab.internet(), host, 8080, 1_000_000).unwrap();
        assert_eq!(seen.ip().to_canonical(), pod.node().address(), "{key}");
        let truth = lab.uplink_truth().unwrap();
        let (toward, away) = truth.server(host, 8080);
        let at_pod = lab.pod_truth(&pod).unwrap().arrived(host, pod.address());
        assert_eq!(
            away, at_pod,
            "{key}: what the pod received is what the internet sent"
        );
        let least = 1_000_000 + 52 * toward.packets + 8;
        assert!(
            (least..least + 50_000).contains(&toward.bytes),
            "{key}: {toward:?}"
        );
        assert_eq!(
            truth.arrived(pod.address(), host),
            Count::default(),
            "{key}"
        );
        let leaving = truth.pairs.iter().filter(|pair| pair.destination == host);
        let links: BTreeSet<_> = leaving.filter_map(|pair| pair.link.as_deref()).collect();
        assert!(
            links.contains("up-a1-0") && !links.contains("up-a1-1"),
            "{key}: {links:?}"
        );
    }
}

#[test]
fn a_pod_on_the_second_eni_talks_to_the_vpc_over_it() {
    let plan = four_pods("second-eni").pod(PodPlan::new("default", "second", "a1").secondary_eni());
    let lab = Lab::raise(plan).unwrap();
    let second = lab.pod("default/second").unwrap();
    let peer = lab.pod("default/other-zone").unwrap();
    traffic::ping(second.namespace(), peer.address(), 2).unwrap();
    let truth = lab.uplink_truth().unwrap();
    let mut links: Vec<_> = truth
        .pairs
        .iter()
        .filter(|pair| pair.source == second.address() || pair.destination == second.address())
        .map(|pair| {
            (
                pair.way == Way::Arrived,
                pair.link.as_deref().unwrap(),
                pair.count.bytes,
            )
        })
        .collect();
    links.sort_unstable();
    assert_eq!(
        links,
        [
            (false, "up-a1-1", 168),
            (false, "up-b1-0", 168),
            (true, "up-a1-1", 168),
            (true, "up-b1-0", 168)
        ]
    );
}

#[test]
fn ipv6_reaches_the_same_places_without_translation() {
    let lab = Lab::raise(four_pods("paths-v6").family(Family::V6)).unwrap();
    let a = lab.pod("default/a").unwrap();
    for peer in ["same-node", "same-zone", "other-zone"] {
        let peer = lab.pod(&format!("default/{peer}")).unwrap();
        assert!(peer.address().is_ipv6());
        traffic::ping(a.namespace(), peer.address(), 2).unwrap();
        for (from, to) in [(&a, &peer), (&peer, &a)] {
            let count = lab.between(from.address(), to.address()).unwrap();
            assert_eq!(
                count,
                Count {
                    bytes: 208,
                    packets: 2
                },
                "{} to {}",
                from.key(),
                to.key()
            );
        }
    }
    let host = lab.internet_host(3);
    let seen = traffic::tcp_transfer(a.namespace(), lab.internet(), host, 8080, 1_000_000).unwrap();
    assert_eq!(seen.ip(), a.address());
    let sent = lab.between(a.address(), host).unwrap();
    let least = 1_000_000 + 72 * sent.packets + 8;
    assert!(
        (least..least + 50_000).contains(&sent.bytes),
        "{sent:?}, at least {least}"
    );
    let got = lab.pod_truth(&a).unwrap().arrived(host, a.address());
    assert_eq!(lab.between(host, a.address()).unwrap(), got);
}

#[test]
fn both_families_stand_beside_each_other() {
    let lab = Lab::raise(four_pods("dual").family(Family::Dual)).unwrap();
    let (a, peer) = (
        lab.pod("default/a").unwrap(),
        lab.pod("default/other-zone").unwrap(),
    );
    for (address, bytes) in [(peer.v4().unwrap(), 168), (peer.v6().unwrap(), 208)] {
        traffic::ping(a.namespace(), address, 2).unwrap();
        let own = if address.is_ipv4() { a.v4() } else { a.v6() }.unwrap();
        assert_eq!(
            lab.between(own, address).unwrap(),
            Count { bytes, packets: 2 }
        );
    }
}

#[test]
fn the_wire_carries_one_packet_per_skb_while_the_pod_sends_super_packets() {
    for (name, mtu, mss) in [("offload-1500", 1500, 1448), ("offload-9001", 9001, 8949)] {
        let lab = Lab::raise(four_pods(name).mtu(mtu)).unwrap();
        let (a, b) = (
            lab.pod("default/a").unwrap(),
            lab.pod("default/other-zone").unwrap(),
        );
        let bytes = 8 << 20;
        traffic::tcp_transfer(a.namespace(), b.namespace(), b.address(), 9000, bytes).unwrap();
        let wire = lab.between(a.address(), b.address()).unwrap();
        assert_eq!(
            wire.bytes,
            bytes + 52 * wire.packets + 8,
            "every packet's headers"
        );
        assert!(
            wire.packets >= bytes / mss,
            "{wire:?} is too few packets for the MTU"
        );
        let inside = lab.pod_truth(&b).unwrap().arrived(a.address(), b.address());
        assert_eq!(inside, wire);
        let veth = a.interface_count().unwrap().layer_3().received;
        assert!(
            veth.packets * 2 < wire.packets && veth.bytes < wire.bytes,
            "without super-packets ({veth:?}) a test of their counting shows nothing"
        );
    }
}

#[test]
fn udp_segments_are_cut_before_the_wire() {
    let lab = Lab::raise(four_pods("udp-gso")).unwrap();
    let (a, b) = (
        lab.pod("default/a").unwrap(),
        lab.pod("default/other-zone").unwrap(),
    );
    let server = SocketAddr::new(b.address(), 7001);
    let what = Datagrams::new(200, 1400).batch(10);
    traffic::udp_send(a.namespace(), b.namespace(), server, what).unwrap();
    let wire = lab.between(a.address(), b.address()).unwrap();
    assert_eq!(
        wire,
        Count {
            bytes: 200 * 1428,
            packets: 200
        }
    );
    assert!(a.interface_count().unwrap().received.packets < 100);
}

#[test]
fn an_uplink_with_gro_joins_packets_for_the_pod() {
    let plan = four_pods("uplink-gro").uplink_gro(true).veth_offloads(true);
    let lab = Lab::raise(plan).unwrap();
    let (a, b) = (
        lab.pod("default/a").unwrap(),
        lab.pod("default/other-zone").unwrap(),
    );
    traffic::tcp_transfer(a.namespace(), b.namespace(), b.address(), 9000, 8 << 20).unwrap();
    let wire = lab.between(a.address(), b.address()).unwrap();
    let to_pod = b.interface_count().unwrap().sent.packets;
    assert!(
        to_pod * 2 < wire.packets,
        "{to_pod} skbs to the pod for {wire:?}"
    );
}

#[test]
fn a_service_address_is_replaced_by_a_backend() {
    let mut lab = Lab::raise(four_pods("service")).unwrap();
    let backends = ["default/same-zone", "default/other-zone"].map(|key| lab.pod(key).unwrap());
    let cluster_ip = IpAddr::from([10, 100, 7, 7]);
    let service = ServicePlan::new("default", "web", cluster_ip)
        .port(Transport::Tcp, 80, 8080)
        .node_port(30080)
        .backend(backends[0].address())
        .backend(backends[1].address());
    lab.add_service(service).unwrap();
    let servers: Vec<_> = backends
        .iter()
        .map(|pod| {
            let patience = std::time::Duration::from_secs(30);
            traffic::http_server(pod.namespace(), 8080, patience).unwrap()
        })
        .collect();
    let a = lab.pod("default/a").unwrap();
    for _ in 0..30 {
        traffic::http_get(a.namespace(), SocketAddr::new(cluster_ip, 80), 1000).unwrap();
    }
    let truth = lab.uplink_truth().unwrap();
    for backend in &backends {
        // One in 2^30 runs sends all thirty connections to the same backend.
        assert!(
            truth.arrived(a.address(), backend.address()).packets > 0,
            "{}",
            backend.key()
        );
    }
    assert_eq!(truth.arrived(a.address(), cluster_ip), Count::default());
    assert!(
        lab.pod_truth(&a)
            .unwrap()
            .arrived(cluster_ip, a.address())
            .bytes
            > 30_000
    );

    let node = lab.node("b1").unwrap();
    traffic::http_get(a.namespace(), SocketAddr::new(node.address(), 30080), 1000).unwrap();
    drop(servers);
}

#[test]
fn many_flows_are_many_ports_at_the_server() {
    let lab = Lab::raise(four_pods("flows")).unwrap();
    let (a, b) = (
        lab.pod("default/a").unwrap(),
        lab.pod("default/other-zone").unwrap(),
    );
    let server = SocketAddr::new(b.address(), 7002);
    traffic::udp_flows(a.namespace(), b.namespace(), server, 10_000..13_000, 100).unwrap();
    let truth = lab.uplink_truth().unwrap();
    let ports: BTreeSet<_> = truth
        .flows
        .iter()
        .filter(|flow| flow.destination == b.address() && flow.way == Way::Arrived)
        .filter_map(|flow| flow.ports)
        .collect();
    assert_eq!(ports.len(), 3_000);
    let expected = Count {
        bytes: 3_000 * 128,
        packets: 3_000,
    };
    assert_eq!(truth.arrived(a.address(), b.address()), expected);
}

#[test]
fn the_cluster_file_names_a_pod_when_it_is_announced() {
    let mut lab = Lab::raise(four_pods("announce")).unwrap();
    let late = lab.wire_pod(PodPlan::new("default", "late", "a1")).unwrap();
    traffic::ping(late.namespace(), lab.pod("default/a").unwrap().address(), 1).unwrap();
    let names = |lab: &Lab| -> Vec<String> {
        let text = std::fs::read_to_string(lab.cluster_file()).unwrap();
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
        let items = list["items"].as_array().unwrap();
        let pods = items.iter().filter(|item| item["kind"] == "Pod");
        pods.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&lab), ["a", "same-node", "same-zone", "other-zone"]);
    lab.announce(&late).unwrap();
    assert_eq!(
        names(&lab),
        ["a", "same-node", "same-zone", "other-zone", "late"]
    );
    lab.unwire_pod(&late).unwrap();
    lab.withdraw(&late).unwrap();
    assert_eq!(names(&lab).len(), 4);
    let links = lab
        .node("a1")
        .unwrap()
        .namespace()
        .command("ip")
        .args(["-o", "link"])
        .output();
    assert!(
        !String::from_utf8(links.unwrap().stdout)
            .unwrap()
            .contains(late.veth())
    );
}

#[test]
fn a_killed_run_leaves_nothing_once_the_name_is_used_again() {
    let name = "killed";
    let lab = Lab::raise(four_pods(name)).unwrap();
    let node = lab.node("a1").unwrap();
    let mut sleeper = node
        .namespace()
        .command("sleep")
        .arg("600")
        .spawn()
        .unwrap();
    // Forgetting the lab is what SIGKILL does to it, except for the lock, which the kernel
    // gives back at a process' end: `end_of_run` stands for that.
    let end_of_run = lab;
    let lab = {
        let mut kept = end_of_run;
        kept.keep();
        drop(kept);
        Lab::raise(Plan::new(name)).unwrap()
    };
    assert!(
        !sleeper.wait().unwrap().success(),
        "the old lab's process was ended"
    );
    assert!(lab.pods().is_empty());
    lab.end().unwrap();
    assert_eq!(traces(name), "");
}

#[test]
fn a_lab_of_thirteen_namespaces_is_up_within_three_seconds() {
    let mut plan = Plan::new("fast");
    for index in 0..10 {
        let node = ["a1", "a2", "b1"][index % 3];
        plan = plan.pod(PodPlan::new("default", &format!("pod-{index}"), node));
    }
    let begin = Instant::now();
    let lab = Lab::raise(plan).unwrap();
    let took = begin.elapsed();
    println!("raised in {took:?}");
    drop(lab);
    println!("raised and removed in {:?}", begin.elapsed());
    assert!(took.as_secs_f64() < 3.0, "{took:?}");
    remove("fast").unwrap();
    assert_eq!(traces("fast"), "");
}

/// Namespaces and links of the lab called `name` that are still there.
fn traces(name: &str) -> String {
    let listing = Command::new("ip")
        .arg("netns")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    String::from_utf8(listing.stdout)
        .unwrap()
        .lines()
        .filter(|line| line.starts_with(&format!("zm.{name}.")))
        .collect()
}
