//! `aws ec2 describe-route-tables`: where routes lead, and whose they are.

use serde::Deserialize;

use super::super::input::State;
use zonemeter_model::snapshot::Via;

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
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
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
    Way(Via, Option<String>),
    /// Something else, by its id.
    Other(String),
    /// There is no route, or it is a blackhole.
    Nowhere,
}

impl Target {
    /// The way; `None` where the file has no word for it.
    pub(super) fn via(&self) -> Option<Via> {
        match self {
            Self::Way(via, _) => Some(*via),
            Self::Other(_) => None,
            Self::Nowhere => Some(Via::Untold),
        }
    }

    pub(super) fn nat_gateway(&self) -> Option<&str> {
        match self {
            Self::Way(_, id) => id.as_deref(),
            Self::Other(_) | Self::Nowhere => None,
        }
    }
}

impl RouteTable {
    /// True where the subnet is associated with it.
    pub(super) fn is_of(&self, subnet: &str) -> bool {
        let of_subnet = |one: &Association| one.holds() && one.subnet_id.as_deref() == Some(subnet);
        self.associations.iter().any(of_subnet)
    }

    /// True for the table of all subnets that have none of their own.
    pub(super) fn is_main(&self) -> bool {
        self.associations.iter().any(|one| one.main && one.holds())
    }

    /// Where packets to the whole of this range are sent.
    pub(super) fn target(&self, range: &str) -> Option<Target> {
        let route = self.route(range)?;
        Some(match route.is_blackhole() {
            true => Target::Nowhere,
            false => route.target(),
        })
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
            gateway.starts_with("vpce-").then_some((list, gateway))
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

    fn target(&self) -> Target {
        let way = |via| Target::Way(via, None);
        if let Some(id) = &self.nat_gateway_id {
            return Target::Way(Via::Nat, Some(id.clone()));
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
