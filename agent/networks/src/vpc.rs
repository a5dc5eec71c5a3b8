//! `aws ec2 describe-vpcs`, and which VPC is meant.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use ipnet::IpNet;
use serde::Deserialize;

use super::{
    answers::{Resource, VPCS},
    input::{Input, State},
};

/// VPCs as AWS lists them.
#[derive(Debug, Default)]
pub(super) struct Vpcs {
    input: Option<Input>,
    list: Vec<Resource<Vpc>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Vpc {
    vpc_id: String,
    /// The first range, which is in the set too; older versions of the CLI print no set.
    cidr_block: Option<String>,
    #[serde(default)]
    cidr_block_association_set: Vec<V4Range>,
    #[serde(default)]
    ipv6_cidr_block_association_set: Vec<V6Range>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct V4Range {
    cidr_block: String,
    cidr_block_state: State,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct V6Range {
    ipv6_cidr_block: String,
    ipv6_cidr_block_state: State,
}

/// Reads the list; none where no file was given.
pub(super) fn parse(input: Option<&Input>) -> Result<Vpcs> {
    let Some(input) = input else {
        return Ok(Vpcs::default());
    };
    let list: Vec<Resource<Vpc>> = input.resources(&VPCS)?;
    if let Some(bare) = list.iter().find(|vpc| vpc.of.is_bare()) {
        let problem = "has no CidrBlock and no CidrBlockAssociationSet";
        return Err(input.refusal(&bare.place, &bare.of.vpc_id, problem));
    }
    Ok(Vpcs {
        input: Some(input.clone()),
        list,
    })
}

/// The VPC that the networks file is for.
///
/// # Errors
/// Several are mentioned and none is wanted: ranges of different VPCs may be the same. Or the
/// wanted one is not mentioned.
pub(super) fn choose<'a>(
    mentioned: impl Iterator<Item = &'a str>,
    wanted: Option<&str>,
) -> Result<Option<String>> {
    let mentioned: BTreeSet<&str> = mentioned.filter(|id| !id.is_empty()).collect();
    let all = || mentioned.iter().copied().collect::<Vec<_>>().join(", ");
    match wanted {
        Some(wanted) if mentioned.contains(wanted) => Ok(Some(wanted.to_owned())),
        Some(wanted) if mentioned.is_empty() => {
            bail!("--vpc {wanted}: no file tells of a VPC: give what the AWS CLI prints, in full")
        }
        Some(wanted) => bail!(
            "--vpc {wanted}: is in none of the files; they tell of {}",
            all()
        ),
        None if mentioned.len() > 1 => {
            bail!(
                "the files tell of several VPCs: add --vpc with one of {}",
                all()
            )
        }
        None => Ok(mentioned.first().map(|&id| id.to_owned())),
    }
}

impl Vpcs {
    /// The ids of all VPCs.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|vpc| &*vpc.of.vpc_id)
    }

    /// The ranges of the meant ones: sorted, joined where they touch.
    pub(super) fn ranges(&self, is_meant: impl Fn(&str) -> bool) -> Result<Vec<IpNet>> {
        let mut ranges = Vec::new();
        let Some(input) = &self.input else {
            return Ok(ranges);
        };
        for vpc in self.list.iter().filter(|vpc| is_meant(&vpc.of.vpc_id)) {
            for (place, range) in vpc.of.associated(&vpc.place) {
                ranges.push(input.network(&place, range)?);
            }
        }
        let mut ranges = IpNet::aggregate(&ranges);
        ranges.sort();
        Ok(ranges)
    }
}

impl Vpc {
    /// True where a `--query` took the ranges away.
    fn is_bare(&self) -> bool {
        self.cidr_block.is_none() && self.cidr_block_association_set.is_empty()
    }

    /// Place in the file and range.
    fn associated(&self, place: &str) -> impl Iterator<Item = (String, &str)> {
        let place = place.to_owned();
        let first = self.cidr_block.as_deref();
        let first = first.map(|range| (format!("{place}.CidrBlock"), range));
        let v4 = self.cidr_block_association_set.iter().enumerate();
        let v6 = self.ipv6_cidr_block_association_set.iter().enumerate();
        let v4 = v4
            .filter(|(_, range)| range.cidr_block_state.holds())
            .map(|(at, range)| ("CidrBlockAssociationSet", at, &*range.cidr_block));
        let v6 = v6
            .filter(|(_, range)| range.ipv6_cidr_block_state.holds())
            .map(|(at, range)| ("Ipv6CidrBlockAssociationSet", at, &*range.ipv6_cidr_block));
        let sets = v4
            .chain(v6)
            .map(move |(set, at, range)| (format!("{place}.{set}[{at}]"), range));
        first.into_iter().chain(sets)
    }
}
