//! Excerpts in the shape of AWS's offer files; every expected number is from the excerpt.

use serde_json::{Value, json};

use super::*;
use crate::input::Input;

mod excerpt;

use excerpt::{answer, offer, ohio, processing, product, transfer};

fn written(text: &str, region: &str) -> Result<(String, Vec<String>), String> {
    let input = Input {
        name: "--price-list p.json".to_owned(),
        text: text.to_owned(),
    };
    let lists = list::read(&input).map(|list| vec![list]);
    lists
        .and_then(|lists| convert(&lists, region))
        .map_err(|error| format!("{error:#}"))
}

/// `scope direction via` and the price of each row.
fn rows(text: &str) -> Vec<(String, f64)> {
    let mut all = Vec::new();
    let mut price = 0.0;
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
    {
        if let Some(expression) = line.trim().strip_prefix("expr: vector(") {
            price = expression.trim_end_matches(')').parse().unwrap();
        }
        if let Some(labels) = line.trim().strip_prefix("labels: { ") {
            let value = |label: &str| {
                let all = labels.trim_end_matches(" }").split(", ");
                let mut found = all.filter_map(|one| one.strip_prefix(label)?.strip_prefix(": "));
                found.next().unwrap_or_default().to_owned()
            };
            all.push((
                format!("{} {} {}", value("scope"), value("direction"), value("via")),
                price,
            ));
        }
    }
    all
}

fn expected(rows: &[(&str, f64)]) -> Vec<(String, f64)> {
    rows.iter()
        .map(|(row, price)| ((*row).to_owned(), *price))
        .collect()
}

#[test]
fn each_row_costs_what_the_list_says() {
    let of_ohio = expected(&[
        ("cross_zone transmit ", 0.01),
        ("cross_zone receive ", 0.01),
        ("internet transmit ", 0.09),
        ("internet transmit nat", 0.135),
        ("internet receive nat", 0.045),
        ("internet transmit tgw", 0.11),
        ("aws_service transmit nat", 0.045),
        ("aws_service receive nat", 0.045),
        ("aws_service transmit tgw", 0.02),
        ("aws_service transmit interface_endpoint", 0.01),
        ("aws_service receive interface_endpoint", 0.01),
        ("cross_region transmit ", 0.02),
        ("cross_region transmit nat", 0.065),
        ("cross_region receive nat", 0.045),
        ("cross_region transmit tgw", 0.04),
        ("peered transmit nat", 0.045),
        ("peered receive nat", 0.045),
        ("peered transmit tgw", 0.02),
    ]);
    for text in [offer(&ohio()), answer(&ohio())] {
        let (text, notes) = written(&text, "us-east-2").unwrap();
        assert_eq!(rows(&text), of_ohio);
        let unused = "rows that are not used: USE2-CloudFront-Out-Bytes, USE2-USW2-AWS-In-Bytes";
        assert_eq!(notes, [unused]);
        for line in [
            "# Written by `zonemeter prices` for us-east-2, from AWS's price list of 2025-11-05.",
            "      # 0 to 10240 GB: 0.09\n      # 10240 to 51200 GB: 0.085\n",
            "      # us-east-1: 0.01\n      # us-west-2: 0.02\n",
            "region: us-east-2, as_of: \"2025-11-05\" }",
        ] {
            assert!(text.contains(line), "{line:?} is not in {text}");
        }
    }
}

#[test]
fn the_file_is_a_rules_file() {
    let (text, _) = written(&offer(&ohio()), "us-east-2").unwrap();
    let rules: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(rules["groups"][0]["name"], "zonemeter.prices.us-east-2");
    let all = rules["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(all.len(), 18);
    for rule in all {
        assert_eq!(rule["record"], "zonemeter:price:dollars_per_gigabyte");
        assert!(
            rule["labels"]
                .as_object()
                .unwrap()
                .values()
                .all(Value::is_string)
        );
    }
}

/// A free tier before the first paid one, as lists of whole accounts have it.
#[test]
fn the_first_tier_that_costs_anything_is_taken() {
    let rows_with_free = [product(
        "OUT",
        transfer(
            "AWS Outbound",
            "us-east-1",
            "External",
            "DataTransfer-Out-Bytes",
        ),
        &[
            ("0", "1", "GB", "0.0000000000"),
            ("1", "10240", "GB", "0.0900000000"),
            ("10240", "Inf", "GB", "0.0850000000"),
        ],
    )];
    let (text, notes) = written(&offer(&rows_with_free), "us-east-1").unwrap();
    assert_eq!(rows(&text), expected(&[("internet transmit ", 0.09)]));
    assert_eq!(notes.len(), 5, "{notes:?}");
    assert_eq!(
        notes[0],
        "no price of transfer between zones is in the lists: add --price-list with AWSDataTransfer's"
    );
}

#[test]
fn govcloud_and_china_have_their_own() {
    let gb = |price| [("0", "Inf", "GB", price)];
    let government = [product(
        "Z",
        transfer(
            "IntraRegion",
            "us-gov-west-1",
            "us-gov-west-1",
            "UGW1-DataTransfer-Regional-Bytes",
        ),
        &gb("0.0100000000"),
    )];
    let (text, _) = written(&offer(&government), "us-gov-west-1").unwrap();
    assert_eq!(rows(&text)[0].1, 0.01);
    let china = [
        product(
            "CNZ",
            transfer(
                "IntraRegion",
                "cn-north-1",
                "cn-north-1",
                "CNN1-DataTransfer-Regional-Bytes",
            ),
            &gb("0.0670000000"),
        ),
        product(
            "CNO",
            transfer(
                "AWS Outbound",
                "cn-north-1",
                "External",
                "CNN1-DataTransfer-Out-Bytes",
            ),
            &gb("0.9330000000"),
        ),
    ];
    let (text, _) = written(&offer(&china), "cn-north-1").unwrap();
    assert_eq!(rows(&text)[2], ("internet transmit ".to_owned(), 0.933));
    assert!(text.contains("# All amounts are in CNY"), "{text}");
}

#[test]
fn several_lists_are_of_the_newest_day_and_in_one_currency() {
    let all = ohio();
    let [zones, out] = [0, 1].map(|one| offer(&all[one..=one]));
    let out = out.replace("2025-11-05", "2025-12-24");
    let together = |texts: [&str; 2]| {
        let lists = texts.map(|text| {
            let input = Input {
                name: "--price-list p.json".to_owned(),
                text: text.to_owned(),
            };
            list::read(&input).unwrap()
        });
        convert(&lists, "us-east-2").map_err(|error| format!("{error:#}"))
    };
    for texts in [[&*zones, &out], [&out, &zones]] {
        let (text, _) = together(texts).unwrap();
        assert!(text.contains("price list of 2025-12-24."), "{text}");
        assert_eq!(rows(&text).len(), 3);
    }
    let problem = "--price-list p.json: OUT (USE2-DataTransfer-Out-Bytes): its price is in CNY, others are in USD";
    let other = out.replace("\"USD\"", "\"CNY\"");
    assert_eq!(together([&zones, &other]).unwrap_err(), problem);
    let both = out.replace("\"USD\":", "\"CNY\":\"1\",\"USD\":");
    let error = together([&zones, &both]).unwrap_err();
    assert!(error.ends_with("it has not one price in one currency"));
}

/// Other usage of the same sorts of transfer, and what is charged by the hour.
#[test]
fn rows_that_are_like_the_wanted_ones_are_not_taken() {
    let here = "us-east-2";
    let gb = [("0", "Inf", "GB", "0.5000000000")];
    let hour = [("0", "Inf", "Hrs", "0.0500000000")];
    let between = |kind, usage| transfer(kind, here, here, usage);
    let direct = "TransitGatewayDirectConnect";
    let mut all = vec![
        product("A", between("IntraRegion", "USE2-VPCPeering-In-Bytes"), &gb),
        product(
            "B",
            between("AWS Outbound", "USE2-DataTransfer-Out-Bytes"),
            &gb,
        ),
        product(
            "C",
            processing(here, "USE2-TransitGateway-Bytes", direct),
            &gb,
        ),
        product(
            "D",
            processing(here, "USE2-VPN-Usage-Hours:ipsec.1", ""),
            &hour,
        ),
    ];
    all.extend(ohio());
    let (with, notes) = written(&offer(&all), here).unwrap();
    let (without, _) = written(&offer(&ohio()), here).unwrap();
    assert_eq!(rows(&with), rows(&without));
    let unused = "rows that are not used: USE2-CloudFront-Out-Bytes, USE2-DataTransfer-Out-Bytes, \
         USE2-TransitGateway-Bytes, USE2-USW2-AWS-In-Bytes, USE2-VPCPeering-In-Bytes";
    assert_eq!(notes, [unused]);
}

/// The excerpt that `cargo xtask rules` gives to promtool, in three partitions.
#[test]
fn every_region_of_a_list_has_its_rows() {
    const LIST: &str = include_str!("tests/price-list.json");
    for (region, zones, out, out_by_nat, currency) in [
        ("us-east-2", 0.01, 0.09, 0.135, "USD"),
        ("us-gov-west-1", 0.01, 0.155, 0.209, "USD"),
        ("cn-north-1", 0.067, 0.933, 1.303, "CNY"),
    ] {
        let (text, notes) = written(LIST, region).unwrap();
        let all = rows(&text);
        let price = |row: &str| all.iter().find(|(name, _)| name == row).unwrap().1;
        assert_eq!(all.len(), 18, "{region}");
        assert_eq!(price("cross_zone transmit "), zones);
        assert_eq!(price("internet transmit "), out);
        assert_eq!(price("internet transmit nat"), out_by_nat);
        assert_eq!(text.contains("in CNY"), currency == "CNY", "{text}");
        assert_eq!(notes.len(), 1, "{notes:?}");
    }
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/prices/tests/price-list.json"
    );
    let region = "us-east-2";
    let args = PricesArgs {
        price_lists: vec![file.into()],
        region: region.to_owned(),
    };
    assert_eq!(write(&args).unwrap(), written(LIST, region).unwrap());
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let with = |unit: &str, price: &str| {
        offer(&[product(
            "OUT",
            transfer(
                "AWS Outbound",
                "us-east-2",
                "External",
                "USE2-DataTransfer-Out-Bytes",
            ),
            &[("0", "Inf", unit, price)],
        )])
    };
    for (text, region, problem) in [
        (
            with("Hrs", "0.09"),
            "us-east-2",
            "p.json: OUT (USE2-DataTransfer-Out-Bytes): its unit is \"Hrs\", not GB",
        ),
        (with("TB", "0.09"), "us-east-2", "its unit is \"TB\""),
        (
            with("GB", "free"),
            "us-east-2",
            "its price \"free\" is no number",
        ),
        (
            with("GB", "-1"),
            "us-east-2",
            "its price \"-1\" is no number",
        ),
        (
            with("GB", "0.09"),
            "eu-west-1",
            "--region eu-west-1: has no prices of transfer in the lists; they tell of us-east-2",
        ),
        (String::new(), "us-east-2", "is empty"),
        (
            "{}".to_owned(),
            "us-east-2",
            "publicationDate is missing; give an offer file",
        ),
        (
            offer(&[]),
            "us-east-2",
            "has no products; give an offer file",
        ),
        (
            "\"SKU\",\"OfferTermCode\"\n".to_owned(),
            "us-east-2",
            "give an offer file",
        ),
        (
            json!({"PriceList": [], "NextToken": "x"}).to_string(),
            "us-east-2",
            "cut short",
        ),
        (
            json!({"PriceList": ["{}"]}).to_string(),
            "us-east-2",
            "PriceList[0]: line 1 column 2: product is missing",
        ),
    ] {
        let error = written(&text, region).unwrap_err();
        assert!(error.contains(problem), "{problem:?} is not in {error:?}");
    }
}

#[test]
fn a_region_is_a_region() {
    for good in ["us-east-2", "us-gov-west-1", "cn-north-1", "ap-southeast-5"] {
        assert!(region(good).is_ok(), "{good}");
    }
    for bad in ["", "US-EAST-2", "us east 2", "us-east-2a}", "ohio", "us--2"] {
        assert!(region(bad).is_err(), "{bad}");
    }
}
