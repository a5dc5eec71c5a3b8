//! What each source says of an address, and which ones decide.

use zonemeter_model::cluster::Object;

use super::{
    backends::{SERVICE, slice},
    scenario::*,
};

/// `source: what it says` of everything that is said; `*` first where it decides.
fn evidence(scenario: &Scenario, address: &str) -> Vec<String> {
    let explained = scenario.account.explain(ip(address), scenario.instant());
    let lines = explained.evidence.iter().map(|one| {
        let decides = if one.decides { "* " } else { "" };
        format!("{decides}{}: {}", one.source.name(), one.says)
    });
    lines.collect()
}

const NETWORKS: &str = "\
vpc: [192.168.0.0/16]
networks:
  - { cidr: 192.168.0.0/24, zone: a, name: nodes, internet: nat, natZone: b, awsServices: { s3: tgw } }
  - { cidr: 192.168.9.0/24, name: rds, zone: b }
  - { cidr: 10.8.0.0/16, scope: peered, zone: b, name: other, via: nat }
  - { cidr: 3.5.128.0/22, scope: aws_service, zone: b, name: s3 }
";

const IN_VPC: &str = "networks_file: 192.168.0.0/16 is a range of the VPC";
const PRIVATE: &str = "special_range: 192.168.0.0/16 private";

/// A pod decides by its node's zone; where a node has none, it is where its address lies.
#[test]
fn who_has_the_address_decides_or_where_it_lies() {
    let mut scenario = Scenario::new(settings());
    scenario.networks(NETWORKS);
    scenario.apply(Object::Pod(pod("db", "node-3", "192.168.9.7")));
    scenario.apply(node("in-entry", "192.168.9.1", None));
    scenario.apply(node("in-vpc", "192.168.7.1", None));
    scenario.apply(node("outside", "10.99.0.1", None));
    let entry = "networks_file: 192.168.9.0/24 rds, zone b";
    for (address, said) in [
        (
            "192.168.9.7",
            &[
                "* Pod: shop/db-1 on node node-3",
                "* Node: node node-3, zone b",
                entry,
                IN_VPC,
                PRIVATE,
            ][..],
        ),
        (
            "192.168.9.1",
            &[
                "* Node: node in-entry, zone not known",
                &format!("* {entry}"),
                IN_VPC,
                PRIVATE,
            ],
        ),
        (
            "192.168.7.1",
            &[
                "* Node: node in-vpc, zone not known",
                &format!("* {IN_VPC}"),
                PRIVATE,
            ],
        ),
        (
            "10.99.0.1",
            &[
                "* Node: node outside, zone not known",
                "* special_range: 10.0.0.0/8 private",
            ],
        ),
        ("192.168.9.4", &[&format!("* {entry}"), IN_VPC, PRIVATE]),
        ("192.168.200.1", &[&format!("* {IN_VPC}"), PRIVATE]),
    ] {
        assert_eq!(evidence(&scenario, address), said, "{address}");
    }
}

#[test]
fn a_service_is_told_with_its_endpoints_and_an_endpoint_with_its_service() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(service("shop", "cart", SERVICE));
    let decides = "* Service: shop/cart: where conntrack names a flow's backend, that one decides";
    let here = (false, "a", "node-1");
    for (places, told) in [
        (
            [(true, "b", "node-3"), here],
            "* EndpointSlice: all 1 ready endpoints are on node node-3",
        ),
        (
            [(true, "b", "node-3"), (true, "a", "node-1")],
            "EndpointSlice: 2 ready endpoints, not in one zone",
        ),
    ] {
        scenario.apply(slice(&places));
        let private = "special_range: 10.0.0.0/8 private";
        assert_eq!(evidence(&scenario, SERVICE), [decides, told, private]);
    }
    scenario.apply(slice(&[(true, "b", "node-3"), here]));
    assert_eq!(
        evidence(&scenario, "192.168.9.9"),
        [
            &format!("* {PRIVATE}"),
            "EndpointSlice: ready endpoint of Service shop/cart",
            "EndpointSlice: unready endpoint of Service shop/cart",
        ]
    );
}

/// The zone is that of a NAT gateway, and of nothing else.
#[test]
fn the_subnet_whose_table_tells_the_way_is_named() {
    let mut scenario = Scenario::new(settings());
    scenario.networks(NETWORKS);
    let way = |by: &str| {
        format!("* networks_file: subnet nodes: packets of this node's pods go there by {by}")
    };
    let anywhere = "default: global: in no special-purpose range";
    assert_eq!(
        evidence(&scenario, "8.8.8.8"),
        [format!("* {anywhere}"), way("nat in b")]
    );
    let entry = "* networks_file: 3.5.128.0/22 s3, zone b, scope aws_service";
    assert_eq!(
        evidence(&scenario, "3.5.128.1"),
        [entry, &way("tgw"), anywhere]
    );
    let entry = "* networks_file: 10.8.0.0/16 other, zone b, scope peered";
    let private = "special_range: 10.0.0.0/8 private";
    assert_eq!(
        evidence(&scenario, "10.8.1.1"),
        [entry, &way("nat"), private]
    );
}
