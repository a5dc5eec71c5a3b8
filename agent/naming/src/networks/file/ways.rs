//! The fields of an entry that tell by what traffic leaves the VPC.

use std::{collections::BTreeMap, sync::Arc};

use ipnet::IpNet;
use serde_saphyr::Spanned;

use zonemeter_model::snapshot::{Scope, Via};

use super::{Item, Line, Result, Text, filled, refusal};
use crate::networks::Ways;

/// What a route to the internet may lead to, and to nothing.
const INTERNET: [Via; 6] = [
    Via::Nat,
    Via::Igw,
    Via::EgressOnly,
    Via::Tgw,
    Via::Firewall,
    Via::Untold,
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
    Via::Untold,
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
) -> Result<Option<Ways>> {
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
    let internet = read("internet", internet, &INTERNET)?;
    if let (Some((at, Via::EgressOnly)), IpNet::V4(_)) = (internet, cidr) {
        let problem = "internet \"egress_only\" is for IPv6: write nat, igw, tgw, firewall, none";
        return Err(refusal(at, problem.to_owned()));
    }
    let ways = services.into_iter().map(|(service, way)| {
        let via = way_of(service, way, &SERVICE)?;
        Ok((service.into(), via))
    });
    Ok(Some(Ways {
        name: Arc::clone(name),
        internet: internet.map_or(Via::Untold, |(_, via)| via),
        nat64: read("nat64", nat64, &INTERNET)?.map_or(Via::Nat, |(_, via)| via),
        services: ways.collect::<Result<BTreeMap<_, _>>>()?,
        nat_zone: nat_zone(fields)?,
    }))
}

/// The entry's own way, which does not depend on the subnet.
pub(super) fn of_network(fields: &Item) -> Result<Via> {
    let Some((at, via)) = read("via", filled("via", &fields.via)?, &NETWORK)? else {
        return Ok(Via::Untold);
    };
    let scope = filled("scope", &fields.scope)?.map(|(_, scope)| scope);
    let is_outside = scope.is_some_and(|scope| OUTSIDE.iter().any(|one| one.name() == scope));
    if is_outside || fields.region.is_some() {
        return Ok(via);
    }
    let scopes = OUTSIDE.map(Scope::name).join(", ");
    let problem = format!("via is for networks outside: add a scope, one of {scopes}");
    Err(refusal(at, problem))
}

/// The zone of the NAT gateway.
pub(super) fn nat_zone(fields: &Item) -> Result<Option<Arc<str>>> {
    let zone = filled("natZone", &fields.nat_zone)?;
    Ok(zone.map(|(_, zone)| zone.into()))
}

/// Refuses a zone of a NAT gateway where nothing goes by one.
pub(super) fn check_nat_zone(
    fields: &Item,
    cidr: IpNet,
    ways: Option<&Ways>,
    via: Via,
) -> Result<()> {
    let Some((at, _)) = filled("natZone", &fields.nat_zone)? else {
        return Ok(());
    };
    let by_nat = |ways: &Ways| {
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
    let Some(written) = &fields.aws_services else {
        return Ok(Vec::new());
    };
    let empty = || {
        let problem = "awsServices is empty: give it a value or leave it out";
        refusal(written, problem.to_owned())
    };
    let all = written.value.as_ref().filter(|all| !all.is_empty());
    let each = all.ok_or_else(empty)?.iter().map(|(service, way)| {
        let text = way.value.as_deref().map(str::trim).unwrap_or_default();
        (service.trim(), (way as &dyn Line, text))
    });
    Ok(each.collect())
}

/// Where a field stands, and the way that it names.
type Read<'a> = Option<(&'a dyn Line, Via)>;

fn read<'a>(field: &str, written: Option<Text<'a>>, accepted: &[Via]) -> Result<Read<'a>> {
    let Some(way) = written else { return Ok(None) };
    Ok(Some((way.0, way_of(field, way, accepted)?)))
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

fn shown(via: Via) -> &'static str {
    if via == Via::Untold {
        "none"
    } else {
        via.name()
    }
}
