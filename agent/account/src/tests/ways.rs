//! By what a flow leaves the VPC, and in which region its peer is.
//!
//! Subnets of the example: nodes in 10.0.0.0/24 behind a NAT gateway in zone `b`, pods of custom
//! networking in 100.64.0.0/24 behind a transit gateway, public pods in 10.0.1.0/24, IPv6 for all.

use std::sync::Arc;

use super::scenario::*;
use zonemeter_model::{
    cluster::{Object, Pod, SourceNat},
    snapshot::{Scope, Snapshot, Via},
    traffic::{Direction, Flow},
};

const NETWORKS: &str = "\
vpc: [10.0.0.0/16, 100.64.0.0/16, '2600:1f16:abcd::/56']
networks:
  - { cidr: 10.0.0.0/24, zone: a, name: nodes, internet: nat, natZone: b, awsServices: { s3: gateway_endpoint } }
  - { cidr: 10.0.1.0/24, zone: a, name: public, internet: igw }
  - { cidr: 100.64.0.0/24, zone: a, name: pods, internet: tgw, awsServices: { dynamodb: none } }
  - { cidr: '2600:1f16:abcd:1::/64', zone: a, name: nodes, internet: egress_only, natZone: b }
  - { cidr: 3.5.128.0/22, scope: aws_service, name: s3 }
  - { cidr: 52.94.4.0/24, scope: aws_service, name: dynamodb }
  - { cidr: 10.8.0.0/16, scope: peered, name: on-prem, via: tgw }
  - { cidr: 10.9.0.0/16, scope: peered, name: other-vpc }
  - { cidr: '2600:1f16:cccc::/56', scope: peered, name: other-vpc }
  - { cidr: 172.0.0.0/8, scope: internet, name: wide }
  - { cidr: 192.0.0.0/8, scope: internet, name: wide }
";

const TRANSLATED: SourceNat = SourceNat {
    external: false,
    excluded: Vec::new(),
};

/// A node at 10.0.0.5 with a pod of custom networking and IPv6.
fn scenario() -> Scenario {
    let mut scenario = Scenario::blank(settings());
    scenario.apply(node("node-1", "10.0.0.5", Some("a")));
    if let Object::Node(mut own) = node("node-1", "10.0.0.5", Some("a")) {
        own.addresses.push(ip("2600:1f16:abcd:1::5"));
        scenario.apply(Object::Node(own));
    }
    scenario.networks(NETWORKS);
    let addresses = "100.64.0.7,2600:1f16:abcd:1::7";
    scenario.apply(Object::Pod(pod("web", "node-1", addresses)));
    scenario
}

/// The CNI of the node says what it does with source addresses.
fn cni(scenario: &mut Scenario, source_nat: SourceNat) {
    scenario.apply(Object::Pod(Pod {
        host_network: true,
        source_nat: Some(Arc::new(source_nat)),
        ..pod("aws-node", "node-1", "10.0.0.5")
    }));
}

fn external() -> SourceNat {
    SourceNat {
        external: true,
        excluded: Vec::new(),
    }
}

/// Scope, via and zone of what the pod sent in one drain.
fn labels_of(scenario: &mut Scenario, flow: Flow) -> (Scope, Via, String) {
    let before: Vec<_> = shown(&scenario.account.snapshot());
    let snapshot = scenario.drain_after(5, &[flow]);
    let mut grown = shown(&snapshot);
    grown.retain(|one| !before.contains(one));
    let [(scope, via, zone, _)] = &grown[..] else {
        panic!("{grown:?}");
    };
    (*scope, *via, zone.clone())
}

fn shown(snapshot: &Snapshot) -> Vec<(Scope, Via, String, u64)> {
    let pods = snapshot.pods.iter();
    let of = |series: &zonemeter_model::snapshot::PodSeries| {
        let labels = &series.labels;
        let zone = labels.peer_zone.to_string();
        (labels.scope, labels.via, zone, series.count.packets)
    };
    pods.map(of).filter(|(.., packets)| *packets > 0).collect()
}

const POD: &str = "100.64.0.7";
const POD_V6: &str = "2600:1f16:abcd:1::7";

#[test]
fn translated_packets_obey_the_table_of_the_nodes_subnet() {
    let mut scenario = scenario();
    scenario.attach(7, "veth");
    for (local, peer, scope, via, zone) in [
        (POD, "8.8.8.8", Scope::Internet, Via::Nat, "b"),
        (
            POD,
            "3.5.128.9",
            Scope::AwsService,
            Via::GatewayEndpoint,
            "",
        ),
        (POD, "52.94.4.9", Scope::AwsService, Via::Nat, "b"),
        (POD, "10.8.0.9", Scope::Peered, Via::Tgw, ""),
        (POD, "10.9.0.9", Scope::Peered, Via::Unset, ""),
        // Public addresses, to which a route of their own leads.
        (POD_V6, "2600:1f16:cccc::9", Scope::Peered, Via::Unset, ""),
        // Entries whose first address is public and private: each address counts for itself.
        (POD, "172.16.0.9", Scope::Internet, Via::Unset, ""),
        (POD, "172.1.0.9", Scope::Internet, Via::Nat, "b"),
        (POD, "192.168.0.9", Scope::Internet, Via::Unset, ""),
        (POD, "192.1.0.9", Scope::Internet, Via::Nat, "b"),
        (POD, "169.254.169.254", Scope::LinkLocal, Via::Unset, ""),
        // IPv6 has no address translation, and a default route of its own.
        (POD_V6, "2606:4700::1", Scope::Internet, Via::EgressOnly, ""),
        // NAT64: the NAT gateway, also where the IPv4 address has an endpoint.
        (POD_V6, "64:ff9b::8.8.8.8", Scope::Internet, Via::Nat, "b"),
        (
            POD_V6,
            "64:ff9b::3.5.128.9",
            Scope::AwsService,
            Via::Nat,
            "b",
        ),
        // The egress plugin's addresses, the same on every node.
        ("169.254.172.9", "8.8.8.8", Scope::Internet, Via::Nat, "b"),
        (
            "fd00::ac:9",
            "2606:4700::1",
            Scope::Internet,
            Via::EgressOnly,
            "",
        ),
    ] {
        let labels = labels_of(&mut scenario, sent(7, local, peer, 1));
        assert_eq!(labels, (scope, via, zone.to_owned()), "{local} {peer}");
    }
    let received = received(7, POD, "8.8.8.8", 1);
    assert_eq!(received.direction, Direction::Receive);
    let labels = labels_of(&mut scenario, received);
    assert_eq!(labels, (Scope::Internet, Via::Nat, "b".to_owned()));
}

#[test]
fn packets_that_keep_their_source_obey_the_table_of_the_pods_subnet() {
    let mut scenario = scenario();
    scenario.attach(7, "veth");
    cni(&mut scenario, external());
    let no_zone = String::new();
    for (peer, expected) in [
        ("8.8.8.8", (Scope::Internet, Via::Tgw, no_zone.clone())),
        ("3.5.128.9", (Scope::AwsService, Via::Tgw, no_zone.clone())),
        (
            "52.94.4.9",
            (Scope::AwsService, Via::Unset, no_zone.clone()),
        ),
        ("10.8.0.9", (Scope::Peered, Via::Tgw, no_zone)),
    ] {
        let labels = labels_of(&mut scenario, sent(7, POD, peer, 1));
        assert_eq!(labels, expected, "{peer}");
    }
    // The egress plugin translates all the same: its addresses are of no subnet.
    let labels = labels_of(&mut scenario, sent(7, "169.254.172.9", "8.8.8.8", 1));
    assert_eq!(labels, (Scope::Internet, Via::Nat, "b".to_owned()));
}

/// Of the node's pods, the first by name that has an address of the family; without one, the node.
#[test]
fn explain_says_by_what_the_nodes_pods_reach_an_address() {
    let via = |scenario: &Scenario, to: &str| {
        let explained = scenario.account.explain(ip(to), scenario.instant());
        explained.via
    };
    let mut scenario = scenario();
    assert_eq!(via(&scenario, "8.8.8.8"), Via::Nat);
    assert_eq!(via(&scenario, "2606:4700::1"), Via::EgressOnly);
    cni(&mut scenario, external());
    assert_eq!(via(&scenario, "8.8.8.8"), Via::Tgw);
    scenario.apply(Object::Pod(pod("api", "node-1", "10.0.1.7")));
    assert_eq!(via(&scenario, "8.8.8.8"), Via::Igw);
    assert_eq!(via(&scenario, "2606:4700::1"), Via::EgressOnly);

    let mut alone = Scenario::blank(settings());
    alone.apply(node("node-1", "10.0.0.5", Some("a")));
    alone.networks(NETWORKS);
    assert_eq!(via(&alone, "8.8.8.8"), Via::Nat);
}

/// `AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS`, and security groups for pods.
#[test]
fn some_packets_keep_their_source_where_others_do_not() {
    let mut scenario = scenario();
    scenario.attach(7, "veth");
    let excluded = vec!["9.0.0.0/8".parse().unwrap()];
    let external = false;
    cni(&mut scenario, SourceNat { external, excluded });
    let mut via = |interface, peer| labels_of(&mut scenario, sent(interface, POD, peer, 1)).1;
    assert_eq!(via(7, "9.9.9.9"), Via::Tgw);
    assert_eq!(via(7, "8.8.8.8"), Via::Nat);

    let mut scenario = self::scenario();
    // printf shop.web-1 | sha1sum
    scenario.attach(8, "vlan751425ce827");
    cni(&mut scenario, TRANSLATED);
    let labels = labels_of(&mut scenario, sent(8, POD, "8.8.8.8", 1));
    assert_eq!(labels.1, Via::Tgw);
}

#[test]
fn another_pod_that_calls_itself_the_cni_elsewhere_says_nothing_here() {
    let mut scenario = scenario();
    scenario.attach(7, "veth");
    scenario.apply(Object::Pod(Pod {
        host_network: true,
        source_nat: Some(Arc::new(external())),
        ..pod("aws-node", "node-2", "10.0.0.6")
    }));
    assert_eq!(
        labels_of(&mut scenario, sent(7, POD, "8.8.8.8", 1)).1,
        Via::Nat
    );
}

/// Where a flag says it, the CNI's pod is not believed.
#[test]
fn a_fixed_source_holds_whatever_the_cni_says() {
    for (external, via) in [(true, Via::Tgw), (false, Via::Nat)] {
        let mut settings = settings();
        let excluded = Vec::new();
        settings.source_nat = Some(SourceNat { external, excluded });
        let mut scenario = Scenario::blank(settings);
        scenario.apply(node("node-1", "10.0.0.5", Some("a")));
        scenario.networks(NETWORKS);
        scenario.apply(Object::Pod(pod("web", "node-1", POD)));
        scenario.attach(7, "veth");
        let excluded = vec!["0.0.0.0/0".parse().unwrap()];
        let external = !external;
        cni(&mut scenario, SourceNat { external, excluded });
        let labels = labels_of(&mut scenario, sent(7, POD, "8.8.8.8", 1));
        assert_eq!(labels.1, via);
    }
}

/// What a series has shown stays there; a new route holds for what comes from now on.
#[test]
fn a_new_file_changes_new_increments_only() {
    let mut scenario = scenario();
    scenario.attach(7, "veth");
    scenario.drain_after(5, &[sent(7, POD, "8.8.8.8", 3)]);
    scenario.networks(&NETWORKS.replace("internet: nat, natZone: b", "internet: nat, natZone: a"));
    let snapshot = scenario.drain_after(5, &[sent(7, POD, "8.8.8.8", 4)]);
    let zones: Vec<_> = shown(&snapshot)
        .into_iter()
        .map(|(_, via, zone, packets)| (via, zone, packets))
        .collect();
    let by = |zone: &str, packets| (Via::Nat, zone.to_owned(), packets);
    assert_eq!(zones, [by("a", 4), by("b", 3)]);
}

#[test]
fn without_routes_in_the_file_nothing_is_told() {
    let mut scenario = scenario();
    scenario.attach(7, "veth");
    scenario.networks("networks: [{ cidr: 10.0.0.0/24, zone: a, name: nodes }]\n");
    let labels = labels_of(&mut scenario, sent(7, POD, "8.8.8.8", 1));
    assert_eq!(labels, (Scope::Internet, Via::Unset, String::new()));
}

/// A region that is not the node's own, which its zone tells.
#[test]
fn another_region_is_a_scope_of_its_own() {
    let networks = "\
vpc: [10.0.0.0/16]
networks:
  - { cidr: 10.0.0.0/24, zone: us-east-2a, name: nodes, internet: nat, natZone: us-east-2b }
  - { cidr: '2600:1f16:abcd:1::/64', zone: us-east-2a, name: nodes, internet: egress_only }
  - { cidr: 10.8.0.0/16, scope: peered, region: us-west-2, name: dr, via: tgw }
  - { cidr: 10.9.0.0/16, scope: cross_region, region: us-east-2, name: near }
  - { cidr: 10.10.0.0/16, scope: cross_region, region: eu-west-1, name: far }
  - { cidr: 10.11.0.0/16, region: us-west-2, zone: us-west-2a, name: subnet }
  - { cidr: 10.12.0.0/16, region: us-east-2, zone: us-east-2b, name: beside }
  - { cidr: 44.8.0.0/24, zone: us-east-2b, name: subnet-of-public-addresses }
  - { cidr: 52.218.128.0/17, scope: aws_service, region: us-west-2, name: s3.us-west-2 }
  - { cidr: 3.5.128.0/22, scope: aws_service, region: us-east-2, name: s3 }
  - { cidr: 52.95.0.0/24, scope: cross_region, region: us-east-2, name: s3.us-east-2 }
";
    let mut settings = settings();
    settings.peer_timeout = std::time::Duration::ZERO;
    let mut scenario = Scenario::blank(settings);
    scenario.apply(node("node-1", "10.0.0.5", Some("us-east-2a")));
    scenario.networks(networks);
    let addresses = "10.0.0.7,2600:1f16:abcd:1::7";
    scenario.apply(Object::Pod(pod("web", "node-1", addresses)));
    scenario.attach(7, "veth");
    let of_zone = |zone: &str| zone.to_owned();
    for (peer, scope, via, zone) in [
        ("10.8.0.1", Scope::CrossRegion, Via::Tgw, ""),
        ("10.9.0.1", Scope::Peered, Via::Unset, ""),
        ("10.10.0.1", Scope::CrossRegion, Via::Unset, ""),
        ("10.11.0.1", Scope::CrossRegion, Via::Unset, "us-west-2a"),
        ("10.12.0.1", Scope::CrossZone, Via::Unset, "us-east-2b"),
        // The VPC may have public addresses; what goes there does not leave it.
        ("44.8.0.1", Scope::CrossZone, Via::Unset, "us-east-2b"),
        ("52.218.128.1", Scope::CrossRegion, Via::Nat, "us-east-2b"),
        ("3.5.128.1", Scope::AwsService, Via::Nat, "us-east-2b"),
        ("52.95.0.1", Scope::AwsService, Via::Nat, "us-east-2b"),
    ] {
        let labels = labels_of(&mut scenario, sent(7, "10.0.0.7", peer, 1));
        assert_eq!(labels, (scope, via, of_zone(zone)), "{peer}");
    }
    // A node that a stretched cluster has elsewhere. Its IPv6 address is public, and no route to the
    // internet leads there: `explain` says the same as the metrics.
    scenario.apply(node("node-9", "10.99.0.9", Some("eu-west-1a")));
    scenario.apply(node("node-8", "2600:1f18::8", Some("eu-west-1a")));
    let explained = scenario
        .account
        .explain(ip("2600:1f18::8"), scenario.instant());
    assert_eq!(
        (explained.scope, explained.via),
        (Scope::CrossRegion, Via::Unset)
    );
    let labels = labels_of(&mut scenario, sent(7, "10.0.0.7", "10.99.0.9", 1));
    assert_eq!(
        labels,
        (Scope::CrossRegion, Via::Unset, of_zone("eu-west-1a"))
    );
}

/// A series at 0 is the one that the first byte goes to.
#[test]
fn series_at_zero_have_the_way_of_the_pod() {
    let mut settings = settings();
    settings.show_at_zero = true;
    let mut scenario = Scenario::blank(settings);
    scenario.apply(node("node-1", "10.0.0.5", Some("a")));
    scenario.networks(NETWORKS);
    let addresses = "100.64.0.7,2600:1f16:abcd:1::7";
    scenario.apply(Object::Pod(pod("web", "node-1", addresses)));
    let at_zero = |snapshot: &Snapshot| -> Vec<(Via, String)> {
        let transmit = snapshot.pods.iter().map(|series| &series.labels);
        let internet = transmit.filter(|labels| {
            labels.scope == Scope::Internet && labels.direction == Direction::Transmit
        });
        internet
            .map(|labels| (labels.via, labels.peer_zone.to_string()))
            .collect()
    };
    let snapshot = scenario.drain_after(5, &[]);
    let expected = [(Via::EgressOnly, String::new()), (Via::Nat, "b".to_owned())];
    assert_eq!(at_zero(&snapshot), expected);
    // The CNI is known later than the pods: the way is another one from then on.
    cni(&mut scenario, external());
    let snapshot = scenario.drain_after(5, &[]);
    assert!(at_zero(&snapshot).contains(&(Via::Tgw, String::new())));
}
