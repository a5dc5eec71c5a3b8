//! AWS's published address ranges: <https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html>.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use serde::Deserialize;

use super::{
    input::Input,
    table::{Entry, Source, Table},
};
use zonemeter_model::snapshot::Scope;

/// The region of services that have none, such as `CLOUDFRONT`.
const EVERYWHERE: &str = "GLOBAL";

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

/// Adds the ranges of `services` in `region`, and those that belong to no region; then those in the
/// other regions of its partition, each with its region: what goes there is transfer between regions.
///
/// # Errors
/// A service that has no ranges in the region: with those that have.
pub(super) fn add_to(
    table: &mut Table,
    input: &Input,
    region: &str,
    services: &[String],
) -> Result<Edition> {
    let document: Document = input.parse()?;
    let services: Vec<String> = services.iter().map(|name| name.to_uppercase()).collect();
    let all: Vec<Listed<'_>> = document.ranges().collect();
    let is_here = |one: &&Listed<'_>| [region, EVERYWHERE].contains(&one.region);
    let has = |service: &str| all.iter().filter(is_here).any(|one| one.service == service);
    if let Some(service) = services.iter().find(|service| !has(service)) {
        let known: BTreeSet<&str> = all.iter().filter(is_here).map(|one| one.service).collect();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        let name = &input.name;
        bail!("{name}: {service} has no ranges in {region}: services with ranges are {known}");
    }
    let (here, elsewhere): (Vec<&Listed<'_>>, Vec<_>) = all.iter().partition(is_here);
    let elsewhere = elsewhere.into_iter();
    let of_partition = elsewhere.filter(|one| partition(one.region) == partition(region));
    let near = here.into_iter().map(|one| (one, None));
    let far = of_partition.map(|one| (one, Some(one.region)));
    let candidates: Vec<_> = near.chain(far).collect();
    for service in &services {
        for (one, region) in candidates.iter().filter(|(one, _)| one.service == *service) {
            let range = input.network(&one.place, one.range)?;
            // Services share ranges; the one that was asked for first has them.
            if !table.has(&range) {
                table.add(range, entry(service, *region))?;
            }
        }
    }
    Ok(Edition {
        created: document.created,
        region: region.to_owned(),
        services,
    })
}

/// A range as it is listed.
struct Listed<'a> {
    /// In the file.
    place: String,
    range: &'a str,
    region: &'a str,
    service: &'a str,
}

impl Document {
    fn ranges(&self) -> impl Iterator<Item = Listed<'_>> {
        let v4 = self.prefixes.iter().enumerate().map(|(index, one)| {
            let place = format!("prefixes[{index}].ip_prefix");
            (place, &*one.ip_prefix, &one.of)
        });
        let v6 = self.ipv6_prefixes.iter().enumerate().map(|(index, one)| {
            let place = format!("ipv6_prefixes[{index}].ipv6_prefix");
            (place, &*one.ipv6_prefix, &one.of)
        });
        v4.chain(v6).map(|(place, range, of)| Listed {
            place,
            range,
            region: &of.region,
            service: &of.service,
        })
    }
}

/// Between partitions there is no transfer but over the internet.
fn partition(region: &str) -> &str {
    let apart = ["cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-"];
    let found = apart.into_iter().find(|start| region.starts_with(start));
    found.unwrap_or_default()
}

fn entry(service: &str, region: Option<&str>) -> Entry {
    let name = service.to_lowercase();
    let scope = match region {
        Some(_) => Scope::CrossRegion,
        None => Scope::AwsService,
    };
    Entry {
        source: Source::Services,
        name: region.map_or_else(|| name.clone(), |region| format!("{name}.{region}")),
        zone: None,
        zone_id: None,
        scope: Some(scope.name()),
        region: region.map(str::to_owned),
        via: None,
        ways: None,
    }
}
