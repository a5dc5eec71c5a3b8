//! Inputs and flags that are refused, each with one line.

use super::*;

fn refused(inputs: &Inputs) -> String {
    format!("{:#}", convert(inputs, &args()).unwrap_err())
}

/// Refuses `INTERFACES` and so on with one part of the text replaced.
fn refused_with(flag: &str, from: &str, to: &str) -> String {
    let mut inputs = all();
    let place = match flag {
        "subnets" => &mut inputs.subnets,
        "interfaces" => &mut inputs.interfaces,
        "vpcs" => &mut inputs.vpcs,
        _ => &mut inputs.ip_ranges,
    };
    let input = place.as_mut().unwrap();
    assert!(input.text.contains(from), "{from}");
    input.text = input.text.replacen(from, to, 1);
    refused(&inputs)
}

#[test]
fn what_is_not_as_aws_prints_it_is_refused_with_file_and_place() {
    for (flag, from, to, message) in [
        (
            "subnets",
            "192.168.0.0/19",
            "192.168.0.0/99",
            "--subnets subnets.json: Subnets[1].CidrBlock: \"192.168.0.0/99\" is no address and \
             no network",
        ),
        (
            "interfaces",
            "\"192.168.40.10\"\n",
            "\"192.168.40\"\n",
            "--interfaces interfaces.json: NetworkInterfaces[0].PrivateIpAddresses: \
             \"192.168.40\" is no address and no network",
        ),
        (
            "vpcs",
            "\"Vpcs\"",
            "\"Vpc\"",
            "--vpcs vpcs.json: no \"Vpcs\": \"Vpc\" is no resource; give what `aws ec2 describe-vpcs \
             --output json` prints",
        ),
        (
            "subnets",
            "\"Subnets\"",
            "\"NextToken\": \"eyJ\", \"Subnets\"",
            "--subnets subnets.json: NextToken: the list is cut short: run `aws ec2 \
             describe-subnets` without --max-items and --no-paginate",
        ),
        (
            "vpcs",
            "\"State\": \"associated\"",
            "\"State\": 7",
            "--vpcs vpcs.json: Vpcs[0] (vpc-0123456789abcdef0): 7 stands where a text belongs: give \
             what `aws ec2 describe-vpcs` prints, in full",
        ),
        (
            "interfaces",
            "\"VpcId\": \"vpc-0123456789abcdef0\"",
            "\"VpcId\": \"\"",
            "--interfaces interfaces.json: NetworkInterfaces[0]: VpcId is missing: give what `aws \
             ec2 describe-network-interfaces` prints, in full",
        ),
        (
            "ip-ranges",
            "DYNAMODB",
            "SQS",
            "--ip-ranges ip-ranges.json: DYNAMODB has no ranges in us-east-2: services with \
             ranges are AMAZON, CLOUDFRONT, S3, SQS",
        ),
        (
            "subnets",
            "vpc-0123456789abcdef0",
            "vpc-other",
            "the files tell of several VPCs: add --vpc with one of vpc-0123456789abcdef0, \
             vpc-other",
        ),
        (
            "subnets",
            "192.168.0.0/19",
            "192.168.32.0/19",
            "192.168.32.0/19 is both \"private-b\" in us-east-2b and \
             \"subnet-0a0a0a0a0a0a0a0a0\" in us-east-2a: do the files tell of the same VPC and \
             the same time?",
        ),
    ] {
        assert_eq!(refused_with(flag, from, to), message);
    }
    let empty = Inputs {
        vpcs: input("vpcs", "\n"),
        ..none()
    };
    let message = "--vpcs vpcs.json: is empty: did the command that writes it fail?";
    assert_eq!(refused(&empty), message);
}

#[test]
fn of_several_vpcs_the_wanted_one_is_taken() {
    let text = SUBNETS.replacen("vpc-0123456789abcdef0", "vpc-other", 1);
    let inputs = || Inputs {
        subnets: input("subnets", &text),
        ..none()
    };
    let of = |vpc: &str| {
        let vpc = Some(vpc.to_owned());
        convert(&inputs(), &NetworksArgs { vpc, ..args() })
    };
    let written = of("vpc-other").unwrap();
    assert!(written.contains("192.168.32.0/19"), "{written}");
    assert!(!written.contains("192.168.0.0/19"), "{written}");
    let error = of("vpc-third").unwrap_err().to_string();
    assert!(
        error.starts_with("--vpc vpc-third: is in none of the files"),
        "{error}"
    );
}

#[test]
fn flags_that_do_not_go_together_are_refused() {
    let stdin = || Some(PathBuf::from("-"));
    let twice = NetworksArgs {
        subnets: stdin(),
        vpcs: stdin(),
        ..args()
    };
    let message = "--subnets - and --vpcs - both read the standard input: give one of them a file";
    assert_eq!(write(&twice).unwrap_err().to_string(), message);
    let nothing = write(&args()).unwrap_err().to_string();
    assert!(
        nothing.starts_with("nothing to read: give at least one of --subnets"),
        "{nothing}"
    );
    let regionless = NetworksArgs {
        region: None,
        ..args()
    };
    let error = convert(&all(), &regionless).unwrap_err().to_string();
    assert!(error.starts_with("--ip-ranges needs --region"), "{error}");
    let without_vpcs = Inputs {
        ip_ranges: input("ip-ranges", IP_RANGES),
        ..none()
    };
    let vpc = Some("vpc-1".to_owned());
    let error = convert(&without_vpcs, &NetworksArgs { vpc, ..args() }).unwrap_err();
    let message = "--vpc vpc-1: no file tells of a VPC: give what the AWS CLI prints, in full";
    assert_eq!(error.to_string(), message);
    let missing = NetworksArgs {
        subnets: Some("/nowhere/subnets.json".into()),
        ..args()
    };
    let error = format!("{:#}", write(&missing).unwrap_err());
    assert!(
        error.starts_with("--subnets /nowhere/subnets.json: No such file"),
        "{error}"
    );
}
