//! Interfaces of endpoints, and the services that they are for.

use super::{
    routes::{ROUTED, routed},
    *,
};

const ENDPOINTS: &str = include_str!("vpc-endpoints.json");

/// An interface endpoint of a service of AWS is billed as such; of anybody else's service it is not
/// known what crosses zones there, and it keeps its name.
#[test]
fn interfaces_of_endpoints_have_the_service_that_they_are_for() {
    let at = |address: &str, endpoints: &str| {
        let inputs = Inputs {
            interfaces: input("interfaces", INTERFACES),
            vpc_endpoints: input("vpc-endpoints", endpoints),
            ..none()
        };
        let account = account(&convert(&inputs, &args()).unwrap());
        let explained = account.explain(address.parse().unwrap(), Instant::now());
        let Explanation {
            scope, via, party, ..
        } = explained;
        (
            scope,
            via.name(),
            party.workload.name.to_string(),
            party.zone.to_string(),
        )
    };
    let of = |endpoints: &str| at("192.168.8.20", endpoints);
    let zone = || "us-east-2a".to_owned();
    let expected = (
        Scope::AwsService,
        "interface_endpoint",
        "vpce/ecr.api".to_owned(),
        zone(),
    );
    assert_eq!(of(ENDPOINTS), expected);
    let notebook = "aws.sagemaker.us-east-2.notebook";
    let named = "vpce/sagemaker.us-east-2.notebook".to_owned();
    let (scope, via, name, _) = of(&ENDPOINTS.replace("com.amazonaws.us-east-2.ecr.api", notebook));
    assert_eq!(
        (scope, via, name),
        (Scope::AwsService, "interface_endpoint", named)
    );
    let others = ENDPOINTS.replace(
        "com.amazonaws.us-east-2.ecr.api",
        "com.amazonaws.vpce.us-east-2.vpce-svc-0123456789abcdef0",
    );
    let named = "vpce/vpce-0e0e0e0e0e0e0e0e0".to_owned();
    let own = (Scope::IntraZone, "", named, zone());
    assert_eq!(of(&others), own);
    // Appliances.
    let appliances = ENDPOINTS.replace("\"Interface\"", "\"GatewayLoadBalancer\"");
    assert_eq!(of(&appliances), own);
    // No endpoint's.
    let beside = (Scope::IntraZone, "", "elb/legacy".to_owned(), zone());
    assert_eq!(at("192.168.8.12", ENDPOINTS), beside);
}

/// Of a gateway endpoint: an answer without the field is of one for IPv4.
#[test]
fn a_gateway_endpoint_is_a_way_of_the_families_that_it_speaks() {
    let v6_too = ROUTED.replace("s3: egress_only", "s3: gateway_endpoint");
    let v6_alone = v6_too.replace(
        "s3: gateway_endpoint, dynamodb: nat",
        "s3: nat, dynamodb: nat",
    );
    for (family, expected) in [
        ("ipv4", ROUTED),
        ("dualstack", &v6_too),
        ("ipv6", &v6_alone),
    ] {
        let gateway = "\"VpcEndpointType\": \"Gateway\"";
        let speaks = format!("{gateway}, \"IpAddressType\": \"{family}\"");
        let inputs = Inputs {
            vpc_endpoints: input("vpc-endpoints", &ENDPOINTS.replace(gateway, &speaks)),
            ..routed()
        };
        assert_eq!(convert(&inputs, &args()).unwrap(), expected, "{family}");
    }
}
