//! Inputs as the AWS CLI prints them; the output as the agent reads it.

use std::time::Instant;

use proptest::prelude::*;
use zonemeter_account::{Account, Settings};
use zonemeter_model::{
    cluster::{Change, Node, Object},
    recent::{Evidence, Explanation, Source as Found},
    snapshot::Scope,
};
use zonemeter_naming::Networks;

use super::*;
use crate::table::{Entries, Entry, Source};

mod endpoints;
mod refusals;
mod routes;
mod spellings;

const SUBNETS: &str = include_str!("tests/subnets.json");
const INTERFACES: &str = include_str!("tests/interfaces.json");
const VPCS: &str = include_str!("tests/vpcs.json");
const IP_RANGES: &str = include_str!("tests/ip-ranges.json");
const WRITTEN: &str = include_str!("tests/written.yaml");

fn input(flag: &str, text: &str) -> Option<Input> {
    let name = format!("--{flag} {flag}.json");
    let text = text.to_owned();
    Some(Input { name, text })
}

fn all() -> Inputs {
    Inputs {
        subnets: input("subnets", SUBNETS),
        interfaces: input("interfaces", INTERFACES),
        vpcs: input("vpcs", VPCS),
        ip_ranges: input("ip-ranges", IP_RANGES),
        ..none()
    }
}

/// The networks file as text.
fn convert(inputs: &Inputs, args: &NetworksArgs) -> Result<String> {
    super::convert(inputs, args).map(|file| yaml::write(&file))
}

fn none() -> Inputs {
    Inputs {
        subnets: None,
        interfaces: None,
        vpcs: None,
        route_tables: None,
        nat_gateways: None,
        vpc_endpoints: None,
        ip_ranges: None,
    }
}

fn args() -> NetworksArgs {
    NetworksArgs {
        region: Some("us-east-2".to_owned()),
        services: vec!["S3".to_owned(), "dynamodb".to_owned()],
        ..NetworksArgs::default()
    }
}

#[test]
fn the_whole_file_is_as_written_here_by_hand() {
    assert_eq!(convert(&all(), &args()).unwrap(), WRITTEN);
}

#[test]
fn files_are_read_by_their_flags() {
    let file = |name: &str| {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests");
        Some(PathBuf::from(directory).join(name))
    };
    let written = write(&NetworksArgs {
        subnets: file("subnets.json"),
        interfaces: file("interfaces.json"),
        vpcs: file("vpcs.json"),
        ip_ranges: file("ip-ranges.json"),
        ..args()
    });
    let (text, notes) = (WRITTEN.to_owned(), Vec::new());
    assert_eq!(written.unwrap(), Written { text, notes });
    let routed = write(&NetworksArgs {
        subnets: file("subnets.json"),
        route_tables: file("route-tables.json"),
        nat_gateways: file("nat-gateways.json"),
        vpc_endpoints: file("vpc-endpoints.json"),
        ..args()
    });
    assert_eq!(routed.unwrap().text, routes::ROUTED);
}

/// An agent on a node in `us-east-2a` that has read the file.
fn account(text: &str) -> Account {
    let mut account = Account::new(Settings::new("node-1".into()));
    account.set_networks(Networks::parse(text).unwrap(), Instant::now());
    let node = Node {
        name: "node-1".into(),
        zone: Some("us-east-2a".into()),
        zone_id: Some("use2-az1".into()),
        hybrid: false,
        addresses: vec!["192.168.8.100".parse().unwrap()],
    };
    account.apply(Change::Applied(Object::Node(node)), Instant::now());
    account
}

#[test]
fn the_agent_classifies_by_it() {
    let account = account(&convert(&all(), &args()).unwrap());
    for (address, scope, zone, name) in [
        // Exempt from the price of crossing zones, by name.
        ("192.168.40.10", Scope::CrossZone, "us-east-2b", "alb/web"),
        ("192.168.8.12", Scope::IntraZone, "us-east-2a", "elb/legacy"),
        (
            "192.168.8.20",
            Scope::IntraZone,
            "us-east-2a",
            "vpce/vpce-0e0e0e0e0e0e0e0e0",
        ),
        (
            "192.168.40.40",
            Scope::CrossZone,
            "us-east-2b",
            "tgw/tgw-attach-0d0d0d0d0d0d0d0d0",
        ),
        // Not exempt.
        ("192.168.8.11", Scope::IntraZone, "us-east-2a", "nlb/orders"),
        (
            "2600:1f16:abcd:1201::11",
            Scope::IntraZone,
            "us-east-2a",
            "nlb/orders",
        ),
        (
            "192.168.40.50",
            Scope::CrossZone,
            "us-east-2b",
            "rds/orders-db",
        ),
        (
            "192.168.40.61",
            Scope::CrossZone,
            "us-east-2b",
            "eks/cross-az",
        ),
        (
            "192.168.40.73",
            Scope::CrossZone,
            "us-east-2b",
            "msk/events",
        ),
        (
            "192.168.8.81",
            Scope::IntraZone,
            "us-east-2a",
            "eni/eni-0a0000000000000e",
        ),
        (
            "192.168.40.90",
            Scope::CrossZone,
            "us-east-2b",
            "eni/alb/not really: a proxy",
        ),
        // The node is the cluster's to name, its other addresses are the subnet's.
        ("192.168.8.100", Scope::IntraNode, "us-east-2a", "node-1"),
        (
            "192.168.9.17",
            Scope::IntraZone,
            "us-east-2a",
            "subnet-0a0a0a0a0a0a0a0a0",
        ),
        (
            "192.168.63.255",
            Scope::CrossZone,
            "us-east-2b",
            "private-b",
        ),
        (
            "2600:1f16:abcd:1201::7",
            Scope::IntraZone,
            "us-east-2a",
            "v6 only: \"a\"",
        ),
        // In the VPC and in no subnet.
        ("100.64.3.4", Scope::Vpc, "", ""),
        ("2600:1f16:abcd:12ff::1", Scope::Vpc, "", ""),
        // Taken away from the VPC and from the subnet.
        ("10.99.0.1", Scope::Peered, "", ""),
        ("2600:1f16:dead:1200::1", Scope::Internet, "", ""),
        ("3.5.131.255", Scope::AwsService, "", "s3"),
        ("52.94.4.1", Scope::AwsService, "", "dynamodb"),
        ("2600:1fa0:6000::1", Scope::AwsService, "", "s3"),
        ("52.218.128.1", Scope::CrossRegion, "", "s3.us-west-2"),
        // A service that was not asked for, a load balancer's public side.
        ("120.52.22.97", Scope::Internet, "", ""),
        ("3.130.1.2", Scope::Internet, "", ""),
    ] {
        let explained = account.explain(address.parse().unwrap(), Instant::now());
        assert_eq!(explained.scope, scope, "{address}");
        assert_eq!(&*explained.party.zone, zone, "{address}");
        assert_eq!(&*explained.party.workload.name, name, "{address}");
    }
}

/// What the prices exempt is named by `deploy/prometheus`; no owner of an interface may get in.
#[test]
fn a_description_cannot_claim_an_exempt_name() {
    let text = INTERFACES.replace("alb/not really: a proxy", "vpce/mine");
    let inputs = Inputs {
        interfaces: input("interfaces", &text),
        ..none()
    };
    let account = account(&convert(&inputs, &args()).unwrap());
    let explained = account.explain("192.168.40.90".parse().unwrap(), Instant::now());
    assert_eq!(&*explained.party.workload.name, "eni/vpce/mine");
}

#[test]
fn each_input_does_alone() {
    let alone = |inputs: Inputs| Networks::parse(&convert(&inputs, &args()).unwrap()).unwrap();
    let (subnets, interfaces, vpcs, ip_ranges) = {
        let all = all();
        (all.subnets, all.interfaces, all.vpcs, all.ip_ranges)
    };
    assert_eq!(alone(Inputs { subnets, ..none() }).len(), 4);
    assert_eq!(
        alone(Inputs {
            interfaces,
            ..none()
        })
        .len(),
        16
    );
    assert_eq!(alone(Inputs { vpcs, ..none() }).len(), 3);
    assert_eq!(
        alone(Inputs {
            ip_ranges,
            ..none()
        })
        .len(),
        5
    );
    let empty = Inputs {
        subnets: input("subnets", r#"{"Subnets": []}"#),
        ..none()
    };
    assert!(alone(empty).is_empty());
}

#[test]
fn a_service_that_comes_first_keeps_the_ranges_that_it_shares() {
    let with = |services: [&str; 2]| {
        let args = NetworksArgs {
            services: services.map(str::to_owned).to_vec(),
            ..args()
        };
        let ip_ranges = input("ip-ranges", IP_RANGES);
        let account = account(
            &convert(
                &Inputs {
                    ip_ranges,
                    ..none()
                },
                &args,
            )
            .unwrap(),
        );
        let explained = account.explain("52.219.80.1".parse().unwrap(), Instant::now());
        let decides = |evidence: &&Evidence| evidence.decides;
        let decisive = explained.evidence.iter().find(decides).unwrap();
        assert_eq!(decisive.source, Found::NetworksFile);
        explained.party.workload.name.to_string()
    };
    assert_eq!(with(["S3", "AMAZON"]), "s3");
    assert_eq!(with(["AMAZON", "S3"]), "amazon");
}

/// Between partitions there is no transfer but over the internet.
#[test]
fn ranges_of_another_partition_are_left_out() {
    let scope = |text: &str| {
        let inputs = Inputs {
            ip_ranges: input("ip-ranges", text),
            ..none()
        };
        let account = account(&convert(&inputs, &args()).unwrap());
        let explained = account.explain("52.218.128.1".parse().unwrap(), Instant::now());
        explained.scope
    };
    assert_eq!(scope(IP_RANGES), Scope::CrossRegion);
    for region in [
        "cn-north-1",
        "us-gov-west-1",
        "us-iso-east-1",
        "eusc-de-east-1",
    ] {
        let text = IP_RANGES.replace("us-west-2", region);
        assert_eq!(scope(&text), Scope::Internet, "{region}");
    }
}

/// The name at an address, by trying every range.
fn said(entries: &Entries, address: std::net::IpAddr) -> Option<&str> {
    let around = entries.iter().filter(|(range, _)| range.contains(&address));
    let longest = around.max_by_key(|(range, _)| range.prefix_len());
    longest.map(|(_, entry)| &*entry.name)
}

proptest! {
    /// Ranges crowded into one /24, so that they nest and touch; then every address is asked.
    #[test]
    fn aggregating_changes_no_answer(
        ranges in proptest::collection::vec((any::<u8>(), 24_u8..=32, 0_usize..3), 0..40)
    ) {
        let entry = |name: usize| Entry {
            source: Source::Services,
            name: format!("n{name}"),
            zone: None,
            zone_id: None,
            scope: None,
            region: None,
            via: None,
            ways: None,
        };
        let entries: Entries = ranges
            .into_iter()
            .map(|(last, length, name)| {
                let range = ipnet::Ipv4Net::new([10, 0, 0, last].into(), length).unwrap();
                (range.trunc().into(), entry(name))
            })
            .collect();
        let fewer = aggregate::aggregate(entries.clone());
        prop_assert!(fewer.len() <= entries.len());
        for last in 0..=255 {
            let address = [10, 0, 0, last].into();
            prop_assert_eq!(said(&fewer, address), said(&entries, address));
        }
    }
}
