//! Excerpts in the shape of AWS's price lists, made up by hand.

use serde_json::{Value, json};

/// A product with its prices: attributes, and `(from, to, unit, price)`.
pub(super) fn product(sku: &str, attributes: Value, tiers: &[(&str, &str, &str, &str)]) -> Row {
    let dimension = |(index, (from, to, unit, price)): (usize, &(&str, &str, &str, &str))| {
        let currency = if sku.starts_with("CN") { "CNY" } else { "USD" };
        let rate = format!("{sku}.JRTCKXETXF.{index}");
        (
            rate.clone(),
            json!({"rateCode": rate, "description": "", "beginRange": from,
            "endRange": to, "unit": unit, "appliesTo": [], "pricePerUnit": {currency: price}}),
        )
    };
    let dimensions: serde_json::Map<_, _> = tiers.iter().enumerate().map(dimension).collect();
    let term = json!({"offerTermCode": "JRTCKXETXF", "sku": sku,
        "effectiveDate": "2025-11-01T00:00:00Z", "priceDimensions": dimensions, "termAttributes": {}});
    (
        json!({"sku": sku, "productFamily": "Data Transfer", "attributes": attributes}),
        json!({format!("{sku}.JRTCKXETXF"): term}),
    )
}

pub(super) fn transfer(kind: &str, from: &str, to: &str, usage: &str) -> Value {
    let external = to == "External";
    json!({"servicecode": "AWSDataTransfer", "transferType": kind, "fromLocation": "x",
        "fromRegionCode": from, "toLocation": if external { "External" } else { "y" },
        "toRegionCode": if external { "" } else { to }, "usagetype": usage, "operation": ""})
}

pub(super) fn processing(region: &str, usage: &str, operation: &str) -> Value {
    json!({"servicecode": "AmazonEC2", "location": "x", "locationType": "AWS Region",
        "regionCode": region, "usagetype": usage, "operation": operation})
}

/// A product and its terms.
type Row = (Value, Value);

/// What the lists say of us-east-2, and one price of another region.
pub(super) fn ohio() -> Vec<Row> {
    let gb = |price| [("0", "Inf", "GB", price)];
    vec![
        product(
            "ZONES",
            transfer(
                "IntraRegion",
                "us-east-2",
                "us-east-2",
                "USE2-DataTransfer-Regional-Bytes",
            ),
            &gb("0.0100000000"),
        ),
        product(
            "OUT",
            transfer(
                "AWS Outbound",
                "us-east-2",
                "External",
                "USE2-DataTransfer-Out-Bytes",
            ),
            &[
                ("153600", "Inf", "GB", "0.0500000000"),
                ("0", "10240", "GB", "0.0900000000"),
                ("10240", "51200", "GB", "0.0850000000"),
                ("51200", "153600", "GB", "0.0700000000"),
            ],
        ),
        product(
            "IN",
            transfer(
                "AWS Inbound",
                "us-east-2",
                "us-east-2",
                "USE2-DataTransfer-In-Bytes",
            ),
            &gb("0.0000000000"),
        ),
        product(
            "VIRGINIA",
            transfer(
                "InterRegion Outbound",
                "us-east-2",
                "us-east-1",
                "USE2-USE1-AWS-Out-Bytes",
            ),
            &gb("0.0100000000"),
        ),
        product(
            "OREGON",
            transfer(
                "InterRegion Outbound",
                "us-east-2",
                "us-west-2",
                "USE2-USW2-AWS-Out-Bytes",
            ),
            &gb("0.0200000000"),
        ),
        product(
            "BACK",
            transfer(
                "InterRegion Inbound",
                "us-east-2",
                "us-west-2",
                "USE2-USW2-AWS-In-Bytes",
            ),
            &gb("0.0000000000"),
        ),
        product(
            "FRONT",
            transfer(
                "CloudFront Outbound",
                "us-east-2",
                "External",
                "USE2-CloudFront-Out-Bytes",
            ),
            &gb("0.0000000000"),
        ),
        product(
            "NAT",
            processing("us-east-2", "USE2-NatGateway-Bytes", "NatGateway"),
            &gb("0.0450000000"),
        ),
        product(
            "HOURS",
            processing("us-east-2", "USE2-NatGateway-Hours", "NatGateway"),
            &[("0", "Inf", "Hrs", "0.0450000000")],
        ),
        product(
            "ENDPOINT",
            processing("us-east-2", "USE2-VpcEndpoint-Bytes", "VpcEndpoint"),
            &[
                ("0", "1048576", "GB", "0.0100000000"),
                ("1048576", "Inf", "GB", "0.0060000000"),
            ],
        ),
        product(
            "TGW",
            processing(
                "us-east-2",
                "USE2-TransitGateway-Bytes",
                "TransitGatewayVPC",
            ),
            &[("0", "Inf", "GigaBytes", "0.0200000000")],
        ),
        product(
            "OTHER",
            transfer(
                "IntraRegion",
                "us-west-2",
                "us-west-2",
                "USW2-DataTransfer-Regional-Bytes",
            ),
            &gb("0.9900000000"),
        ),
    ]
}

/// As an offer file has it.
pub(super) fn offer(rows: &[Row]) -> String {
    let of = |(product, terms): &Row| {
        let sku = product["sku"].as_str().unwrap().to_owned();
        (sku, product.clone(), terms.clone())
    };
    let all: Vec<_> = rows.iter().map(of).collect();
    let products: serde_json::Map<_, _> = all
        .iter()
        .map(|(sku, product, _)| (sku.clone(), product.clone()))
        .collect();
    let terms: serde_json::Map<_, _> = all
        .iter()
        .map(|(sku, _, terms)| (sku.clone(), terms.clone()))
        .collect();
    json!({"formatVersion": "v1.0", "disclaimer": "x", "offerCode": "AWSDataTransfer",
        "version": "20251105002640", "publicationDate": "2025-11-05T00:26:40Z",
        "products": products, "terms": {"OnDemand": terms, "Reserved": {"x": 7}},
        "attributesList": {}})
    .to_string()
}

/// As `aws pricing get-products` prints it.
pub(super) fn answer(rows: &[Row]) -> String {
    let entry = |(product, terms): &Row| {
        json!({"product": product, "serviceCode": "AmazonEC2", "terms": {"OnDemand": terms},
            "version": "1", "publicationDate": "2025-11-05T00:26:40Z"})
        .to_string()
    };
    json!({"FormatVersion": "aws_v1", "PriceList": rows.iter().map(entry).collect::<Vec<_>>()})
        .to_string()
}
