//! The fields of an entry that tell by what traffic leaves the VPC.

use std::{collections::BTreeMap, sync::Arc};

use ipnet::IpNet;
use serde_saphyr::Spanned;

use zonemeter_model::{
    networks_file::{Field as _, way as shown},
    snapshot::{Scope, Via},
};

use super::{Item, Line, Result, Text, filled, refusal};
use crate::{networks::SubnetRoutes, region};

/// What a route to the internet may lead to, and to nothing.
const INTERNET: [Via; 6] = [
    Via::Nat,
    Via::Igw,
    Via::EgressOnly,
    Via::Tgw,
    Via::Firewall,
    Via::Unset,
];
/// The same for a service of AWS.
const SERVICE: [Via; 8] = [
    Via::GatewayEndpoint,
    Via::InterfaceEndpoint,
    Via::Nat,
    Via::Igw,
    Via::EgressOnly,
    Via::Tgw,
    Via::Firewall,
    Via::Unset,
];
/// The same for a network outside, which has a way or nothing is said of it.
const NETWORK: [Via; 7] = [
    Via::Nat,
    Via::Igw,
    Via::GatewayEndpoint,
    Via::InterfaceEndpoint,
    Via::Tgw,
    Via::Firewall,
    Via::EgressOnly,
];
/// Scopes whose traffic leaves the VPC.
const OUTSIDE: [Scope; 4] = [
    Scope::CrossRegion,
    Scope::Peered,
    Scope::AwsService,
    Scope::Internet,
];

/// The ways out of the subnet that the entry is; `None` where it tells none.
pub(super) fn of_subnet(
    item: &Spanned<Item>,
    name: &Arc<str>,
    cidr: IpNet,
) -> Result<Option<SubnetRoutes>> {
    let fields = &item.value;
    let internet = filled("internet", &fields.internet)?;
    let nat64 = filled("nat64", &fields.nat64)?;
    let services = services(fields)?;
    if internet.is_none() && nat64.is_none() && services.is_empty() {
        return Ok(None);
    }
    if let Some((at, scope)) = filled("scope", &fields.scope)?
        && scope != Scope::Vpc.name()
    {
        let problem = "scope is for networks outside; internet, nat64 and awsServices are for \
                       subnets of the VPC: remove one";
        return Err(refusal(at, problem.to_owned()));
    }
    if let (Some((at, _)), IpNet::V4(_)) = (nat64, cidr) {
        let problem = "nat64 is for IPv6 subnets: remove it";
        return Err(refusal(at, problem.to_owned()));
    }
    let way = |field, way, accepted| way_of(field, way, &of_family(accepted, cidr));
    let internet = internet.map(|text| way("internet", text, &INTERNET));
    let nat64 = nat64.map(|text| way("nat64", text, &INTERNET));
    let ways = services.into_iter().map(|(service, text)| {
        let via = way(service, text, &SERVICE)?;
        Ok((service.into(), via))
    });
    Ok(Some(SubnetRoutes {
        name: Arc::clone(name),
        internet: internet.transpose()?.unwrap_or(Via::Unset),
        nat64: nat64.transpose()?.unwrap_or(Via::Nat),
        services: ways.collect::<Result<BTreeMap<_, _>>>()?,
        nat_zone: nat_zone(fields)?,
    }))
}

/// The entry's own way, which does not depend on the subnet.
pub(super) fn of_network(fields: &Item, cidr: IpNet) -> Result<Via> {
    let Some(text) = filled("via", &fields.via)? else {
        return Ok(Via::Unset);
    };
    let (at, via) = (text.0, way_of("via", text, &of_family(&NETWORK, cidr))?);
    let scope = filled("scope", &fields.scope)?.map(|(_, scope)| scope);
    let is_outside = scope.is_some_and(|scope| OUTSIDE.iter().any(|one| one.name() == scope));
    if is_outside || !fields.region.is_left_out() {
        return Ok(via);
    }
    let scopes = OUTSIDE.map(Scope::name).join(", ");
    let problem = format!("via is for networks outside: add a scope, one of {scopes}");
    Err(refusal(at, problem))
}

/// The zone of the NAT gateway.
pub(super) fn nat_zone(fields: &Item) -> Result<Option<Arc<str>>> {
    let Some((at, zone)) = filled("natZone", &fields.nat_zone)? else {
        return Ok(None);
    };
    // It is compared with the zones of nodes: any other spelling would always be another zone.
    if region::is_region(zone) || region::is_zone_id(zone) {
        let problem = format!("natZone {zone:?} is no zone's name: write it like us-east-2a");
        return Err(refusal(at, problem));
    }
    Ok(Some(zone.into()))
}

/// Refuses a zone of a NAT gateway where nothing goes by one.
pub(super) fn check_nat_zone(
    fields: &Item,
    cidr: IpNet,
    ways: Option<&SubnetRoutes>,
    via: Via,
) -> Result<()> {
    let Some((at, _)) = filled("natZone", &fields.nat_zone)? else {
        return Ok(());
    };
    let by_nat = |ways: &SubnetRoutes| {
        let nat64 = matches!(cidr, IpNet::V6(_)).then_some(&ways.nat64);
        let mut others = nat64.into_iter().chain(ways.services.values());
        ways.internet == Via::Nat || others.any(|way| *way == Via::Nat)
    };
    if via == Via::Nat || ways.is_some_and(by_nat) {
        return Ok(());
    }
    let problem = "natZone is the zone of a NAT gateway, and nothing here goes by one: add \
                   internet: nat or remove natZone";
    Err(refusal(at, problem.to_owned()))
}

/// Services and their ways, in the order of their names.
fn services(fields: &Item) -> Result<Vec<(&str, Text<'_>)>> {
    let Some(written) = &fields.aws_services.0 else {
        return Ok(Vec::new());
    };
    let empty = || {
        let problem = "awsServices is empty: give it a value or leave it out";
        refusal(written, problem.to_owned())
    };
    let all = written.value.as_ref().filter(|all| !all.is_empty());
    let each = all.ok_or_else(empty)?.iter().map(|(service, way)| {
        let text = way.value.as_deref().map(str::trim).unwrap_or_default();
        match service.trim() {
            "" => {
                let problem = "awsServices has a service without a name: write one like s3";
                Err(refusal(way, problem.to_owned()))
            }
            service => Ok((service, (way as &dyn Line, text))),
        }
    });
    each.collect()
}

/// Egress-only internet gateways forward IPv6 alone.
fn of_family(ways: &[Via], cidr: IpNet) -> Vec<Via> {
    let is_v6 = matches!(cidr, IpNet::V6(_));
    let ways = ways.iter().copied();
    ways.filter(|via| is_v6 || *via != Via::EgressOnly)
        .collect()
}

fn way_of(field: &str, (at, text): Text<'_>, accepted: &[Via]) -> Result<Via> {
    let found = accepted.iter().find(|via| shown(**via) == text);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = accepted.iter().map(|via| shown(*via)).collect();
        let names = names.join(", ");
        let problem = format!("{field} {text:?} is not known here: write one of {names}");
        refusal(at, problem)
    })
}
