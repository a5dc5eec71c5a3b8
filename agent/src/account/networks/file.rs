//! The networks file's YAML, checked entry by entry.

use std::{collections::HashMap, net::IpAddr};

use ipnet::IpNet;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{Network, Networks, NetworksError};
use crate::model::snapshot::Scope;

/// Scopes that the file may state. The others are the agent's own to decide.
const SCOPES: [Scope; 6] = [
    Scope::Vpc,
    Scope::Peered,
    Scope::AwsService,
    Scope::Internet,
    Scope::LinkLocal,
    Scope::Unknown,
];

type Result<T> = std::result::Result<T, NetworksError>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    vpc: Vec<Spanned<String>>,
    #[serde(default)]
    networks: Vec<Spanned<Item>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Item {
    cidr: Option<Spanned<String>>,
    name: Option<Spanned<String>>,
    zone: Option<Spanned<String>>,
    zone_id: Option<Spanned<String>>,
    scope: Option<Spanned<String>>,
}

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
    let mut networks = Networks::default();
    let mut lines = HashMap::new();
    for range in &file.vpc {
        let range = network("vpc range", range, &mut lines)?;
        networks.vpc.insert(range, ());
    }
    lines.clear();
    for (position, item) in file.networks.iter().enumerate() {
        let cidr = item
            .value
            .cidr
            .as_ref()
            .ok_or_else(|| missing(item, "cidr", "10.8.0.0/16"))?;
        let cidr = network("cidr", cidr, &mut lines)?;
        networks.named.insert(cidr, named(position, item)?);
    }
    Ok(networks)
}

/// True without anything but comments: what a writer's first moment looks like.
fn is_empty(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

/// Reads a network that no earlier line holds.
fn network(what: &str, text: &Spanned<String>, lines: &mut HashMap<IpNet, u64>) -> Result<IpNet> {
    let value = text.value.trim();
    let network: IpNet = value.parse().map_err(|_| {
        let example = example(value);
        refusal(
            text,
            format!("{what} {value:?} is not a network: write it like {example}"),
        )
    })?;
    if network.trunc() != network {
        let trunc = network.trunc();
        let problem = format!("{what} {value:?} has host bits set: write {trunc}");
        return Err(refusal(text, problem));
    }
    match lines.insert(network, text.referenced.line()) {
        Some(line) => Err(refusal(
            text,
            format!("{what} {value:?} is already on line {line}: remove one"),
        )),
        None => Ok(network),
    }
}

fn named(position: usize, item: &Spanned<Item>) -> Result<Network> {
    let Item {
        name,
        zone,
        zone_id,
        scope,
        ..
    } = &item.value;
    let name = name
        .as_ref()
        .ok_or_else(|| missing(item, "name", "on-prem"))?;
    let zone = zone.as_ref().map(|zone| filled("zone", zone)).transpose()?;
    let zone_id = zone_id
        .as_ref()
        .map(|id| filled("zoneId", id))
        .transpose()?;
    Ok(Network {
        id: u32::try_from(position)
            .map_err(|_| refusal(item, "one network too many".to_owned()))?,
        name: filled("name", name)?.into(),
        zone: zone.map(Into::into),
        zone_id: zone_id.map(Into::into),
        scope: scope.as_ref().map(stated_scope).transpose()?,
    })
}

fn filled<'a>(field: &str, text: &'a Spanned<String>) -> Result<&'a str> {
    let value = text.value.trim();
    if value.is_empty() {
        return Err(refusal(
            text,
            format!("{field} is empty: give it a value or leave it out"),
        ));
    }
    Ok(value)
}

fn stated_scope(text: &Spanned<String>) -> Result<Scope> {
    let stated = SCOPES.into_iter().find(|scope| scope.name() == text.value);
    stated.ok_or_else(|| {
        let accepted = SCOPES.map(Scope::name).join(", ");
        refusal(
            text,
            format!(
                "scope {:?} is not known here: write one of {accepted}",
                text.value
            ),
        )
    })
}

/// What a person probably meant: a whole address for a plain one, octets filled up for a short
/// one.
fn example(value: &str) -> String {
    if let Ok(address) = value.parse::<IpAddr>() {
        return IpNet::from(address).to_string();
    }
    let (octets, length) = value.split_once('/').unwrap_or((value, "8"));
    let mut octets: Vec<&str> = octets.split('.').collect();
    octets.resize(octets.len().max(4), "0");
    let filled = format!("{}/{length}", octets.join("."));
    filled.parse().map_or_else(
        |_| "10.0.0.0/8".to_owned(),
        |network: IpNet| network.to_string(),
    )
}

fn missing(item: &Spanned<Item>, field: &str, example: &str) -> NetworksError {
    refusal(item, format!("{field} is missing: add {field}: {example}"))
}

fn refusal<T>(at: &Spanned<T>, problem: String) -> NetworksError {
    NetworksError {
        line: Some(at.referenced.line()),
        problem,
    }
}

/// A fault that the YAML reader found, without the place that it adds to its words.
fn not_yaml(error: &serde_saphyr::Error) -> NetworksError {
    let words = error.without_snippet().to_string();
    let words = words.lines().next().unwrap_or_default();
    let problem = words
        .rsplit_once(" at line ")
        .map_or(words, |(problem, _)| problem);
    NetworksError {
        line: error.location().map(|location| location.line()),
        problem: problem.trim_start_matches("error: ").to_owned(),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
