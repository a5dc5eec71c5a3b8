//! `aws ec2 describe-route-tables`: where routes lead, and whose they are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Deserialize;

use super::super::input::State;
use zonemeter_model::snapshot::Via;

/// Shared address space.
const SHARED: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10);
/// It has a field of its own.
const NAT64: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// A route table.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RouteTable {
    pub(super) route_table_id: String,
    pub(super) vpc_id: String,
    associations: Vec<Association>,
    routes: Vec<Route>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Association {
    #[serde(default)]
    main: bool,
    /// Of the main association and of a gateway's there is none.
    subnet_id: Option<String>,
    /// Older answers have none.
    association_state: Option<State>,
}

/// A destination, and one of many kinds of targets, each with a key of its own.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Route {
    destination_cidr_block: Option<String>,
    destination_ipv6_cidr_block: Option<String>,
    destination_prefix_list_id: Option<String>,
    /// `igw-…`, `vgw-…`, `vpce-…` or `local`.
    gateway_id: Option<String>,
    nat_gateway_id: Option<String>,
    transit_gateway_id: Option<String>,
    egress_only_internet_gateway_id: Option<String>,
    network_interface_id: Option<String>,
    vpc_peering_connection_id: Option<String>,
    local_gateway_id: Option<String>,
    carrier_gateway_id: Option<String>,
    core_network_arn: Option<String>,
    state: String,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A way that the file has a word for; of a NAT gateway with its id.
    Via(Via, Option<String>),
    /// Something else, by its id.
    Other(String),
    /// There is no route, or it is a blackhole.
    Nowhere,
}

impl Target {
    /// The way; `None` where the file has no word for it.
    pub(super) fn via(&self) -> Option<Via> {
        match self {
            Self::Via(via, _) => Some(*via),
            Self::Other(_) => None,
            Self::Nowhere => Some(Via::Unset),
        }
    }

    pub(super) fn nat_gateway(&self) -> Option<&str> {
        match self {
            Self::Via(_, id) => id.as_deref(),
            Self::Other(_) | Self::Nowhere => None,
        }
    }
}

impl RouteTable {
    /// True where a `--query` took the destination of a route away.
    pub(super) fn has_bare_routes(&self) -> bool {
        self.routes.iter().any(|route| {
            let destinations = [
                &route.destination_cidr_block,
                &route.destination_ipv6_cidr_block,
                &route.destination_prefix_list_id,
            ];
            destinations.into_iter().all(Option::is_none)
        })
    }

    /// True where the subnet is associated with it.
    pub(super) fn is_of(&self, subnet: &str) -> bool {
        let of_subnet = |one: &Association| one.holds() && one.subnet_id.as_deref() == Some(subnet);
        self.associations.iter().any(of_subnet)
    }

    /// True for the table of all subnets that have none of their own.
    pub(super) fn is_main(&self) -> bool {
        self.associations.iter().any(|one| one.main && one.holds())
    }

    /// Where packets to the whole of this range are sent: by a route to it, or by two to its halves
    /// that lead to the same.
    pub(super) fn target(&self, range: &str) -> Option<Target> {
        let halves = || {
            let range: IpNet = range.parse().ok()?;
            let halves = range.subnets(range.prefix_len() + 1).ok()?;
            let mut targets = halves.map(|half| self.route(&half.to_string()));
            let (first, second) = (targets.next()??.leads(), targets.next()??.leads());
            (first == second).then_some(first)
        };
        self.route(range).map(Route::leads).or_else(halves)
    }

    /// Public ranges of the family, and prefix lists but those of gateway endpoints, whose route leads
    /// elsewhere than the default one, which leads to `usual`: each with its way.
    pub(super) fn exceptions(&self, usual: &Target, is_v6: bool) -> Vec<(&str, Via)> {
        let found = self.routes.iter().filter_map(|route| {
            let destination = match &route.destination_prefix_list_id {
                Some(list) => (!is_v6 && !route.is_to_endpoint()).then_some(&**list)?,
                None => route.public_range(is_v6)?,
            };
            match route.leads() {
                target if target == *usual => None,
                Target::Via(via, _) => Some((destination, via)),
                Target::Other(_) | Target::Nowhere => None,
            }
        });
        found.collect()
    }

    /// True where the route to this range leads to what is no longer there.
    pub(super) fn is_blackhole(&self, range: &str) -> bool {
        self.route(range).is_some_and(Route::is_blackhole)
    }

    /// Prefix lists and the gateway endpoints that they lead to.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = (&str, &str)> {
        let routes = self.routes.iter().filter(|route| !route.is_blackhole());
        routes.filter_map(|route| {
            let list = route.destination_prefix_list_id.as_deref()?;
            let gateway = route.gateway_id.as_deref()?;
            route.is_to_endpoint().then_some((list, gateway))
        })
    }

    fn route(&self, range: &str) -> Option<&Route> {
        let goes_there = |route: &&Route| {
            let destinations = [
                &route.destination_cidr_block,
                &route.destination_ipv6_cidr_block,
            ];
            let mut destinations = destinations.into_iter().flatten();
            destinations.any(|destination| destination == range)
        };
        self.routes.iter().find(goes_there)
    }
}

impl Association {
    fn holds(&self) -> bool {
        self.association_state.as_ref().is_none_or(State::holds)
    }
}

impl Route {
    fn is_blackhole(&self) -> bool {
        self.state == "blackhole"
    }

    fn leads(&self) -> Target {
        match self.is_blackhole() {
            true => Target::Nowhere,
            false => self.target(),
        }
    }

    fn is_to_endpoint(&self) -> bool {
        let gateway = self.gateway_id.as_deref();
        gateway.is_some_and(|gateway| gateway.starts_with("vpce-"))
    }

    /// The range, where it is of the family and outside of what is private (RFC 1918, RFC 6598, RFC
    /// 4193).
    fn public_range(&self, is_v6: bool) -> Option<&str> {
        let range = match is_v6 {
            true => self.destination_ipv6_cidr_block.as_deref()?,
            false => self.destination_cidr_block.as_deref()?,
        };
        let network: IpNet = range.parse().ok()?;
        let is_private = match network.addr() {
            IpAddr::V4(address) => address.is_private() || SHARED.contains(&address),
            IpAddr::V6(address) => address.is_unique_local() || NAT64.contains(&address),
        };
        (!is_private).then_some(range)
    }

    fn target(&self) -> Target {
        let way = |via| Target::Via(via, None);
        if let Some(id) = &self.nat_gateway_id {
            return Target::Via(Via::Nat, Some(id.clone()));
        }
        let others = [
            &self.gateway_id,
            &self.network_interface_id,
            &self.vpc_peering_connection_id,
            &self.local_gateway_id,
            &self.carrier_gateway_id,
        ];
        match (&self.gateway_id, others.into_iter().flatten().next()) {
            _ if self.transit_gateway_id.is_some() => way(Via::Tgw),
            // A core network (Cloud WAN) is billed and joined like a transit gateway.
            _ if self.core_network_arn.is_some() => way(Via::Tgw),
            _ if self.egress_only_internet_gateway_id.is_some() => way(Via::EgressOnly),
            (Some(id), _) if id.starts_with("igw-") => way(Via::Igw),
            // Of a range and not of a prefix list: an appliance's endpoint.
            (Some(id), _) if id.starts_with("vpce-") => way(Via::Firewall),
            (_, Some(id)) => Target::Other(id.clone()),
            (_, None) => Target::Other("a target of another kind".to_owned()),
        }
    }
}
