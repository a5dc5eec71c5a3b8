//! The networks file's YAML, checked entry by entry.

mod ways;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::SystemTime,
};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;
use zonemeter_model::{
    address::{self, NoRange},
    networks_file::{Entry, Field},
    snapshot::Scope,
    syntax,
};

use super::{Network, Networks, NetworksError};
use crate::{region, special::Range};

/// Scopes that the file may state. The others are the agent's own to decide.
const SCOPES: [Scope; 7] = [
    Scope::CrossRegion,
    Scope::Vpc,
    Scope::Peered,
    Scope::AwsService,
    Scope::Internet,
    Scope::LinkLocal,
    Scope::Unknown,
];

/// Those that depend on the region.
const REGIONAL: [Scope; 3] = [Scope::CrossRegion, Scope::Peered, Scope::AwsService];

type Result<T> = std::result::Result<T, NetworksError>;

/// A list or a value that is there, and may be nothing all the same: `zone:` and no more.
struct Written<T>(Option<Spanned<Option<T>>>);

impl<T> Default for Written<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Field for Written<T> {
    fn is_left_out(&self) -> bool {
        self.0.is_none()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        Spanned::deserialize(from).map(|value| Self(Some(value)))
    }
}

#[derive(Default, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a mapping with vpc and networks"
)]
struct File {
    #[serde(rename = "asOf")]
    as_of: Written<String>,
    vpc: Written<Vec<Spanned<String>>>,
    networks: Written<Vec<Spanned<Item>>>,
}

type Item = Entry<Written<String>, Written<BTreeMap<String, Spanned<Option<String>>>>>;

/// Reads the file; the first bad entry refuses all of it.
pub(super) fn parse(text: &str) -> Result<Networks> {
    if is_empty(text) {
        let problem = "is empty: write networks: [] for a file without networks".to_owned();
        return Err(NetworksError {
            line: None,
            problem,
        });
    }
    let file: File = serde_saphyr::from_str(text).map_err(|error| not_yaml(&error))?;
    let mut networks = Networks {
        as_of: filled("asOf", &file.as_of)?.map(time).transpose()?,
        ..Networks::default()
    };
    let mut lines = HashMap::new();
    for range in list("vpc", &file.vpc)? {
        let range = network("vpc range", (range, &range.value), &mut lines)?;
        networks.vpc.insert(range, ());
    }
    lines.clear();
    for (position, item) in list("networks", &file.networks)?.iter().enumerate() {
        let cidr = filled("cidr", &item.value.cidr)?;
        let cidr = cidr.ok_or_else(|| missing(item, "cidr", "10.8.0.0/16"))?;
        let cidr = network("cidr", cidr, &mut lines)?;
        let named = named(position, item, cidr)?;
        let ways = ways::of_subnet(item, &named.name, cidr)?;
        ways::check_nat_zone(&item.value, cidr, ways.as_ref(), named.via)?;
        if let Some(ways) = ways {
            let subnet = number(networks.ways.len(), item)?;
            networks.subnets.insert(cidr, subnet);
            networks.ways.push(ways);
        }
        networks.named.insert(cidr, named);
    }
    Ok(networks)
}

/// The entries of a list that may be left out, and may not be nothing.
fn list<'a, T>(field: &str, list: &'a Written<Vec<Spanned<T>>>) -> Result<&'a [Spanned<T>]> {
    let Some(written) = &list.0 else {
        return Ok(&[]);
    };
    let empty = || {
        refusal(
            written,
            format!("{field} is empty: write {field}: [] for none"),
        )
    };
    written.value.as_deref().ok_or_else(empty)
}

/// True without anything but comments: what a writer's first moment looks like.
fn is_empty(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

/// A text and where it stands.
type Text<'a> = (&'a dyn Line, &'a str);

/// Something with a line in the file.
trait Line {
    fn line(&self) -> u64;
}

impl<T> Line for Spanned<T> {
    fn line(&self) -> u64 {
        self.referenced.line()
    }
}

/// Reads a network that no earlier line holds.
fn network(what: &str, (at, text): Text<'_>, lines: &mut HashMap<IpNet, u64>) -> Result<IpNet> {
    let value = text.trim();
    let network = address::range(value).map_err(|error| {
        let remedy = match error {
            NoRange::Unreadable => format!("is not a network: write it like {}", example(value)),
            NoRange::HostBits(range) => format!("has host bits set: write {range}"),
        };
        refusal(at, format!("{what} {value:?} {remedy}"))
    })?;
    match lines.insert(network, at.line()) {
        Some(line) => Err(refusal(
            at,
            format!("{what} {value:?} is already on line {line}: remove one"),
        )),
        None => Ok(network),
    }
}

fn number(position: usize, item: &Spanned<Item>) -> Result<u32> {
    u32::try_from(position).map_err(|_| refusal(item, "one network too many".to_owned()))
}

fn named(position: usize, item: &Spanned<Item>, cidr: IpNet) -> Result<Network> {
    let fields = &item.value;
    let name = filled("name", &fields.name)?.ok_or_else(|| missing(item, "name", "on-prem"))?;
    let text = |(_, text): Text<'_>| text.into();
    Ok(Network {
        id: number(position, item)?,
        name: text(name),
        zone: filled("zone", &fields.zone)?.map(text),
        zone_id: filled("zoneId", &fields.zone_id)?.map(text),
        scope: filled("scope", &fields.scope)?
            .map(stated_scope)
            .transpose()?,
        region: stated_region(fields)?,
        via: ways::of_network(fields, cidr)?,
        nat_zone: ways::nat_zone(fields)?,
        is_public: Range::of(cidr.addr()) == Range::Global,
    })
}

/// What a field says: it may be left out, and may not be empty.
fn filled<'a>(field: &str, written: &'a Written<String>) -> Result<Option<Text<'a>>> {
    let Some(written) = &written.0 else {
        return Ok(None);
    };
    let text = written.value.as_deref().map(str::trim);
    match text.filter(|text| !text.is_empty()) {
        Some(text) => Ok(Some((written, text))),
        None => Err(refusal(
            written,
            format!("{field} is empty: give it a value or leave it out"),
        )),
    }
}

fn stated_scope((at, text): Text<'_>) -> Result<Scope> {
    let stated = SCOPES.into_iter().find(|scope| scope.name() == text);
    stated.ok_or_else(|| {
        let accepted = SCOPES.map(Scope::name).join(", ");
        let problem = format!("scope {text:?} is not known here: write one of {accepted}");
        refusal(at, problem)
    })
}

fn time((at, text): Text<'_>) -> Result<SystemTime> {
    humantime::parse_rfc3339(text).map_err(|_| {
        let problem = format!("asOf {text:?} is no time: write it like 2026-11-29T10:17:00Z");
        refusal(at, problem)
    })
}

fn stated_region(fields: &Item) -> Result<Option<Arc<str>>> {
    let Some((at, text)) = filled("region", &fields.region)? else {
        return Ok(None);
    };
    if !region::is_region(text) {
        let example = region::of_zone(text).unwrap_or("us-west-2");
        let problem = format!("region {text:?} is no region of AWS: write it like {example}");
        return Err(refusal(at, problem));
    }
    let scope = filled("scope", &fields.scope)?.map(|(_, scope)| scope);
    let without = |scope: &&str| !REGIONAL.iter().any(|one| one.name() == *scope);
    if let Some(scope) = scope.filter(without) {
        let scopes = REGIONAL.map(Scope::name).join(", ");
        let problem =
            format!("region says nothing with scope {scope}: remove it, or write one of {scopes}");
        return Err(refusal(at, problem));
    }
    let zone = filled("zone", &fields.zone)?.map(|(_, zone)| zone);
    let of_zone = zone.and_then(|zone| Some((zone, region::of_zone(zone)?)));
    match of_zone.filter(|(_, region)| *region != text) {
        None => Ok(Some(text.into())),
        Some((zone, region)) => {
            let problem = format!("region {text:?} is not that of zone {zone:?}: write {region}");
            Err(refusal(at, problem))
        }
    }
}

/// What a person probably meant: a whole address for a plain one, octets filled up for a short
/// one and without the zeros before them.
fn example(value: &str) -> String {
    if let Some(address) = address::address(value) {
        return IpNet::from(address).to_string();
    }
    let (octets, length) = value.split_once('/').unwrap_or((value, "8"));
    let mut octets: Vec<&str> = octets.split('.').map(without_zeros).collect();
    octets.resize(octets.len().max(4), "0");
    let filled = format!("{}/{}", octets.join("."), without_zeros(length));
    match address::range(&filled) {
        Ok(range) | Err(NoRange::HostBits(range)) => range.to_string(),
        Err(NoRange::Unreadable) => "10.0.0.0/8".to_owned(),
    }
}

fn without_zeros(digits: &str) -> &str {
    match digits.trim_start_matches('0') {
        "" => "0",
        rest => rest,
    }
}

fn missing(item: &Spanned<Item>, field: &str, example: &str) -> NetworksError {
    refusal(item, format!("{field} is missing: add {field}: {example}"))
}

fn refusal(at: &(impl Line + ?Sized), problem: String) -> NetworksError {
    NetworksError {
        line: Some(at.line()),
        problem,
    }
}

fn not_yaml(error: &serde_saphyr::Error) -> NetworksError {
    let fault = syntax::yaml(error);
    NetworksError {
        line: fault.line,
        problem: fault.problem,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
