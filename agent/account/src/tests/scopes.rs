//! The scope table, row by row.

use zonemeter_model::{
    cluster::{Kind, Object, Pod},
    snapshot::Scope,
};

use super::scenario::*;

const NETWORKS: &str = "\
vpc: [192.168.0.0/16, 100.64.0.0/16]
networks:
  - { cidr: 192.168.40.0/24, zone: a, name: database }
  - { cidr: 192.168.41.0/24, zone: b, name: cache }
  - { cidr: 192.168.42.0/24, zoneId: id-b, name: queue }
  - { cidr: 192.168.43.0/24, name: somewhere }
  - { cidr: 10.8.0.0/16, scope: peered, name: on-prem }
  - { cidr: 10.9.0.0/16, scope: peered, zone: b, name: other-vpc }
  - { cidr: 52.94.0.0/22, scope: aws_service, name: s3 }
  - { cidr: 169.254.170.0/24, scope: aws_service, name: identity }
";

fn scenario() -> Scenario {
    let mut scenario = Scenario::new(settings());
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    scenario.apply(Object::Pod(pod("near", "node-1", "192.168.1.2")));
    scenario.apply(Object::Pod(pod("beside", "node-2", "192.168.2.1")));
    scenario.apply(Object::Pod(pod("far", "node-3", "192.168.40.9")));
    scenario.apply(node("node-4", "192.168.0.4", None));
    scenario.apply(Object::Pod(pod("lost", "node-4", "192.168.4.1")));
    scenario.apply(service("shop", "cart", "10.100.0.7"));
    scenario
}

#[test]
fn every_row_of_the_table() {
    let mut scenario = scenario();
    scenario.networks(NETWORKS);
    for (address, scope, zone) in [
        ("192.168.1.1", Scope::IntraNode, "a"),
        ("192.168.1.2", Scope::IntraNode, "a"),
        ("192.168.0.1", Scope::IntraNode, "a"),
        ("192.168.2.1", Scope::IntraZone, "a"),
        ("192.168.0.2", Scope::IntraZone, "a"),
        // A pod of the book before the network that its address lies in.
        ("192.168.40.9", Scope::CrossZone, "b"),
        ("192.168.32.3", Scope::CrossZone, "b"),
        ("192.168.4.1", Scope::Vpc, ""),
        ("192.168.0.4", Scope::Vpc, ""),
        ("10.100.0.7", Scope::UnresolvedService, ""),
        ("192.168.40.1", Scope::IntraZone, "a"),
        ("192.168.41.1", Scope::CrossZone, "b"),
        ("192.168.42.1", Scope::CrossZone, "b"),
        ("192.168.43.1", Scope::Vpc, ""),
        ("10.8.1.1", Scope::Peered, ""),
        ("10.9.1.1", Scope::Peered, "b"),
        ("52.94.1.1", Scope::AwsService, ""),
        ("169.254.170.23", Scope::AwsService, ""),
        ("169.254.169.254", Scope::LinkLocal, ""),
        ("fd00:ec2::254", Scope::LinkLocal, ""),
        ("fe80::1", Scope::LinkLocal, ""),
        ("224.0.0.251", Scope::LinkLocal, ""),
        ("255.255.255.255", Scope::LinkLocal, ""),
        ("192.168.200.1", Scope::Vpc, ""),
        ("100.64.1.1", Scope::Vpc, ""),
        ("10.10.1.1", Scope::Peered, ""),
        ("100.65.0.1", Scope::Peered, ""),
        ("fd12::1", Scope::Peered, ""),
        ("127.0.0.1", Scope::Unknown, ""),
        ("0.0.0.0", Scope::Unknown, ""),
        ("240.0.0.1", Scope::Unknown, ""),
        ("203.0.113.1", Scope::Unknown, ""),
        ("8.8.8.8", Scope::Internet, ""),
        ("2600:1f16::1", Scope::Internet, ""),
        ("::ffff:8.8.8.8", Scope::Internet, ""),
        ("::ffff:192.168.2.1", Scope::IntraZone, "a"),
    ] {
        assert_eq!(
            seen(&scenario, address),
            (scope, zone.to_owned()),
            "{address}"
        );
    }
}

/// Both sides canonical: ranges of mapped addresses, and addresses that stand for IPv4 (NAT64).
#[test]
fn every_spelling_of_an_ipv4_address_has_its_scope() {
    let mut scenario = scenario();
    scenario.networks(
        "vpc: ['::ffff:10.0.0.0/112']\n\
         networks:\n\
         - { cidr: '::ffff:10.0.7.0/120', zone: b, name: mapped }\n\
         - { cidr: 10.8.0.0/16, scope: peered, name: on-prem }\n\
         - { cidr: 3.5.128.0/22, scope: aws_service, name: s3 }\n\
         - { cidr: '64:ff9b::9.9.9.9/128', scope: unknown, name: as-written }\n",
    );
    for (address, scope, zone) in [
        ("10.0.7.9", Scope::CrossZone, "b"),
        ("::ffff:10.0.7.9", Scope::CrossZone, "b"),
        ("64:ff9b::10.0.7.9", Scope::CrossZone, "b"),
        ("10.0.3.5", Scope::Vpc, ""),
        ("64:ff9b::10.0.3.5", Scope::Vpc, ""),
        ("64:ff9b::10.8.0.5", Scope::Peered, ""),
        ("::10.8.0.5", Scope::Peered, ""),
        ("64:ff9b::3.5.128.9", Scope::AwsService, ""),
        ("::3.5.128.9", Scope::AwsService, ""),
        ("64:ff9b::192.168.2.1", Scope::IntraZone, "a"),
        ("64:ff9b::10.99.0.1", Scope::Peered, ""),
        ("64:ff9b::8.8.8.8", Scope::Internet, ""),
        ("64:ff9b::9.9.9.9", Scope::Unknown, ""),
        ("64:ff9b::127.0.0.1", Scope::Unknown, ""),
    ] {
        let expected = (scope, zone.to_owned());
        assert_eq!(seen(&scenario, address), expected, "{address}");
    }
}

fn hybrid(name: &str, address: &str, zone: Option<&str>) -> Object {
    match node(name, address, zone) {
        Object::Node(node) => Object::Node(zonemeter_model::cluster::Node {
            hybrid: true,
            ..node
        }),
        other => other,
    }
}

/// A node outside of AWS and its pods are where their addresses lie.
#[test]
fn a_hybrid_node_and_its_pods_are_peered() {
    let mut scenario = scenario();
    scenario.networks(
        "vpc: [10.0.0.0/16]\n\
         networks:\n\
         - { cidr: 10.80.0.0/12, scope: peered, name: on-prem }\n\
         - { cidr: 10.0.9.0/24, zone: b, name: subnet }\n",
    );
    scenario.apply(node("unlabelled", "10.80.0.10", None));
    scenario.apply(Object::Pod(pod("there", "unlabelled", "10.85.0.20")));
    scenario.apply(hybrid("labelled", "10.80.0.11", Some("onprem")));
    scenario.apply(Object::Pod(pod("also", "labelled", "10.85.0.21")));
    scenario.apply(node("outside", "172.16.0.1", None));
    scenario.apply(node("inside", "10.0.5.1", None));
    scenario.apply(node("in-subnet", "10.0.9.1", None));
    // Its own address says nothing, its node's does.
    scenario.apply(Object::Pod(pod("public", "unlabelled", "198.18.0.7")));
    for (address, scope, zone) in [
        ("10.80.0.10", Scope::Peered, ""),
        ("10.85.0.20", Scope::Peered, ""),
        ("10.80.0.11", Scope::Peered, "onprem"),
        ("10.85.0.21", Scope::Peered, "onprem"),
        ("172.16.0.1", Scope::Peered, ""),
        ("10.0.5.1", Scope::Vpc, ""),
        ("10.0.9.1", Scope::CrossZone, "b"),
        ("198.18.0.7", Scope::Peered, ""),
    ] {
        let expected = (scope, zone.to_owned());
        assert_eq!(seen(&scenario, address), expected, "{address}");
    }
    // A range of the VPC counts that is longer than the network around it, and no other one.
    for (network, scope) in [("10.0.0.0/8", Scope::Vpc), ("10.0.0.0/16", Scope::Peered)] {
        scenario.networks(&format!(
            "vpc: [10.0.0.0/16]\nnetworks: [{{ cidr: {network}, scope: peered, name: all }}]\n"
        ));
        assert_eq!(seen(&scenario, "10.0.5.1").0, scope, "{network}");
    }
    scenario.networks("networks: []\n");
    assert_eq!(seen(&scenario, "10.80.0.10").0, Scope::Vpc);
    assert_eq!(seen(&scenario, "10.85.0.21").0, Scope::Peered);
}

#[test]
fn private_space_is_unknown_without_vpc_ranges() {
    let mut scenario = scenario();
    assert_eq!(seen(&scenario, "10.10.1.1").0, Scope::Unknown);
    scenario.networks("networks:\n- { cidr: 10.8.0.0/16, scope: peered, name: on-prem }\n");
    assert_eq!(seen(&scenario, "10.10.1.1").0, Scope::Unknown);
    assert_eq!(seen(&scenario, "8.8.8.8").0, Scope::Internet);
}

#[test]
fn without_an_own_zone_nothing_is_said_of_zones() {
    let mut scenario = scenario();
    scenario.networks(NETWORKS);
    scenario.apply(node("node-1", "192.168.0.1", None));
    assert_eq!(
        seen(&scenario, "192.168.1.2"),
        (Scope::IntraNode, String::new())
    );
    assert_eq!(seen(&scenario, "192.168.2.1"), (Scope::Vpc, "a".to_owned()));
    assert_eq!(
        seen(&scenario, "192.168.41.1"),
        (Scope::Vpc, "b".to_owned())
    );
}

#[test]
fn peers_are_shown_by_what_they_are() {
    let mut scenario = scenario();
    scenario.networks(NETWORKS);
    let host = Pod {
        host_network: true,
        ..pod("agent", "node-2", "192.168.0.2")
    };
    scenario.apply(Object::Pod(host));
    scenario.attach(7, "veth");
    let to = |peer, packets| sent(7, "192.168.1.1", peer, packets);
    let snapshot = scenario.drain_after(
        5,
        &[
            to("192.168.40.9", 1),
            to("192.168.0.2", 2),
            to("10.100.0.7", 3),
            to("52.94.0.1", 4),
            to("8.8.8.8", 5),
            to("169.254.169.254", 6),
        ],
    );
    assert_eq!(
        workload_lines(&snapshot),
        [
            "web -> Node /node-2 2",
            "web -> Deployment shop/far 1",
            "web -> Network /s3 4",
            "web ->  / 5",
            "web ->  / 6",
            "web -> Service shop/cart 3",
        ]
    );
}

/// What a series has shown stays there; the new zone is for what comes from now on.
#[test]
fn a_zone_that_changes_changes_new_increments_only() {
    let mut scenario = scenario();
    scenario.attach(7, "veth");
    let flows = [sent(7, "192.168.1.1", "192.168.40.9", 1)];
    scenario.drain_after(5, &flows);
    scenario.apply(node("node-3", "192.168.32.3", Some("a")));
    let snapshot = scenario.drain_after(5, &flows);
    assert_eq!(
        pod_lines(&snapshot),
        ["web-1 intra_zone a 1", "web-1 cross_zone b 1"]
    );
    scenario.apply(node("node-1", "192.168.0.1", Some("c")));
    let snapshot = scenario.drain_after(5, &flows);
    let zones: Vec<_> = snapshot
        .pods
        .iter()
        .map(|series| &*series.labels.zone)
        .collect();
    assert_eq!(zones, ["a", "a", "c"]);
    scenario.delete(Kind::Node, "", "node-3");
    let snapshot = scenario.drain_after(5, &flows);
    assert_eq!(pod_lines(&snapshot).last().unwrap(), "web-1 vpc  1");
}
