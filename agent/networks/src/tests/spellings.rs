//! The same lists in every way in which the AWS CLI can be made to print them.

use serde_json::{Value, json};

use super::*;

fn subnets(id: &str, range: &str) -> Value {
    json!({"AvailabilityZone": "us-east-2a", "CidrBlock": range, "SubnetId": id,
        "VpcId": "vpc-1", "Ipv6CidrBlockAssociationSet": [], "State": "available"})
}

fn of(flag: &str, text: &str) -> Result<yaml::File, String> {
    let input = input(flag, text);
    let inputs = match flag {
        "subnets" => Inputs {
            subnets: input,
            ..none()
        },
        "interfaces" => Inputs {
            interfaces: input,
            ..none()
        },
        _ => Inputs {
            vpcs: input,
            ..none()
        },
    };
    super::super::convert(&inputs, &args()).map_err(|error| format!("{error:#}"))
}

/// Range and name of each network.
fn read(text: &str) -> Vec<String> {
    let file = of("subnets", text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(file.notes, [""; 0], "{text}");
    let line = |(range, entry): (&ipnet::IpNet, &Entry)| format!("{range} {}", entry.name);
    file.entries.iter().map(line).collect()
}

#[test]
fn answers_pages_lists_and_single_resources_are_read() {
    let (a, b) = (
        subnets("subnet-a", "10.0.0.0/24"),
        subnets("subnet-b", "10.0.8.0/24"),
    );
    let both = ["10.0.0.0/24 subnet-a", "10.0.8.0/24 subnet-b"];
    let answer = json!({"Subnets": [a, b]});
    let pages = [
        json!({"Subnets": [a], "NextToken": "eyJ"}),
        json!({"Subnets": [b]}),
    ];
    let yaml = serde_yaml_like(&a, &b);
    for text in [
        answer.to_string(),
        serde_json::to_string_pretty(&answer).unwrap(),
        // --query 'Subnets', --query 'Subnets[]'
        json!([a, b]).to_string(),
        // --query '[Subnets]', a loop over regions
        json!([[a], [b]]).to_string(),
        json!([[a, b], []]).to_string(),
        // The same twice.
        json!([[a, b], [a]]).to_string(),
        // Pages: one after the other, and joined by jq --slurp.
        format!("{}\n{}\n", pages[0], pages[1]),
        format!("{}{}", pages[0], pages[1]),
        Value::from(pages.to_vec()).to_string(),
        // Single ones, as create-subnet prints them.
        format!("{}\n{}", json!({"Subnet": a}), json!({"Subnet": b})),
        format!("{a}\n{b}"),
        json!({"Subnets": [a, b], "NextToken": null}).to_string(),
        // --output yaml, and yaml-stream
        format!("Subnets:\n{yaml}"),
        format!("---\nSubnets:\n{yaml}"),
        yaml.clone(),
        format!(
            "- Subnets:\n{}",
            yaml.replace("\n", "\n  ").replacen('-', "  -", 1)
        ),
        // As AWS's page of the command has it: a text in single quotes.
        answer
            .to_string()
            .replacen("\"available\"", "'available'", 1),
        format!("\n\n  {answer}  \r\n"),
    ] {
        assert_eq!(read(&text), both, "{text}");
    }
    assert_eq!(read(&a.to_string()), both[..1]);
    assert_eq!(read(&json!({"Subnet": b}).to_string()), both[1..]);
}

/// The two subnets as a YAML list.
fn serde_yaml_like(a: &Value, b: &Value) -> String {
    let one = |subnet: &Value| {
        let of = |key: &str| subnet[key].as_str().unwrap().to_owned();
        format!(
            "- AvailabilityZone: us-east-2a\n  CidrBlock: {}\n  SubnetId: {}\n  Tags: []\n  VpcId: vpc-1\n",
            of("CidrBlock"),
            of("SubnetId")
        )
    };
    one(a) + &one(b)
}

#[test]
fn what_is_not_the_whole_list_is_refused_with_what_to_give() {
    let a = subnets("subnet-a", "10.0.0.0/24");
    let interface = json!({"NetworkInterfaceId": "eni-1", "SubnetId": "subnet-a",
        "VpcId": "vpc-1", "AvailabilityZone": "us-east-2a",
        "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.0.5"}]});
    let without = |key: &str| {
        let mut subnet = a.clone();
        subnet.as_object_mut().unwrap().remove(key);
        json!({"Subnets": [subnet]}).to_string()
    };
    for (text, problem) in [
        ("null".to_owned(), "is null: did the --query find nothing?"),
        (
            r#"["subnet-a"]"#.to_owned(),
            "\"[0]\" is a bare value: a --query has cut out too much",
        ),
        (
            r#"[["subnet-a", "10.0.0.0/24"]]"#.to_owned(),
            "\"[0][0]\" is a bare value",
        ),
        ("\"subnet-a\"".to_owned(), "a bare value"),
        ("7".to_owned(), "a bare value"),
        (
            "subnet-a\tsubnet-b\n".to_owned(),
            "neither JSON nor YAML: run `aws ec2 describe-subnets` with",
        ),
        (
            "SUBNETS\tTrue\t10.0.0.0/24\n".to_owned(),
            "with --output json",
        ),
        (
            "-----\n|  DescribeSubnets  |\n".to_owned(),
            "with --output json",
        ),
        ("{}".to_owned(), "the resource\" is empty"),
        (r#"{"Subnets": {}}"#.to_owned(), "\"Subnets\" is no list"),
        (r#"{"Subnets": null}"#.to_owned(), "is empty"),
        (
            r#"{"Reservations": []}"#.to_owned(),
            "of another kind: it has Reservations",
        ),
        (
            json!([{"ID": "subnet-a", "CIDR": "10.0.0.0/24"}]).to_string(),
            "it has CIDR, ID",
        ),
        (
            json!({"Subnets": [interface]}).to_string(),
            "of NetworkInterfaces: give it to --interfaces",
        ),
        (
            json!({"Vpcs": [{"VpcId": "vpc-1"}]}).to_string(),
            "another kind: it has Vpcs",
        ),
        (
            json!([{"VpcId": "vpc-1"}]).to_string(),
            "\"[0]\" is of Vpcs: give it to --vpcs",
        ),
        (
            json!({"Subnets": [a], "NextToken": "eyJ"}).to_string(),
            "cut short",
        ),
        (without("VpcId"), "Subnets[0]: VpcId is missing"),
        (without("SubnetId"), "is of Vpcs"),
        (
            without("AvailabilityZone"),
            "(subnet-a): AvailabilityZone is missing",
        ),
        (without("CidrBlock"), "\"subnet-a\" has no CidrBlock"),
        (
            r#"{"Subnets": [{"SubnetId""#.to_owned(),
            "ends in the middle",
        ),
        (r#"{"Subnets": ["#.to_owned(), "ends in the middle"),
    ] {
        let error = of("subnets", &text)
            .err()
            .unwrap_or_else(|| panic!("{text} is read"));
        assert!(error.contains(problem), "{text}: {error}");
        assert!(error.starts_with("--subnets subnets.json: "), "{error}");
        for word in [
            "serde",
            "struct",
            "invalid type",
            "expected value",
            "missing field",
        ] {
            assert!(!error.contains(word), "{text}: {error}");
        }
    }
}

#[test]
fn an_empty_answer_is_said() {
    for text in [r#"{"Subnets": []}"#, "[]", "Subnets: []\n", "[[], []]"] {
        let file = of("subnets", text).unwrap();
        let note = "--subnets subnets.json: lists nothing: is the region or a filter wrong?";
        assert_eq!(file.notes, [note], "{text}");
        assert!(yaml::write(&file).contains(&format!("# {note}\n")));
    }
    let text = json!({"Subnets": [subnets("subnet-a", "10.0.0.0/24")]}).to_string();
    let inputs = Inputs {
        subnets: input("subnets", &text),
        vpcs: input(
            "vpcs",
            r#"{"Vpcs": [{"VpcId": "vpc-2", "CidrBlock": "10.9.0.0/16"}]}"#,
        ),
        ..none()
    };
    let vpc = Some("vpc-2".to_owned());
    let file = super::super::convert(&inputs, &NetworksArgs { vpc, ..args() }).unwrap();
    let note = "--subnets subnets.json: lists nothing of vpc-2: is the region or a filter wrong?";
    assert_eq!(file.notes, [note]);
}

/// As older versions of the CLI print them, and as a `--query` of the first address does.
#[test]
fn short_forms_of_vpcs_and_interfaces_are_read() {
    let file = of(
        "vpcs",
        r#"{"Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.9.0.0/16"}]}"#,
    )
    .unwrap();
    assert_eq!(file.vpc, ["10.9.0.0/16".parse().unwrap()]);
    let error = of("vpcs", r#"{"Vpcs": [{"VpcId": "vpc-1"}]}"#)
        .err()
        .unwrap();
    let problem = "\"vpc-1\" has no CidrBlock and no CidrBlockAssociationSet";
    assert!(error.ends_with(problem), "{error}");
    let interface = |more: Value| {
        let mut one = json!({"NetworkInterfaceId": "eni-1", "VpcId": "vpc-1",
            "AvailabilityZone": "us-east-2a", "SubnetId": "subnet-a"});
        one.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        of("interfaces", &json!([one]).to_string())
    };
    let file = interface(json!({"PrivateIpAddress": "10.0.0.5"})).unwrap();
    let names: Vec<_> = file.entries.values().map(|entry| &*entry.name).collect();
    assert_eq!(names, ["eni/eni-1"]);
    let error = interface(json!({})).err().unwrap();
    assert!(error.contains("has no PrivateIpAddresses"), "{error}");
    let error = interface(json!({"PrivateIpAddress": "10.0.0.5", "AvailabilityZone": null}));
    assert!(error.err().unwrap().contains("has no AvailabilityZone"));
}

/// AWS puts a UUID behind the names of functions.
#[test]
fn a_function_is_called_without_the_uuid_behind_it() {
    let uuid = "0d9a1f7c-00b1-4c5e-8f00-00000000000a";
    let words = "orders-in-words-of-more-than-thirty-six-letters";
    for (described, own) in [
        (&*format!("orders-{uuid}"), "orders"),
        (words, words),
        (uuid, uuid),
        (&format!("-{uuid}"), &format!("-{uuid}")),
    ] {
        let one = json!({"NetworkInterfaceId": "eni-1", "VpcId": "vpc-1",
            "AvailabilityZone": "us-east-2a", "PrivateIpAddress": "10.0.0.5",
            "Description": format!("AWS Lambda VPC ENI-{described}")});
        let file = of("interfaces", &json!([one]).to_string()).unwrap();
        let names: Vec<_> = file.entries.values().map(|entry| &*entry.name).collect();
        assert_eq!(names, [format!("lambda/{own}")]);
    }
}

#[test]
fn texts_with_a_byte_order_mark_and_of_powershell_are_read() {
    let text = json!({"Subnets": [subnets("subnet-ü", "10.0.0.0/24")]}).to_string();
    let units = || text.encode_utf16();
    let little = [0xff, 0xfe]
        .into_iter()
        .chain(units().flat_map(u16::to_le_bytes));
    let big = [0xfe, 0xff]
        .into_iter()
        .chain(units().flat_map(u16::to_be_bytes));
    let marked = [0xef, 0xbb, 0xbf].into_iter().chain(text.bytes());
    for bytes in [
        little.collect(),
        big.collect(),
        marked.collect(),
        text.as_bytes().to_vec(),
    ] {
        assert_eq!(input::text(bytes).as_deref(), Some(&*text));
    }
    for bytes in [
        &[0xff_u8, 0xfe, 0x41][..],
        &[0x80],
        &[0xff, 0xfe, 0x00, 0xd8],
    ] {
        assert_eq!(input::text(bytes.to_vec()), None);
    }
}
