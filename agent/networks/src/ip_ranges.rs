//! AWS's published address ranges: <https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html>.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use serde::Deserialize;

use super::{
    input::Input,
    table::{Entry, Source, Table},
};

/// The region of services that have none, such as `CLOUDFRONT`.
const EVERYWHERE: &str = "GLOBAL";
const SCOPE: &str = "aws_service";

/// Which edition of the ranges was read, and what was taken from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edition {
    pub(super) created: String,
    pub(super) region: String,
    pub(super) services: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "createDate")]
    created: String,
    prefixes: Vec<V4Prefix>,
    ipv6_prefixes: Vec<V6Prefix>,
}

#[derive(Deserialize)]
struct V4Prefix {
    ip_prefix: String,
    #[serde(flatten)]
    of: Of,
}

#[derive(Deserialize)]
struct V6Prefix {
    ipv6_prefix: String,
    #[serde(flatten)]
    of: Of,
}

#[derive(Deserialize)]
struct Of {
    region: String,
    service: String,
}

/// Adds the ranges of `services` in `region`, and those that belong to no region.
///
/// # Errors
/// A service that has no ranges there: with those that have.
pub(super) fn add_to(
    table: &mut Table,
    input: &Input,
    region: &str,
    services: &[String],
) -> Result<Edition> {
    let document: Document = input.parse()?;
    let services: Vec<String> = services.iter().map(|name| name.to_uppercase()).collect();
    for service in &services {
        let mut found = false;
        for (place, range, _) in ranges(&document, region).filter(|(.., name)| name == service) {
            found = true;
            let range = input.network(&place, range)?;
            // Services share ranges; the one that was asked for first has them.
            if !table.has(&range) {
                table.add(range, entry(service))?;
            }
        }
        if !found {
            let known: BTreeSet<&str> = ranges(&document, region).map(|(.., name)| name).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            let name = &input.name;
            bail!("{name}: {service} has no ranges in {region}: services with ranges are {known}");
        }
    }
    Ok(Edition {
        created: document.created,
        region: region.to_owned(),
        services,
    })
}

/// Place in the file, range and service.
fn ranges<'a>(
    document: &'a Document,
    region: &str,
) -> impl Iterator<Item = (String, &'a str, &'a str)> {
    let is_there = move |of: &Of| of.region == region || of.region == EVERYWHERE;
    let v4 = document.prefixes.iter().enumerate().map(|(index, one)| {
        (
            format!("prefixes[{index}].ip_prefix"),
            &*one.ip_prefix,
            &one.of,
        )
    });
    let v6 = document
        .ipv6_prefixes
        .iter()
        .enumerate()
        .map(|(index, one)| {
            (
                format!("ipv6_prefixes[{index}].ipv6_prefix"),
                &*one.ipv6_prefix,
                &one.of,
            )
        });
    v4.chain(v6)
        .filter(move |(.., of)| is_there(of))
        .map(|(place, range, of)| (place, range, &*of.service))
}

fn entry(service: &str) -> Entry {
    Entry {
        source: Source::Services,
        name: service.to_lowercase(),
        zone: None,
        zone_id: None,
        scope: Some(SCOPE),
    }
}
