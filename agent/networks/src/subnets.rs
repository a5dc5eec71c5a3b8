//! `aws ec2 describe-subnets`: which zone an address is in.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;

use super::{
    answers::{Resource, SUBNETS},
    input::{Input, State, Tag, name_tag},
    table::{Entry, Source, SubnetRoutes, Table},
};

/// Subnets as AWS lists them.
#[derive(Debug, Default)]
pub(super) struct Subnets {
    input: Option<Input>,
    list: Vec<Resource<Subnet>>,
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
    let list: Vec<Resource<Subnet>> = input.resources(&SUBNETS)?;
    if let Some(bare) = list.iter().find(|subnet| !subnet.of.has_ranges()) {
        let problem = "has no CidrBlock and no Ipv6CidrBlockAssociationSet";
        return Err(input.refusal(&bare.place, &bare.of.subnet_id, problem));
    }
    Ok(Subnets {
        input: Some(input.clone()),
        list,
    })
}

impl Subnets {
    /// The VPCs that they are in.
    pub(super) fn vpc_ids(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|subnet| &*subnet.of.vpc_id)
    }

    /// Zone ids by zone name, as this account has them.
    pub(super) fn zone_ids(&self) -> BTreeMap<&str, &str> {
        let pairs = self.list.iter();
        pairs.filter_map(|subnet| subnet.of.zone_pair()).collect()
    }

    /// Zones by subnet.
    pub(super) fn zones(&self) -> BTreeMap<&str, &str> {
        let all = self.list.iter().map(|subnet| &subnet.of);
        all.map(|subnet| (&*subnet.subnet_id, &*subnet.availability_zone))
            .collect()
    }

    /// Adds every range of every subnet of the VPC, with its ways out. What these lack is noted.
    pub(super) fn add_to(
        &self,
        table: &mut Table,
        is_meant: impl Fn(&str) -> bool,
        mut ways: impl FnMut((&str, &str), bool) -> Result<Option<SubnetRoutes>>,
    ) -> Result<()> {
        let Some(input) = &self.input else {
            return Ok(());
        };
        for subnet in self
            .list
            .iter()
            .filter(|subnet| is_meant(&subnet.of.vpc_id))
        {
            for (field, range) in subnet.of.ranges() {
                let range = input.network(&format!("{}.{field}", subnet.place), range)?;
                let of = (&*subnet.of.subnet_id, &*subnet.of.vpc_id);
                let mut entry = subnet.of.entry();
                entry.ways = ways(of, range.addr().is_ipv6())?;
                table.add(range, entry)?;
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

    /// False where a `--query` took the ranges away.
    fn has_ranges(&self) -> bool {
        let v4 = self
            .cidr_block
            .as_ref()
            .is_some_and(|range| !range.is_empty());
        v4 || !self.ipv6_cidr_block_association_set.is_empty()
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
            region: None,
            via: None,
            ways: None,
        }
    }
}
