use std::net::IpAddr;

use zonemeter_model::snapshot::Via;

use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

const DOCUMENTED: &str = "\
vpc: [192.168.0.0/16, 'fd12::/16']  # the VPC's own ranges
networks:
  - { cidr: 192.168.0.0/19, zone: us-east-2a, zoneId: use2-az1, name: private-a }
  - { cidr: 10.8.0.0/16, scope: peered, name: on-prem }
  - { cidr: 52.94.0.0/22, scope: aws_service, name: s3 }
  - cidr: 192.168.5.0/24
    name: databases
  - { cidr: '2600:1f18::/32', scope: aws_service, name: s3-v6 }
";

#[test]
fn the_longest_prefix_wins() {
    let networks = parse(DOCUMENTED).unwrap();
    let name = |text| {
        networks
            .find(address(text))
            .map(|(_, network)| network.name.to_string())
    };
    assert_eq!(name("192.168.31.255").as_deref(), Some("private-a"));
    assert_eq!(name("192.168.5.1").as_deref(), Some("databases"));
    assert_eq!(name("192.168.32.0"), None);
    assert_eq!(name("10.8.255.255").as_deref(), Some("on-prem"));
    assert_eq!(name("10.9.0.0"), None);
    assert_eq!(name("2600:1f18::1").as_deref(), Some("s3-v6"));
    assert_eq!(
        networks.vpc_range(address("192.168.200.1")),
        Some("192.168.0.0/16".parse().unwrap())
    );
    assert_eq!(
        networks.vpc_range(address("fd12::1")),
        Some("fd12::/16".parse().unwrap())
    );
    assert_eq!(networks.vpc_range(address("10.8.0.1")), None);
    assert!(networks.knows_vpc());
    assert_eq!(networks.len(), 7);
}

#[test]
fn entries_keep_zone_and_scope() {
    let networks = parse(DOCUMENTED).unwrap();
    let (_, subnet) = networks.find(address("192.168.0.1")).unwrap();
    assert_eq!(subnet.zone.as_deref(), Some("us-east-2a"));
    assert_eq!(subnet.zone_id.as_deref(), Some("use2-az1"));
    assert_eq!(subnet.scope, None);
    let (_, bucket) = networks.find(address("52.94.3.255")).unwrap();
    assert_eq!(bucket.scope, Some(Scope::AwsService));
}

#[test]
fn a_bad_entry_is_refused_with_its_line_and_a_remedy() {
    let entry = |entry: &str| refused(&format!("networks:\n\n  - {{ {entry} }}\n"));
    assert_eq!(
        entry("cidr: 10.0.0/8, name: a"),
        "networks file line 3: cidr \"10.0.0/8\" is not a network: write it like 10.0.0.0/8"
    );
    assert_eq!(
        entry("cidr: 10.1.2.3, name: a"),
        "networks file line 3: cidr \"10.1.2.3\" is not a network: write it like 10.1.2.3/32"
    );
    assert_eq!(
        entry("cidr: 10.0.0.0/33, name: a"),
        "networks file line 3: cidr \"10.0.0.0/33\" is not a network: write it like 10.0.0.0/8"
    );
    assert_eq!(
        entry("cidr: 10.1.2.3/8, name: a"),
        "networks file line 3: cidr \"10.1.2.3/8\" has host bits set: write 10.0.0.0/8"
    );
    assert_eq!(
        entry("cidr: 10.0.0.0/8"),
        "networks file line 3: name is missing: add name: on-prem"
    );
    assert_eq!(
        entry("name: a"),
        "networks file line 3: cidr is missing: add cidr: 10.8.0.0/16"
    );
    assert_eq!(
        entry("cidr: 10.0.0.0/8, name: ''"),
        "networks file line 3: name is empty: give it a value or leave it out"
    );
    assert_eq!(
        entry("cidr: 10.0.0.0/8, name: a, scope: cross_zone"),
        "networks file line 3: scope \"cross_zone\" is not known here: write one of cross_region, \
         vpc, peered, aws_service, internet, link_local, unknown"
    );
}

#[test]
fn entries_keep_region_and_ways() {
    let text = "\
networks:
  - { cidr: 10.0.0.0/24, zone: a, name: private, internet: nat, natZone: b, awsServices: { s3: gateway_endpoint, dynamodb: none } }
  - { cidr: '2600:1f18::/64', zone: a, name: private, internet: egress_only }
  - { cidr: 10.0.1.0/24, zone: a, name: isolated, internet: none }
  - { cidr: 10.9.0.0/16, scope: cross_region, region: us-west-2, name: dr, via: tgw }
  - { cidr: 10.10.0.0/16, region: us-west-2, name: stated by its region, via: tgw }
  - { cidr: 10.0.0.128/25, zone: a, name: databases }
";
    let networks = parse(text).unwrap();
    let ways = |text| {
        let subnet = networks.subnet(address(text))?;
        networks.ways(subnet)
    };
    // A network inside that tells no ways does not hide the subnet's.
    let private = ways("10.0.0.200").unwrap();
    assert_eq!(&*private.name, "private");
    assert_eq!(private.nat_zone.as_deref(), Some("b"));
    assert_eq!(private.to_public(None), Via::Nat);
    assert_eq!(private.to_public(Some("s3")), Via::GatewayEndpoint);
    assert_eq!(private.to_public(Some("dynamodb")), Via::Unset);
    assert_eq!(private.to_public(Some("sqs")), Via::Nat);
    let v6 = ways("2600:1f18::1").unwrap();
    assert_eq!((v6.to_public(None), v6.nat64), (Via::EgressOnly, Via::Nat));
    assert_eq!(ways("10.0.1.1").unwrap().to_public(None), Via::Unset);
    assert_eq!(ways("10.9.0.1"), None);
    for far in ["10.9.0.1", "10.10.0.1"] {
        let (_, far) = networks.find(address(far)).unwrap();
        let stated = (far.region.as_deref(), far.via);
        assert_eq!(stated, (Some("us-west-2"), Via::Tgw));
    }
}

#[test]
fn ways_and_regions_that_cannot_be_are_refused() {
    let entry = |cidr: &str, rest: &str| {
        refused(&format!(
            "networks:\n\n  - {{ cidr: '{cidr}', name: a, {rest} }}\n"
        ))
    };
    for (cidr, rest, problem) in [
        (
            "10.0.0.0/24",
            "internet: natgw",
            "internet \"natgw\" is not known here: write one of nat, igw, tgw, firewall, none",
        ),
        (
            "10.0.0.0/24",
            "internet: gateway_endpoint",
            "internet \"gateway_endpoint\" is not known here: write one of nat, igw, \
             tgw, firewall, none",
        ),
        (
            "10.0.0.0/24",
            "internet: egress_only",
            "internet \"egress_only\" is not known here: write one of nat, igw, tgw, firewall, none",
        ),
        (
            "10.0.0.0/24",
            "internet: igw, awsServices: { s3: egress_only }",
            "s3 \"egress_only\" is not known here: write one of gateway_endpoint, \
             interface_endpoint, nat, igw, tgw, firewall, none",
        ),
        (
            "10.0.0.0/24",
            "scope: peered, via: egress_only",
            "via \"egress_only\" is not known here: write one of nat, igw, gateway_endpoint, \
             interface_endpoint, tgw, firewall",
        ),
        (
            "10.0.0.0/24",
            "internet: nat, nat64: tgw",
            "nat64 is for IPv6 subnets: remove it",
        ),
        (
            "10.0.0.0/24",
            "awsServices: { ' ': nat }",
            "awsServices has a service without a name: write one like s3",
        ),
        (
            "10.0.0.0/24",
            "awsServices: { s3: nat, s3: igw }",
            "\"s3\" is there twice: remove one",
        ),
        (
            "10.0.0.0/24",
            "internet: nat, natZone: use2-az1",
            "natZone \"use2-az1\" is no zone's name: write it like us-east-2a",
        ),
        (
            "10.0.0.0/24",
            "internet: nat, natZone: us-east-2",
            "natZone \"us-east-2\" is no zone's name: write it like us-east-2a",
        ),
        (
            "10.0.0.0/24",
            "scope: vpc, region: us-west-2, via: tgw",
            "region says nothing with scope vpc: remove it, or write one of cross_region, peered, \
             aws_service",
        ),
        (
            "10.0.0.0/24",
            "zone: us-west-2a, region: us-east-2",
            "region \"us-east-2\" is not that of zone \"us-west-2a\": write us-west-2",
        ),
        (
            "10.0.0.0/24",
            "internet:",
            "internet is empty: give it a value or leave it out",
        ),
        (
            "10.0.0.0/24",
            "awsServices: { s3: vpce }",
            "s3 \"vpce\" is not known here: write one of gateway_endpoint, interface_endpoint, \
             nat, igw, tgw, firewall, none",
        ),
        (
            "10.0.0.0/24",
            "awsServices: { s3: }",
            "s3 \"\" is not known here: write one of gateway_endpoint, interface_endpoint, nat, \
             igw, tgw, firewall, none",
        ),
        (
            "10.0.0.0/24",
            "awsServices: {}",
            "awsServices is empty: give it a value or leave it out",
        ),
        (
            "10.0.0.0/24",
            "internet: igw, natZone: b",
            "natZone is the zone of a NAT gateway, and nothing here goes by one: add internet: \
             nat or remove natZone",
        ),
        (
            "10.0.0.0/24",
            "natZone: b",
            "natZone is the zone of a NAT gateway, and nothing here goes by one: add internet: \
             nat or remove natZone",
        ),
        (
            "10.0.0.0/24",
            "internet: nat, scope: peered",
            "scope is for networks outside; internet, nat64 and awsServices are for subnets of \
             the VPC: remove one",
        ),
        (
            "10.0.0.0/24",
            "via: nat",
            "via is for networks outside: add a scope, one of cross_region, peered, aws_service, \
             internet",
        ),
        (
            "10.0.0.0/24",
            "scope: peered, via: none",
            "via \"none\" is not known here: write one of nat, igw, gateway_endpoint, \
             interface_endpoint, tgw, firewall",
        ),
        (
            "10.0.0.0/24",
            "region: us-east-2a",
            "region \"us-east-2a\" is no region of AWS: write it like us-east-2",
        ),
        (
            "10.0.0.0/24",
            "region: Ohio",
            "region \"Ohio\" is no region of AWS: write it like us-west-2",
        ),
    ] {
        assert_eq!(
            entry(cidr, rest),
            format!("networks file line 3: {problem}")
        );
    }
}

#[test]
fn duplicates_are_refused_with_both_lines() {
    let text = "\
networks:
  - { cidr: 10.0.0.0/8, name: a }
  - { cidr: 10.0.0.0/9, name: b }
  - { cidr: 10.0.0.0/8, name: c }
";
    assert_eq!(
        refused(text),
        "networks file line 4: cidr \"10.0.0.0/8\" is already on line 2: remove one"
    );
    assert_eq!(
        refused("vpc:\n- 10.0.0.0/8\n- 10.0.0.0/8\n"),
        "networks file line 3: vpc range \"10.0.0.0/8\" is already on line 2: remove one"
    );
}

#[test]
fn unknown_fields_and_broken_yaml_are_refused_in_one_line() {
    for (text, line, what) in [
        (
            "vpc: [10.0.0.0/8]\n---\nnetworks: []\n",
            3,
            "a second document begins here",
        ),
        (
            "vpc: []\nvpc: []\n",
            2,
            "\"vpc\" is there twice: remove one",
        ),
        (
            "vpc: [010.0.0.0/16]\n",
            1,
            "is not a network: write it like 10.0.0.0/16",
        ),
        (
            "vpc: ['::ffff:10.0.7.1/120']\n",
            1,
            "has host bits set: write ::ffff:10.0.7.0/120",
        ),
        ("vpc:\n", 1, "vpc is empty: write vpc: [] for none"),
        (
            "networks:\n  - { cidr: 10.0.0.0/8, name: a, zone: }\n",
            2,
            "zone is empty: give it a value or leave it out",
        ),
        (
            "networks:\n  - { cidr: 10.0.0.0/8, name: a, zoneid: x }\n",
            2,
            "zoneid",
        ),
        ("vpc: []\nsubnets: []\n", 2, "subnets"),
        ("vpc: [10.0.0.0/8\n", 1, "a bracket"),
        ("networks: 7\n", 1, "a list"),
    ] {
        let message = refused(text);
        assert!(
            message.starts_with(&format!("networks file line {line}: ")),
            "{message}"
        );
        assert!(message.contains(what), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn a_file_may_say_when_it_was_written() {
    let at = |text: &str| parse(text).unwrap().as_of();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_795_947_420);
    assert_eq!(at("networks: []\nasOf: 2026-11-29T10:17:00Z\n"), Some(time));
    assert_eq!(at("networks: []\n"), None);
    assert_eq!(
        refused("networks: []\nasOf: yesterday\n"),
        "networks file line 2: asOf \"yesterday\" is no time: write it like 2026-11-29T10:17:00Z"
    );
}

/// Half a file must not empty the table: a writer may be in the middle of it.
#[test]
fn an_empty_file_is_refused_and_an_empty_table_is_not() {
    assert_eq!(
        refused("# nothing yet\n"),
        "networks file: is empty: write networks: [] for a file without networks"
    );
    assert!(parse("networks: []\n").unwrap().is_empty());
    assert!(parse("{}").unwrap().is_empty());
    let one = parse("networks: [{ cidr: 10.0.0.0/24, zone: a, name: nodes }]\n").unwrap();
    assert_eq!((one.len(), one.is_empty()), (1, false));
    let range = parse("vpc: [10.0.0.0/16]\nnetworks: []\n").unwrap();
    assert_eq!((range.len(), range.is_empty()), (1, false));
}
