//! Route tables, NAT gateways and endpoints, as the pages of their commands in the AWS CLI's
//! documentation print them.

use serde_json::{Value, json};

use super::*;

const ROUTE_TABLES: &str = include_str!("route-tables.json");
const NAT_GATEWAYS: &str = include_str!("nat-gateways.json");
const ENDPOINTS: &str = include_str!("vpc-endpoints.json");
pub(super) const ROUTED: &str = include_str!("routed.yaml");

pub(super) fn routed() -> Inputs {
    Inputs {
        subnets: input("subnets", SUBNETS),
        route_tables: input("route-tables", ROUTE_TABLES),
        nat_gateways: input("nat-gateways", NAT_GATEWAYS),
        vpc_endpoints: input("vpc-endpoints", ENDPOINTS),
        ..none()
    }
}

#[test]
fn subnets_have_the_ways_of_their_tables() {
    let text = convert(&routed(), &args()).unwrap();
    assert_eq!(text, ROUTED);
    assert_eq!(Networks::parse(&text).unwrap().len(), 4);
}

/// What the file says of an IPv4 and of an IPv6 subnet whose table has these routes, and the notes.
fn ways(routes: Value) -> (Vec<String>, Vec<String>) {
    let subnet = json!({"Subnets": [{"SubnetId": "subnet-1", "VpcId": "vpc-1",
        "AvailabilityZone": "us-east-2a", "CidrBlock": "10.0.0.0/24",
        "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": "2600:1f16::/64",
            "Ipv6CidrBlockState": {"State": "associated"}}]}]});
    let tables = json!({"RouteTables": [{"RouteTableId": "rtb-1", "VpcId": "vpc-1",
        "Associations": [{"Main": true}], "Routes": routes}]});
    let inputs = Inputs {
        subnets: input("subnets", &subnet.to_string()),
        route_tables: input("route-tables", &tables.to_string()),
        ..none()
    };
    let args = NetworksArgs {
        services: vec!["S3".to_owned()],
        ..args()
    };
    let file = super::super::convert(&inputs, &args).unwrap();
    let text = yaml::write(&file);
    Networks::parse(&text).unwrap();
    let lines = text.lines().filter(|line| line.contains("cidr"));
    let ways = lines.map(|line| {
        let (_, ways) = line.split_once("subnet-1").unwrap();
        ways.trim_start_matches(", ")
            .strip_suffix(" }")
            .unwrap()
            .to_owned()
    });
    (ways.collect(), file.notes)
}

fn route(destination: &str, target: &str, id: &str) -> Value {
    let key = match destination {
        range if range.contains(':') => "DestinationIpv6CidrBlock",
        list if list.starts_with("pl-") => "DestinationPrefixListId",
        _ => "DestinationCidrBlock",
    };
    json!({key: destination, target: id, "Origin": "CreateRoute", "State": "active"})
}

#[test]
fn every_target_has_its_word_or_is_named() {
    let default = |target, id| json!([route("0.0.0.0/0", target, id)]);
    for (routes, way, note) in [
        (
            default("GatewayId", "igw-1"),
            "internet: igw, awsServices: { s3: igw }",
            None,
        ),
        (
            default("TransitGatewayId", "tgw-1"),
            "internet: tgw, awsServices: { s3: tgw }",
            None,
        ),
        (
            default(
                "CoreNetworkArn",
                "arn:aws:networkmanager::1:core-network/c-1",
            ),
            "internet: tgw, awsServices: { s3: tgw }",
            None,
        ),
        (
            default("GatewayId", "vpce-1"),
            "internet: firewall, awsServices: { s3: firewall }",
            None,
        ),
        (
            default("NatGatewayId", "nat-1"),
            "internet: nat, awsServices: { s3: nat }",
            Some("nat-1: its zone is not known: add --nat-gateways"),
        ),
        (
            default("NetworkInterfaceId", "eni-1"),
            "",
            Some(
                "rtb-1: 0.0.0.0/0 leads to eni-1, which is none of nat, igw, egress_only, tgw, \
                 firewall",
            ),
        ),
        (
            default("GatewayId", "vgw-1"),
            "",
            Some(
                "rtb-1: 0.0.0.0/0 leads to vgw-1, which is none of nat, igw, egress_only, tgw, \
                 firewall",
            ),
        ),
        (
            json!([{"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-06c018cbd8EXAMPLE",
                "Origin": "CreateRoute", "State": "blackhole"}]),
            "internet: none, awsServices: { s3: none }",
            Some("rtb-1: 0.0.0.0/0 is a blackhole: it leads to nothing any more"),
        ),
        (
            json!([route("10.0.0.0/16", "GatewayId", "local")]),
            "internet: none, awsServices: { s3: none }",
            None,
        ),
        // A prefix list without an endpoint: whose addresses it has is not in the answer.
        (
            json!([route("pl-1", "TransitGatewayId", "tgw-1")]),
            "internet: none, awsServices: { s3: none }",
            Some(
                "rtb-1: pl-1 goes by tgw and not where 0.0.0.0/0 leads: give these addresses an \
                 entry with via",
            ),
        ),
        // Some addresses of the internet elsewhere than the others; private ones may go anywhere.
        (
            json!([
                route("0.0.0.0/0", "GatewayId", "igw-1"),
                route("52.219.0.0/16", "TransitGatewayId", "tgw-1"),
                route("3.5.128.0/22", "GatewayId", "vpce-1"),
                route("8.8.8.0/24", "GatewayId", "igw-1"),
                route("10.8.0.0/16", "TransitGatewayId", "tgw-1"),
                route("100.64.0.0/16", "TransitGatewayId", "tgw-1"),
                route("192.168.0.0/16", "GatewayId", "local"),
            ]),
            "internet: igw, awsServices: { s3: igw }",
            Some(
                "rtb-1: 52.219.0.0/16, and 1 more like it, goes by tgw and not where 0.0.0.0/0 \
                 leads: give these addresses an entry with via",
            ),
        ),
        // All of the internet in two routes.
        (
            json!([
                route("0.0.0.0/1", "TransitGatewayId", "tgw-1"),
                route("128.0.0.0/1", "TransitGatewayId", "tgw-1"),
            ]),
            "internet: tgw, awsServices: { s3: tgw }",
            None,
        ),
    ] {
        let (ways, notes) = ways(routes);
        assert_eq!(ways[0], way);
        assert_eq!(ways[1], "internet: none, awsServices: { s3: none }");
        assert_eq!(notes, note.into_iter().collect::<Vec<_>>(), "{way}");
    }
    let (ways, _) = ways(json!([
        route("::/0", "EgressOnlyInternetGatewayId", "eigw-1"),
        route("64:ff9b::/96", "TransitGatewayId", "tgw-1"),
    ]));
    assert_eq!(
        ways[1],
        "internet: egress_only, nat64: tgw, awsServices: { s3: egress_only }"
    );
}

fn with(flag: &str, from: &str, to: &str) -> Result<yaml::File, String> {
    let mut inputs = routed();
    let place = match flag {
        "route-tables" => &mut inputs.route_tables,
        "nat-gateways" => &mut inputs.nat_gateways,
        _ => &mut inputs.vpc_endpoints,
    };
    let input = place.as_mut().unwrap();
    assert!(input.text.contains(from), "{from}");
    input.text = input.text.replace(from, to);
    super::super::convert(&inputs, &args()).map_err(|error| format!("{error:#}"))
}

#[test]
fn what_the_lists_lack_is_said() {
    // A subnet that another account shares: its main table is not in the answer.
    let file = with("route-tables", "\"Main\": true", "\"Main\": false").unwrap();
    let note = |subnet| {
        format!(
            "--route-tables route-tables.json: has no table of {subnet} and no main table of \
             vpc-0123456789abcdef0: who shares the subnet may have to run the command"
        )
    };
    let subnets = ["subnet-06060606060606060", "subnet-0b0b0b0b0b0b0b0b0"];
    assert_eq!(file.notes, subnets.map(note));
    // The gateway of another answer, and a regional one.
    let file = with("nat-gateways", "nat-0c0c0c0c0c0c0c0c0", "nat-1").unwrap();
    let note = "nat-0c0c0c0c0c0c0c0c0: its zone is not known: --nat-gateways does not list it";
    assert_eq!(file.notes, [note]);
    let file = with("nat-gateways", "subnet-0a0a0a0a0a0a0a0a0", "subnet-9").unwrap();
    let note = "nat-0c0c0c0c0c0c0c0c0: its zone is not known: --subnets does not list its subnet";
    assert_eq!(file.notes, [note]);
    let zonal = "\"AvailabilityMode\": \"zonal\"";
    let in_subnet = "\"SubnetId\": \"subnet-0a0a0a0a0a0a0a0a0\"";
    let file = with("nat-gateways", in_subnet, zonal).unwrap();
    let note = "nat-0c0c0c0c0c0c0c0c0: its zone is not known: --nat-gateways has no SubnetId of it";
    assert_eq!(file.notes, [note]);
    let regional = "\"AvailabilityMode\": \"regional\"";
    let file = with(
        "nat-gateways",
        "\"SubnetId\": \"subnet-0a0a0a0a0a0a0a0a0\"",
        regional,
    );
    let file = file.unwrap();
    assert_eq!(file.notes, [""; 0]);
    let text = yaml::write(&file);
    assert!(
        text.contains("internet: nat,") && !text.contains("natZone"),
        "{text}"
    );
    for (flag, list) in [
        ("route-tables", "RouteTables"),
        ("nat-gateways", "NatGateways"),
        ("vpc-endpoints", "VpcEndpoints"),
    ] {
        let mut inputs = routed();
        let empty = input(flag, &json!({list: []}).to_string());
        match flag {
            "route-tables" => inputs.route_tables = empty,
            "nat-gateways" => inputs.nat_gateways = empty,
            _ => inputs.vpc_endpoints = empty,
        }
        let note = format!(
            "--{flag} {flag}.json: lists nothing of vpc-0123456789abcdef0: is the region or a \
             filter wrong?"
        );
        match super::super::convert(&inputs, &args()) {
            Ok(file) => assert!(file.notes.contains(&note), "{:?}", file.notes),
            Err(error) => assert!(error.to_string().contains("--vpc-endpoints"), "{error}"),
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    for (flag, from, to, problem) in [
        (
            "vpc-endpoints",
            "vpce-05353535353535353",
            "vpce-0",
            "--route-tables route-tables.json: RouteTables[0]: vpce-05353535353535353, for \
             pl-7ba54012, is not in --vpc-endpoints: are the files of the same time, and of the \
             account that owns the VPC?",
        ),
        (
            "route-tables",
            "\"State\": \"active\"",
            "\"Origin2\": \"\"",
            "--route-tables route-tables.json: RouteTables[0] (rtb-01010101010101010): State is \
             missing: give what `aws ec2 describe-route-tables` prints, in full",
        ),
        // What a --query leaves that asks for ranges of IPv4 alone.
        (
            "route-tables",
            "\"DestinationPrefixListId\": \"pl-7ba54012\"",
            "\"DestinationCidrBlock\": null",
            "--route-tables route-tables.json: RouteTables[0]: \"rtb-01010101010101010\" has a route \
             without a destination: give what `aws ec2 describe-route-tables` prints, in full",
        ),
        (
            "route-tables",
            "\"RouteTables\"",
            "\"NextToken\": \"eyJ\", \"RouteTables\"",
            "--route-tables route-tables.json: NextToken: the list is cut short: run `aws ec2 \
             describe-route-tables` without --max-items and --no-paginate",
        ),
        (
            "route-tables",
            "\"Routes\"",
            "\"Route\"",
            "--route-tables route-tables.json: RouteTables[0] (rtb-01010101010101010): Routes is \
             missing: give what `aws ec2 describe-route-tables` prints, in full",
        ),
        (
            "nat-gateways",
            "\"VpcId\": \"vpc-0123456789abcdef0\"",
            "\"VpcId\": \"\"",
            "--nat-gateways nat-gateways.json: NatGateways[0]: VpcId is missing: give what `aws \
             ec2 describe-nat-gateways` prints, in full",
        ),
        (
            "vpc-endpoints",
            ENDPOINTS,
            NAT_GATEWAYS,
            "another kind: it has NatGateways",
        ),
    ] {
        let error = with(flag, from, to).err().unwrap();
        assert!(error.contains(problem), "{problem:?} is not in {error:?}");
    }
    for (alone, remedy) in [
        (
            Inputs {
                vpc_endpoints: None,
                ..routed()
            },
            "vpce-05353535353535353, for pl-7ba54012, is of a service that only --vpc-endpoints \
             tells: add it",
        ),
        (
            Inputs {
                nat_gateways: input("nat-gateways", NAT_GATEWAYS),
                ..none()
            },
            "says nothing without --route-tables: add what leads there",
        ),
        (
            Inputs {
                vpc_endpoints: input("vpc-endpoints", ENDPOINTS),
                ..none()
            },
            "says nothing without --route-tables or --interfaces: add what leads there",
        ),
    ] {
        let error = convert(&alone, &args()).unwrap_err().to_string();
        assert!(error.ends_with(remedy), "{error}");
    }
    // Lists of the wrong kind, told by their ids.
    let swapped = Inputs {
        subnets: input("subnets", NAT_GATEWAYS),
        ..none()
    };
    let error = convert(&swapped, &args()).unwrap_err().to_string();
    assert!(error.contains("it has NatGateways"), "{error}");
    let bare: Value = serde_json::from_str(NAT_GATEWAYS).unwrap();
    let swapped = Inputs {
        subnets: input("subnets", &bare["NatGateways"].to_string()),
        ..none()
    };
    let error = convert(&swapped, &args()).unwrap_err().to_string();
    assert!(
        error.contains("of NatGateways: give it to --nat-gateways"),
        "{error}"
    );
}

/// Two VPCs in each list, one of them with a table that must not count.
#[test]
fn of_several_vpcs_only_the_wanted_one_counts() {
    let other = |text: &str, list: &str| {
        let mut answer: Value = serde_json::from_str(text).unwrap();
        let all = answer[list].as_array_mut().unwrap();
        let copy = all[0]
            .to_string()
            .replace("vpc-0123456789abcdef0", "vpc-other");
        all.insert(0, serde_json::from_str(&copy).unwrap());
        answer.to_string()
    };
    let inputs = Inputs {
        subnets: input("subnets", SUBNETS),
        route_tables: input("route-tables", &other(ROUTE_TABLES, "RouteTables")),
        nat_gateways: input("nat-gateways", &other(NAT_GATEWAYS, "NatGateways")),
        vpc_endpoints: input("vpc-endpoints", &other(ENDPOINTS, "VpcEndpoints")),
        ..none()
    };
    let error = convert(&inputs, &args()).unwrap_err().to_string();
    assert!(error.contains("several VPCs: add --vpc"), "{error}");
    let vpc = Some("vpc-0123456789abcdef0".to_owned());
    let text = convert(&inputs, &NetworksArgs { vpc, ..args() }).unwrap();
    assert_eq!(text, ROUTED);
}
