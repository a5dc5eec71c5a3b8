//! AWS's price list: <https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html>.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use serde::Deserialize;
use zonemeter_model::syntax;

use crate::input::Input;

/// One list: its products with their prices on demand.
#[derive(Debug)]
pub(super) struct List {
    /// Flag and file.
    pub(super) name: String,
    /// Day of publication, like `2025-11-05`.
    pub(super) published: String,
    pub(super) products: Vec<Product>,
}

/// Something that has prices.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) sku: String,
    pub(super) attributes: Attributes,
    /// Prices by amount, in the list's order.
    pub(super) tiers: Vec<Tier>,
}

/// The attributes that tell what a price is for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Attributes {
    pub(super) transfer_type: String,
    pub(super) from_region_code: String,
    pub(super) to_region_code: String,
    pub(super) to_location: String,
    pub(super) region_code: String,
    #[serde(rename = "usagetype")]
    pub(super) usage_type: String,
    pub(super) operation: String,
}

impl Attributes {
    /// Where the bytes are paid.
    pub(super) fn region(&self) -> &str {
        match &*self.from_region_code {
            "" => &self.region_code,
            from => from,
        }
    }
}

/// A price, and from which amount in a month it holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tier {
    #[serde(default)]
    pub(super) begin_range: String,
    #[serde(default)]
    pub(super) end_range: String,
    pub(super) unit: String,
    pub(super) price_per_unit: BTreeMap<String, String>,
}

impl List {
    /// The regions that have prices.
    pub(super) fn regions(&self) -> impl Iterator<Item = &str> {
        let all = self.products.iter().map(|one| one.attributes.region());
        all.filter(|region| !region.is_empty())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Offer {
    publication_date: String,
    products: BTreeMap<String, Described>,
    terms: OfferTerms,
}

#[derive(Deserialize)]
struct Described {
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Deserialize)]
struct OfferTerms {
    #[serde(rename = "OnDemand", default)]
    on_demand: BTreeMap<String, Terms>,
}

type Terms = BTreeMap<String, Term>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Term {
    price_dimensions: BTreeMap<String, Tier>,
}

/// What `aws pricing get-products` prints: each product as a text of JSON.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "PriceList")]
    price_list: Vec<String>,
    #[serde(rename = "NextToken")]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    product: EntryProduct,
    publication_date: String,
    terms: EntryTerms,
}

#[derive(Deserialize)]
struct EntryProduct {
    sku: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Deserialize)]
struct EntryTerms {
    #[serde(rename = "OnDemand", default)]
    on_demand: Terms,
}

const GIVE: &str = "give an offer file of AWS's price list (offers/v1.0/aws/AWSDataTransfer/\
                    current/REGION/index.json) or what `aws pricing get-products` prints";

/// Reads a list.
pub(super) fn read(input: &Input) -> Result<List> {
    let text = input.checked_text()?;
    let answer = text.contains("\"PriceList\"");
    let read = if answer {
        of_answer(input)
    } else {
        of_offer(input)
    };
    let list = read.map_err(|error| anyhow!("{error:#}; {GIVE}"))?;
    if list.products.is_empty() {
        bail!("{}: has no products; {GIVE}", input.name);
    }
    Ok(list)
}

fn of_offer(input: &Input) -> Result<List> {
    let Offer {
        publication_date,
        products,
        mut terms,
    } = input.parse()?;
    let with_prices = |(sku, Described { attributes })| Product {
        tiers: tiers(terms.on_demand.remove(&sku).unwrap_or_default()),
        attributes,
        sku,
    };
    Ok(List {
        name: input.name.clone(),
        published: day(&publication_date),
        products: products.into_iter().map(with_prices).collect(),
    })
}

fn of_answer(input: &Input) -> Result<List> {
    let answer: Answer = input.parse()?;
    let name = &input.name;
    if answer.next_token.is_some() {
        bail!("{name}: NextToken: the list is cut short: run it without --max-items");
    }
    let (mut published, mut products) = (String::new(), Vec::new());
    for (index, text) in answer.price_list.iter().enumerate() {
        let entry: Entry = serde_json::from_str(text)
            .map_err(|error| anyhow!("{name}: PriceList[{index}]: {}", syntax::json(&error)))?;
        published = published.max(day(&entry.publication_date));
        products.push(Product {
            sku: entry.product.sku,
            attributes: entry.product.attributes,
            tiers: tiers(entry.terms.on_demand),
        });
    }
    Ok(List {
        name: name.clone(),
        published,
        products,
    })
}

fn tiers(terms: Terms) -> Vec<Tier> {
    let of_term = |term: Term| term.price_dimensions.into_values();
    terms.into_values().flat_map(of_term).collect()
}

fn day(time: &str) -> String {
    time.split('T').next().unwrap_or_default().to_owned()
}
