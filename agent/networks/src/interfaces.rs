//! `aws ec2 describe-network-interfaces`: what AWS itself has placed into the VPC, such as load
//! balancers, databases and endpoints, by address.
//!
//! Interfaces of instances and of pods are left out: Kubernetes names these, and where it does
//! not, their subnet tells the zone. Public addresses are left out too: traffic to them is not
//! traffic inside the VPC, also where the same load balancer has both.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;

use super::{
    answers::{INTERFACES, Resource},
    input::{Input, Tag, name_tag},
    routes::Routes,
    table::{Entry, Source, Table},
};

mod kind;

/// How the VPC CNI describes interfaces that it makes for nodes and for pods.
const CNI: [&str; 2] = ["aws-K8S-", "aws-k8s-branch-eni"];

/// Interfaces as AWS lists them.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    input: Option<Input>,
    list: Vec<Resource<Interface>>,
}

/// One interface, with the fields that decide.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Interface {
    network_interface_id: String,
    interface_type: String,
    description: String,
    vpc_id: String,
    availability_zone: Option<String>,
    availability_zone_id: Option<String>,
    attachment: Option<Attachment>,
    groups: Vec<Group>,
    tag_set: Vec<Tag>,
    private_ip_address: Option<String>,
    private_ip_addresses: Vec<V4Address>,
    ipv4_prefixes: Vec<V4Prefix>,
    ipv6_addresses: Vec<V6Address>,
    ipv6_prefixes: Vec<V6Prefix>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attachment {
    /// Only where the interface belongs to an instance of the account.
    instance_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Group {
    group_name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct V4Address {
    private_ip_address: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct V4Prefix {
    ipv4_prefix: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct V6Address {
    ipv6_address: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct V6Prefix {
    ipv6_prefix: String,
}

/// Reads the list; none where no file was given.
pub(super) fn parse(input: Option<&Input>) -> Result<Interfaces> {
    let Some(input) = input else {
        return Ok(Interfaces::default());
    };
    let list: Vec<Resource<Interface>> = input.resources(&INTERFACES)?;
    for Resource { place, of } in list.iter().filter(|one| !one.of.belongs_to_the_cluster()) {
        let missing = match of.availability_zone {
            Some(_) if of.ranges().next().is_some() => continue,
            Some(_) => "has no PrivateIpAddresses and no Ipv6Addresses",
            None => "has no AvailabilityZone",
        };
        return Err(input.refusal(place, &of.network_interface_id, missing));
    }
    Ok(Interfaces {
        input: Some(input.clone()),
        list,
    })
}

impl Interfaces {
    /// The VPCs that they are in.
    pub(super) fn vpc_ids(&self) -> impl Iterator<Item = &str> {
        let all = self.list.iter();
        all.map(|interface| &*interface.of.vpc_id)
    }

    /// Adds every private address of the VPC's interfaces; returns how many interfaces of
    /// instances and pods were left out.
    pub(super) fn add_to(
        &self,
        table: &mut Table,
        zone_ids: &BTreeMap<&str, &str>,
        routes: &Routes,
        is_meant: impl Fn(&str) -> bool,
    ) -> Result<usize> {
        let Some(input) = &self.input else {
            return Ok(0);
        };
        let mut left_out = 0;
        let meant = self.list.iter().filter(|one| is_meant(&one.of.vpc_id));
        for Resource {
            place,
            of: interface,
        } in meant
        {
            if interface.belongs_to_the_cluster() {
                left_out += 1;
                continue;
            }
            for (field, range) in interface.ranges() {
                let place = format!("{place}.{field}");
                let mut entry = interface.entry(zone_ids);
                if let Some(service) = routes.service_of_interface(&interface.network_interface_id)
                {
                    entry = entry.of_service(service);
                }
                table.add(input.network(&place, range)?, entry)?;
            }
        }
        Ok(left_out)
    }
}

impl Interface {
    fn belongs_to_the_cluster(&self) -> bool {
        let of_instance = |attachment: &Attachment| attachment.instance_id.is_some();
        self.attachment.as_ref().is_some_and(of_instance)
            || matches!(&*self.interface_type, "branch" | "trunk")
            || CNI.iter().any(|start| self.description.starts_with(start))
    }

    fn ranges(&self) -> impl Iterator<Item = (&'static str, &str)> {
        // The first address is in the list too; a `--query` may have taken the list away.
        let first = self.private_ip_address.as_deref();
        let first = first.filter(|_| self.private_ip_addresses.is_empty());
        let first = first.map(|address| ("PrivateIpAddress", address));
        let addresses = self.private_ip_addresses.iter();
        let addresses = addresses.map(|one| ("PrivateIpAddresses", &*one.private_ip_address));
        let addresses = first.into_iter().chain(addresses);
        let prefixes = self.ipv4_prefixes.iter();
        let prefixes = prefixes.map(|one| ("Ipv4Prefixes", &*one.ipv4_prefix));
        let addresses_v6 = self.ipv6_addresses.iter();
        let addresses_v6 = addresses_v6.map(|one| ("Ipv6Addresses", &*one.ipv6_address));
        let prefixes_v6 = self.ipv6_prefixes.iter();
        let prefixes_v6 = prefixes_v6.map(|one| ("Ipv6Prefixes", &*one.ipv6_prefix));
        addresses
            .chain(prefixes)
            .chain(addresses_v6)
            .chain(prefixes_v6)
    }

    fn entry(&self, zone_ids: &BTreeMap<&str, &str>) -> Entry {
        let looked_up = || {
            let zone = self.availability_zone.as_deref()?;
            zone_ids.get(zone).map(|&id| id.to_owned())
        };
        Entry {
            source: Source::Interfaces,
            name: kind::name(self),
            zone: self.availability_zone.clone(),
            zone_id: self.availability_zone_id.clone().or_else(looked_up),
            scope: None,
            region: None,
            via: None,
            ways: None,
        }
    }
}
