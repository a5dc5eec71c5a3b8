//! The rules file as text.

use std::fmt::Write as _;

use super::rates::{Charge, Rates};

/// A row: scope, direction, via, and the charges that add up. What crossing zones to a NAT gateway
/// costs is not among them: the rules add it where the gateway stands in another zone than the pod.
type Row = (&'static str, &'static str, &'static str, &'static [Charge]);

const ROWS: [Row; 19] = [
    ("cross_zone", "transmit", "", &[Charge::Zones]),
    ("cross_zone", "receive", "", &[Charge::Zones]),
    ("internet", "transmit", "", &[Charge::Out]),
    ("internet", "receive", "", &[Charge::In]),
    ("internet", "transmit", "nat", &[Charge::Out, Charge::Nat]),
    ("internet", "receive", "nat", &[Charge::In, Charge::Nat]),
    (
        "internet",
        "transmit",
        "tgw",
        &[Charge::Out, Charge::TransitGateway],
    ),
    ("aws_service", "transmit", "nat", &[Charge::Nat]),
    ("aws_service", "receive", "nat", &[Charge::Nat]),
    ("aws_service", "transmit", "tgw", &[Charge::TransitGateway]),
    (
        "aws_service",
        "transmit",
        "interface_endpoint",
        &[Charge::Endpoint],
    ),
    (
        "aws_service",
        "receive",
        "interface_endpoint",
        &[Charge::Endpoint],
    ),
    ("cross_region", "transmit", "", &[Charge::Regions]),
    (
        "cross_region",
        "transmit",
        "nat",
        &[Charge::Regions, Charge::Nat],
    ),
    ("cross_region", "receive", "nat", &[Charge::Nat]),
    (
        "cross_region",
        "transmit",
        "tgw",
        &[Charge::Regions, Charge::TransitGateway],
    ),
    ("peered", "transmit", "nat", &[Charge::Nat]),
    ("peered", "receive", "nat", &[Charge::Nat]),
    ("peered", "transmit", "tgw", &[Charge::TransitGateway]),
];

/// Writes it.
pub(super) fn write(rates: &Rates, region: &str, notes: &[String]) -> String {
    let day = &rates.published;
    let mut text = format!(
        "# Written by `zonemeter prices` for {region}, from AWS's price list of {day}.\n\
         # Load it beside zonemeter.prices.yaml: its rows come before those of the default list.\n\
         # Of prices by amount the first one that is paid is taken, of prices by destination the\n\
         # highest, so that a month's sum is an upper bound.\n"
    );
    if rates.currency != "USD" {
        let currency = line(&rates.currency);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "# All amounts are in {currency}, where metrics and panels say dollars."
        );
    }
    for note in notes {
        let _ = writeln!(text, "# {}", line(note));
    }
    let _ = write!(
        text,
        "groups:\n  - name: zonemeter.prices.{region}\n    interval: 1m\n    rules:\n"
    );
    for (scope, direction, via, charges) in ROWS {
        let parts: Option<Vec<f64>> = charges.iter().map(|charge| part(rates, *charge)).collect();
        let Some(parts) = parts else { continue };
        let price: f64 = parts.iter().sum();
        if price == 0.0 {
            continue;
        }
        text += &tiers(rates, charges);
        let via = if via.is_empty() {
            String::new()
        } else {
            format!("via: {via}, ")
        };
        let _ = write!(
            text,
            "      - record: zonemeter:price:dollars_per_gigabyte\n        expr: vector({})\n        \
             labels: {{ scope: {scope}, direction: {direction}, {via}region: {region}, as_of: \
             {day:?} }}\n",
            rounded(price)
        );
    }
    text
}

/// What comes in is free where no list says otherwise.
fn part(rates: &Rates, charge: Charge) -> Option<f64> {
    let price = rates.price(charge);
    if charge == Charge::In {
        Some(price.unwrap_or(0.0))
    } else {
        price
    }
}

/// The prices of a row that has one charge with several.
fn tiers(rates: &Rates, charges: &[Charge]) -> String {
    let [charge] = charges else {
        return String::new();
    };
    let all = rates.all(*charge);
    if all.len() < 2 {
        return String::new();
    }
    let each =
        |rate: &&super::rates::Rate| format!("      # {}: {}\n", line(&rate.what), rate.price);
    all.iter().map(each).collect()
}

/// Without what adding decimals in binary leaves behind; lists have at most ten decimals.
fn rounded(price: f64) -> f64 {
    (price * 1e10).round() / 1e10
}

/// On one line, whatever the list holds.
fn line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
