//! What a gigabyte costs, by what it is charged for.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};

use super::list::{List, Product, Tier};

/// What AWS charges for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Charge {
    /// Between zones, at each end.
    Zones,
    /// To the internet.
    Out,
    /// From the internet; free in most regions.
    In,
    /// To another region, at the sender.
    Regions,
    /// Processing of a NAT gateway, both ways.
    Nat,
    /// Processing of an interface endpoint, both ways.
    Endpoint,
    /// Processing of a transit gateway, at the sender.
    TransitGateway,
}

/// Charges without which dollars are too low, how they are called, and the offer that has them.
const WANTED: [(Charge, &str, &str); 6] = [
    (Charge::Zones, "transfer between zones", "AWSDataTransfer"),
    (Charge::Out, "transfer to the internet", "AWSDataTransfer"),
    (
        Charge::Regions,
        "transfer to other regions",
        "AWSDataTransfer",
    ),
    (Charge::Nat, "NAT gateways", "AmazonEC2"),
    (Charge::Endpoint, "interface endpoints", "AmazonVPC"),
    (Charge::TransitGateway, "transit gateways", "AmazonVPC"),
];

/// A price of a charge, for a part of the month's amount or for a destination.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rate {
    /// For a gigabyte.
    pub(super) price: f64,
    /// From this amount in a month, in GB.
    pub(super) from: f64,
    /// `0 to 10240 GB`, or the other region.
    pub(super) what: String,
}

/// All prices of a region.
#[derive(Debug, Default)]
pub(super) struct Rates {
    by_charge: BTreeMap<Charge, Vec<Rate>>,
    /// `USD`, in China `CNY`.
    pub(super) currency: String,
    /// The newest day of publication.
    pub(super) published: String,
    /// Usage types of transfer that no rule here takes.
    pub(super) unknown: BTreeSet<String>,
}

impl Rates {
    /// Adds what a list says of the region.
    ///
    /// # Errors
    /// A unit that is no gigabyte, a price that is no number, two currencies.
    pub(super) fn add(&mut self, list: &List, region: &str) -> Result<()> {
        let of_region = |one: &&Product| one.attributes.region() == region;
        for product in list.products.iter().filter(of_region) {
            let usage = &product.attributes.usage_type;
            match charge(product) {
                Some(charge) => self.add_product(list, charge, product)?,
                None if is_transfer(product) => {
                    self.unknown.insert(usage.clone());
                }
                None => {}
            }
        }
        self.published = list
            .published
            .clone()
            .max(std::mem::take(&mut self.published));
        Ok(())
    }

    fn add_product(&mut self, list: &List, charge: Charge, product: &Product) -> Result<()> {
        let usage = &product.attributes.usage_type;
        let place = || format!("{}: {} ({usage})", list.name, product.sku);
        for tier in &product.tiers {
            if !matches!(&*tier.unit.to_lowercase(), "gb" | "gigabytes") {
                bail!("{}: its unit is {:?}, not GB", place(), tier.unit);
            }
            let (currency, price) = price(tier).with_context(place)?;
            if !self.currency.is_empty() && self.currency != currency {
                bail!(
                    "{}: its price is in {currency}, others are in {}",
                    place(),
                    self.currency
                );
            }
            currency.clone_into(&mut self.currency);
            let what = match charge {
                Charge::Regions => product.attributes.to_region_code.clone(),
                _ => format!("{} to {} GB", tier.begin_range, tier.end_range),
            };
            let from = tier.begin_range.parse().unwrap_or_default();
            let rates = self.by_charge.entry(charge).or_default();
            let rate = Rate { price, from, what };
            if !rates.contains(&rate) {
                rates.push(rate);
            }
        }
        Ok(())
    }

    /// True without any price.
    pub(super) fn is_empty(&self) -> bool {
        self.by_charge.is_empty()
    }

    /// The price that the rules take: of tiers the first that costs anything, of destinations the
    /// dearest one, so that a month's sum is an upper bound.
    pub(super) fn price(&self, charge: Charge) -> Option<f64> {
        let rates = self.by_charge.get(&charge)?;
        let paid = rates.iter().filter(|rate| rate.price > 0.0);
        let taken = match charge {
            Charge::Regions => paid.max_by(|a, b| a.price.total_cmp(&b.price)),
            _ => paid.min_by(|a, b| a.from.total_cmp(&b.from)),
        };
        Some(taken.map_or(0.0, |rate| rate.price))
    }

    /// All prices of a charge, by amount or by destination.
    pub(super) fn all(&self, charge: Charge) -> Vec<&Rate> {
        let mut all: Vec<&Rate> = self.by_charge.get(&charge).into_iter().flatten().collect();
        all.sort_by(|a, b| a.from.total_cmp(&b.from).then_with(|| a.what.cmp(&b.what)));
        all
    }

    /// What no list has, and what no rule takes, each in a line.
    pub(super) fn lacks(&self) -> Vec<String> {
        let missing = WANTED
            .iter()
            .filter(|(charge, ..)| !self.by_charge.contains_key(charge));
        let mut notes: Vec<String> = missing
            .map(|(_, what, offer)| {
                format!("no price of {what} is in the lists: add --price-list with {offer}'s")
            })
            .collect();
        if !self.unknown.is_empty() {
            let all: Vec<&str> = self.unknown.iter().map(String::as_str).collect();
            notes.push(format!("rows that are not used: {}", all.join(", ")));
        }
        notes
    }
}

/// What a product charges for; `None` for anything else.
fn charge(product: &Product) -> Option<Charge> {
    let of = &product.attributes;
    let usage = |end: &str| {
        let start = of.usage_type.strip_suffix(end);
        start.is_some_and(|start| start.is_empty() || start.ends_with('-'))
    };
    match &*of.transfer_type {
        "IntraRegion" if usage("DataTransfer-Regional-Bytes") => Some(Charge::Zones),
        "AWS Outbound" if of.to_location == "External" => {
            usage("DataTransfer-Out-Bytes").then_some(Charge::Out)
        }
        "AWS Inbound" => usage("DataTransfer-In-Bytes").then_some(Charge::In),
        "InterRegion Outbound" => usage("AWS-Out-Bytes").then_some(Charge::Regions),
        _ if usage("NatGateway-Bytes") => Some(Charge::Nat),
        _ if usage("VpcEndpoint-Bytes") => Some(Charge::Endpoint),
        _ if usage("TransitGateway-Bytes") => {
            let of_vpc = matches!(&*of.operation, "" | "TransitGatewayVPC");
            of_vpc.then_some(Charge::TransitGateway)
        }
        _ => None,
    }
}

fn is_transfer(product: &Product) -> bool {
    let of = &product.attributes;
    !of.transfer_type.is_empty() || of.usage_type.ends_with("-Bytes")
}

fn price(tier: &Tier) -> Result<(&str, f64)> {
    let mut prices = tier.price_per_unit.iter();
    match (prices.next(), prices.next()) {
        (Some((currency, text)), None) => {
            let price = text
                .parse()
                .ok()
                .filter(|price: &f64| price.is_finite() && *price >= 0.0);
            let price = price.with_context(|| format!("its price {text:?} is no number"))?;
            Ok((currency, price))
        }
        _ => bail!("it has not one price in one currency"),
    }
}
