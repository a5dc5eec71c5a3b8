//! The schema of the networks file, for who writes it and who reads it.

use serde::{Deserialize, Serialize};

use super::snapshot::Via;

/// A field that may be left out.
pub trait Field: Default {
    /// It is not written.
    fn is_left_out(&self) -> bool;
}

impl<T> Field for Option<T> {
    fn is_left_out(&self) -> bool {
        self.is_none()
    }
}

/// An entry of `networks`, its fields in the order in which they are written. The reader's texts
/// (`T`) and mappings of texts (`M`) know their lines, the writer's do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "camelCase",
    expecting = "a network like { cidr: 10.8.0.0/16, name: on-prem }",
    bound(
        deserialize = "T: Field + Deserialize<'de>, M: Field + Deserialize<'de>",
        serialize = "T: Field + Serialize, M: Field + Serialize"
    )
)]
pub struct Entry<T, M> {
    /// The range.
    #[serde(skip_serializing_if = "Field::is_left_out")]
    pub cidr: T,
    /// Its availability zone.
    #[serde(skip_serializing_if = "Field::is_left_out")]
    pub zone: T,
    /// The same zone by the name that all accounts share.
    #[serde(skip_serializing_if = "Field::is_left_out")]
    pub zone_id: T,
    /// What lies between it and a pod, where the zone does not decide.
    #[serde(skip_serializing_if = "Field::is_left_out")]
    pub scope: T,
    /// Its AWS region.
    #[serde(skip_serializing_if = "Field::is_left_out")]
    pub region: T,
    /// What it is called.
    #[serde(skip_serializing_if = "Field::is_left_out")]
    pub name: T,
    /// By what traffic to it leaves the VPC ([`way`]), whatever subnet it comes from.
    #[serde(skip_serializing_if = "Field::is_left_out")]
    pub via: T,
    /// By what a subnet's traffic to public addresses leaves the VPC.
    #[serde(skip_serializing_if = "Field::is_left_out")]
    pub internet: T,
    /// The same for 64:ff9b::/96, where that is not a NAT gateway.
    #[serde(skip_serializing_if = "Field::is_left_out")]
    pub nat64: T,
    /// The zone of the NAT gateway.
    #[serde(skip_serializing_if = "Field::is_left_out")]
    pub nat_zone: T,
    /// Ways to services of AWS, by the name of their networks.
    #[serde(skip_serializing_if = "Field::is_left_out")]
    pub aws_services: M,
}

/// A way as the file has it. [`Via::Unset`] is one that leads nowhere.
pub fn way(via: Via) -> &'static str {
    match via {
        Via::Unset => "none",
        _ => via.name(),
    }
}
