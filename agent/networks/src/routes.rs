//! By what each subnet's packets leave the VPC: route tables, and the NAT gateways and endpoints
//! that their routes lead to.
//!
//! A subnet obeys the table that it is associated with, else its VPC's main one. Of a table three routes
//! tell a way out: the default route, the one to 64:ff9b::/96 (NAT64), and those of gateway endpoints,
//! whose destination is a prefix list. A route to nowhere any more (blackhole) tells none.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use self::{
    endpoints::{Endpoint, Kind},
    tables::{RouteTable, Target},
};
use super::{
    answers::{self, Resource},
    input::Input,
    table::SubnetRoutes,
};
use zonemeter_model::snapshot::Via;

mod endpoints;
mod nat_gateways;
mod tables;

/// Route tables, and what they lead to.
#[derive(Debug, Default)]
pub(super) struct Routes {
    input: Option<Input>,
    tables: Vec<Resource<RouteTable>>,
    nat_gateways: Vec<Resource<nat_gateways::NatGateway>>,
    endpoints: Vec<Resource<Endpoint>>,
    /// Of `--nat-gateways` and `--vpc-endpoints`.
    given: [bool; 2],
}

/// What was asked for beside the inputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Services as their networks are called.
    pub(super) services: &'a [String],
    /// Zones by subnet.
    pub(super) zones: &'a BTreeMap<&'a str, &'a str>,
}

/// Reads the lists that were given.
///
/// # Errors
/// NAT gateways without the routes that lead to them, endpoints without routes and interfaces, beside what is wrong with a list.
pub(super) fn parse(
    tables: Option<&Input>,
    nat_gateways: Option<&Input>,
    endpoints: Option<&Input>,
    has_interfaces: bool,
) -> Result<Routes> {
    if let (None, Some(input)) = (tables, nat_gateways) {
        bail!(
            "{}: says nothing without --route-tables: add what leads there",
            input.name
        );
    }
    if let (None, Some(input), false) = (tables, endpoints, has_interfaces) {
        bail!(
            "{}: says nothing without --route-tables or --interfaces: add what leads there",
            input.name
        );
    }
    let list: Vec<Resource<RouteTable>> = resources(tables, &answers::ROUTE_TABLES)?;
    let bare = list.iter().find(|table| table.of.has_bare_routes());
    if let (Some(input), Some(table)) = (tables, bare) {
        let problem = "has a route without a destination: give what `aws ec2 describe-route-tables` \
                       prints, in full";
        return Err(input.refusal(&table.place, &table.of.route_table_id, problem));
    }
    Ok(Routes {
        input: tables.cloned(),
        tables: list,
        nat_gateways: resources(nat_gateways, &answers::NAT_GATEWAYS)?,
        endpoints: resources(endpoints, &answers::ENDPOINTS)?,
        given: [nat_gateways.is_some(), endpoints.is_some()],
    })
}

fn resources<T: serde::de::DeserializeOwned>(
    input: Option<&Input>,
    kind: &answers::Kind,
) -> Result<Vec<Resource<T>>> {
    input.map_or(Ok(Vec::new()), |input| input.resources(kind))
}

/// A line for the addresses that another route than the default one holds for, if there are any.
fn exceptions(table: &RouteTable, all: &str, usual: &Target, is_v6: bool) -> Option<String> {
    let found = table.exceptions(usual, is_v6);
    let (first, via) = found.first()?;
    let more = match found.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more like it,"),
    };
    let (id, way) = (&table.route_table_id, via.name());
    Some(format!(
        "{id}: {first}{more} goes by {way} and not where {all} leads: give these addresses an entry \
         with via"
    ))
}

impl Routes {
    /// The VPCs of each list: tables, NAT gateways, endpoints.
    pub(super) fn vpc_ids(&self) -> [Vec<&str>; 3] {
        [
            self.tables.iter().map(|one| &*one.of.vpc_id).collect(),
            self.nat_gateways
                .iter()
                .map(|one| &*one.of.vpc_id)
                .collect(),
            self.endpoints.iter().map(|one| &*one.of.vpc_id).collect(),
        ]
    }

    /// The AWS service that an interface is an endpoint of.
    pub(super) fn service_of_interface(&self, interface: &str) -> Option<&str> {
        let of_interface = |one: &&Resource<Endpoint>| one.of.has_interface(interface);
        self.endpoints.iter().find(of_interface)?.of.service()
    }

    /// The ways out of a subnet, for IPv4 or for IPv6; `None` where no table was given, or none of
    /// the subnet: then `notes` says so.
    ///
    /// # Errors
    /// A gateway endpoint that no list tells of: which service goes by it is not known.
    pub(super) fn ways(
        &self,
        (subnet, vpc): (&str, &str),
        is_v6: bool,
        wanted: Wanted<'_>,
        notes: &mut BTreeSet<String>,
    ) -> Result<Option<SubnetRoutes>> {
        let Some(input) = &self.input else {
            return Ok(None);
        };
        let Some(table) = self.table_of(subnet, vpc) else {
            notes.insert(format!(
                "{}: has no table of {subnet} and no main table of {vpc}: who shares the subnet may \
                 have to run the command",
                input.name
            ));
            return Ok(None);
        };
        let (all, nat64) = match is_v6 {
            true => ("::/0", Some("64:ff9b::/96")),
            false => ("0.0.0.0/0", None),
        };
        let internet = self.target(table, all, notes);
        notes.extend(exceptions(&table.of, all, &internet, is_v6));
        let nat64 = nat64.and_then(|range| table.of.target(range));
        let nat = [Some(&internet), nat64.as_ref()];
        let nat = nat.into_iter().flatten().find_map(Target::nat_gateway);
        let internet = internet.via();
        let nat64 = nat64.as_ref().and_then(Target::via);
        let of_gateways = self.of_gateways(&input.name, table, is_v6)?;
        let way = |service: &String| match of_gateways.contains(&**service) {
            true => Some(Via::GatewayEndpoint),
            false => internet,
        };
        let services = wanted.services.iter();
        let services = services.filter_map(|service| Some((service.clone(), way(service)?)));
        Ok(Some(SubnetRoutes {
            internet,
            nat64: nat64.filter(|via| *via != Via::Nat),
            nat_zone: nat.and_then(|id| self.zone_of(id, wanted.zones, notes)),
            services: services.collect(),
        }))
    }

    /// The explicit association comes before the VPC's main table.
    fn table_of(&self, subnet: &str, vpc: &str) -> Option<&Resource<RouteTable>> {
        let explicit = self.tables.iter().find(|one| one.of.is_of(subnet));
        let is_main = |one: &&Resource<RouteTable>| one.of.vpc_id == vpc && one.of.is_main();
        explicit.or_else(|| self.tables.iter().find(is_main))
    }

    /// Where the default route leads; what the file has no word for is said.
    fn target(
        &self,
        table: &Resource<RouteTable>,
        range: &str,
        notes: &mut BTreeSet<String>,
    ) -> Target {
        let target = table.of.target(range).unwrap_or(Target::Nowhere);
        let id = &table.of.route_table_id;
        if let Target::Other(other) = &target {
            let words = "nat, igw, egress_only, tgw, firewall";
            notes.insert(format!(
                "{id}: {range} leads to {other}, which is none of {words}"
            ));
        }
        if table.of.is_blackhole(range) {
            notes.insert(format!(
                "{id}: {range} is a blackhole: it leads to nothing any more"
            ));
        }
        target
    }

    /// Services whose gateway endpoint the table leads to.
    fn of_gateways(
        &self,
        input: &str,
        table: &Resource<RouteTable>,
        is_v6: bool,
    ) -> Result<BTreeSet<&str>> {
        let mut services = BTreeSet::new();
        for (list, id) in table.of.endpoints() {
            let found = self
                .endpoints
                .iter()
                .find(|one| one.of.vpc_endpoint_id == id);
            let Some(endpoint) = found.map(|one| &one.of) else {
                let remedy = match self.given {
                    [_, true] => {
                        "is not in --vpc-endpoints: are the files of the same time, and of the \
                         account that owns the VPC?"
                    }
                    [_, false] => "is of a service that only --vpc-endpoints tells: add it",
                };
                bail!("{input}: {}: {id}, for {list}, {remedy}", table.place);
            };
            if endpoint.kind() == Kind::Gateway && endpoint.speaks(is_v6) {
                services.extend(endpoint.service());
            }
        }
        Ok(services)
    }

    fn zone_of(
        &self,
        id: &str,
        zones: &BTreeMap<&str, &str>,
        notes: &mut BTreeSet<String>,
    ) -> Option<String> {
        let found = self
            .nat_gateways
            .iter()
            .find(|one| one.of.nat_gateway_id == id);
        let lacks = match (found.map(|one| &one.of), self.given) {
            (None, [false, _]) => "add --nat-gateways",
            (None, [true, _]) => "--nat-gateways does not list it",
            (Some(gateway), _) if gateway.is_regional() => return None,
            (Some(gateway), _) => match gateway.subnet_id.as_deref().map(|id| zones.get(id)) {
                Some(Some(zone)) => return Some((*zone).to_owned()),
                Some(None) => "--subnets does not list its subnet",
                None => "--nat-gateways has no SubnetId of it",
            },
        };
        notes.insert(format!("{id}: its zone is not known: {lacks}"));
        None
    }
}
