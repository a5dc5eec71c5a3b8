//! By what the packets of a subnet leave the VPC, as its route table says.

use std::{collections::BTreeMap, sync::Arc};

use zonemeter_model::snapshot::Via;

/// The ways out of a subnet. One of IPv4 and IPv6 has an entry of the file for each, and so ways
/// for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetRoutes {
    /// The name of the subnet.
    pub name: Arc<str>,
    /// To public addresses.
    pub internet: Via,
    /// To 64:ff9b::/96, which has a route of its own. Nothing but a NAT gateway translates that in a
    /// VPC, so it is `nat` where the file does not say otherwise.
    pub nat64: Via,
    /// To AWS services that have a way of their own, by the name of their networks.
    pub services: BTreeMap<Arc<str>, Via>,
    /// The zone of the NAT gateway.
    pub nat_zone: Option<Arc<str>>,
}

impl SubnetRoutes {
    /// To a public address, of this AWS service of the region where it is one's.
    pub fn to_public(&self, service: Option<&str>) -> Via {
        let own = service.and_then(|service| self.services.get(service));
        own.copied().unwrap_or(self.internet)
    }
}
