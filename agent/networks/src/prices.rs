//! `zonemeter prices`: a rules file with what a gigabyte costs in a region, out of AWS's own price
//! lists.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

mod list;
mod rates;
mod rules;

use crate::input;
use rates::Rates;

/// Flags of `zonemeter prices`.
#[derive(Clone, Debug, Default, Args)]
pub struct PricesArgs {
    /// AWS's price list as JSON, repeatable: the offer files AWSDataTransfer, AmazonEC2 (NAT
    /// gateways) and AmazonVPC (endpoints, transit gateways), or what `aws pricing get-products`
    /// prints
    #[arg(long = "price-list", value_name = "FILE", required = true)]
    pub price_lists: Vec<PathBuf>,

    /// The region whose prices are meant, like us-east-2, us-gov-west-1 or cn-north-1
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub region: String,
}

fn region(text: &str) -> Result<String, String> {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let is_region = text.contains('-') && text.split('-').all(is_part);
    let region = is_region.then(|| text.to_owned());
    region.ok_or_else(|| "a region like us-east-2".to_owned())
}

/// Writes the rules file; with it come lines that say what the lists lack.
///
/// # Errors
/// One line: a file that is no price list, a price in an unknown unit, a region without prices.
pub fn write(args: &PricesArgs) -> Result<(String, Vec<String>)> {
    let mut lists = Vec::new();
    for path in &args.price_lists {
        lists.push(list::read(&input::read("--price-list", path)?)?);
    }
    convert(&lists, &args.region)
}

/// The rules file, and what the lists lack.
fn convert(lists: &[list::List], region: &str) -> Result<(String, Vec<String>)> {
    let mut rates = Rates::default();
    for list in lists {
        rates.add(list, region)?;
    }
    ensure!(
        !rates.is_empty(),
        "--region {region}: has no prices of transfer in the lists; they tell of {}",
        regions(lists)
    );
    let notes = rates.lacks();
    Ok((rules::write(&rates, region, &notes), notes))
}

fn regions(lists: &[list::List]) -> String {
    let all: std::collections::BTreeSet<&str> =
        lists.iter().flat_map(list::List::regions).collect();
    match all.is_empty() {
        true => "no region".to_owned(),
        false => all.into_iter().collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests;
