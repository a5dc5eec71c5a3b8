//! `aws ec2 describe-subnets`: which zone an address is in.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;

use super::{
    input::{Input, State, Tag, name_tag},
    table::{Entry, Source, Table},
};

const COMMAND: &str = "aws ec2 describe-subnets";

/// Subnets as AWS lists them.
#[derive(Debug, Default)]
pub(super) struct Subnets {
    input: Option<Input>,
    list: Vec<Subnet>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    subnets: Option<Vec<Subnet>>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Subnet {
    subnet_id: String,
    vpc_id: String,
    availability_zone: String,
    availability_zone_id: Option<String>,
    /// A subnet of IPv6 only has none.
    cidr_block: Option<String>,
    #[serde(default)]
    ipv6_cidr_block_association_set: Vec<V6Range>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct V6Range {
    ipv6_cidr_block: String,
    ipv6_cidr_block_state: State,
}

/// Reads the list; none where no file was given.
pub(super) fn parse(input: Option<&Input>) -> Result<Subnets> {
    let Some(input) = input else {
        return Ok(Subnets::default());
    };
    let answer: Answer = input.parse()?;
    let next = answer.next_token.as_deref();
    let list = input.whole_list(answer.subnets, next, "Subnets", COMMAND)?;
    Ok(Subnets {
        input: Some(input.clone()),
        list,
    })
}

impl Subnets {
    /// The VPCs that they are in.
    pub(super) fn vpc_ids(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|subnet| &*subnet.vpc_id)
    }

    /// Zone ids by zone name, as this account has them.
    pub(super) fn zone_ids(&self) -> BTreeMap<&str, &str> {
        self.list.iter().filter_map(Subnet::zone_pair).collect()
    }

    /// Adds every range of every subnet of the VPC.
    pub(super) fn add_to(&self, table: &mut Table, is_meant: impl Fn(&str) -> bool) -> Result<()> {
        let Some(input) = &self.input else {
            return Ok(());
        };
        let list = self.list.iter().enumerate();
        for (index, subnet) in list.filter(|(_, subnet)| is_meant(&subnet.vpc_id)) {
            for (field, range) in subnet.ranges() {
                let range = input.network(&format!("Subnets[{index}].{field}"), range)?;
                table.add(range, subnet.entry())?;
            }
        }
        Ok(())
    }
}

impl Subnet {
    fn zone_pair(&self) -> Option<(&str, &str)> {
        Some((
            &self.availability_zone,
            self.availability_zone_id.as_deref()?,
        ))
    }

    fn ranges(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let v4 = self.cidr_block.iter().filter(|range| !range.is_empty());
        let v6 = self.ipv6_cidr_block_association_set.iter();
        let v6 = v6.filter(|range| range.ipv6_cidr_block_state.holds());
        v4.map(|range| ("CidrBlock", &**range))
            .chain(v6.map(|range| ("Ipv6CidrBlockAssociationSet", &*range.ipv6_cidr_block)))
    }

    fn entry(&self) -> Entry {
        Entry {
            source: Source::Subnets,
            name: name_tag(&self.tags).unwrap_or(&self.subnet_id).to_owned(),
            zone: Some(self.availability_zone.clone()),
            zone_id: self.availability_zone_id.clone(),
            scope: None,
        }
    }
}
