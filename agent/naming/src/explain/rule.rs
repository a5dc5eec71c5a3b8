//! The rule that decided a scope, in the words of `docs/scope.md`.

use std::net::IpAddr;

use zonemeter_model::snapshot::Scope;

use super::super::{
    resolve::{Names, Peer},
    scope::{Located, is_told_by_address, lies},
    special::Range,
};

/// Why a peer at this address has this scope.
pub(super) fn rule(names: &Names, address: IpAddr, peer: Peer<'_>, scope: Scope) -> String {
    match peer {
        Peer::Pod(_) => at_node(names, address, peer, ("a pod", scope)),
        Peer::Node(_) => at_node(names, address, peer, ("a node", scope)),
        Peer::Service(_) => {
            "an address of a Service: the backend that conntrack chooses decides for \
                             each flow, and where it is not known, nothing does"
                .to_owned()
        }
        Peer::ServiceIn(..) => {
            "an address of a Service: the backend that conntrack chooses decides \
                                for each flow; where it is not known, the one place of all ready \
                                endpoints"
                .to_owned()
        }
        Peer::Network(network) if network.scope.is_some() => {
            "an entry of the networks file that states the scope".to_owned()
        }
        Peer::Network(network) if network.zone.is_some() || network.zone_id.is_some() => {
            format!(
                "an entry of the networks file with a zone: {}",
                by_zone(scope)
            )
        }
        Peer::Network(_) => "an entry of the networks file without a zone".to_owned(),
        Peer::Vpc => "in a range of the VPC, and no pod, node or entry has it".to_owned(),
        Peer::Range(range) => by_range(names, range),
        Peer::Other => "not told apart: no room in the flow tables".to_owned(),
    }
}

fn at_node(names: &Names, address: IpAddr, peer: Peer<'_>, told: (&str, Scope)) -> String {
    let (who, scope) = told;
    if scope == Scope::IntraNode {
        return "a pod of this node, or this node itself".to_owned();
    }
    if !is_told_by_address(names, peer) {
        return format!("{who} elsewhere whose node has a zone: {}", by_zone(scope));
    }
    let place = match lies(names, address) {
        Some(Located::Network) => "the entry of the networks file that holds its address decides",
        Some(Located::Vpc) => "its address is in a range of the VPC",
        Some(Located::Private) => "its address is private and outside of the VPC's ranges",
        None => "nothing tells where its address lies",
    };
    format!("{who} elsewhere whose node has no zone of AWS: {place}")
}

fn by_zone(scope: Scope) -> &'static str {
    match scope {
        Scope::IntraZone => "the same as this node's",
        Scope::CrossZone => "another than this node's",
        _ => "this node's own zone is not known",
    }
}

fn by_range(names: &Names, range: Range) -> String {
    let text = match range {
        Range::LinkLocal | Range::Multicast | Range::Broadcast => {
            "link-local, multicast and broadcast addresses stay on the link"
        }
        Range::Private if names.networks.knows_vpc() => {
            return format!(
                "private, and outside of the VPC's ranges by the networks file ({})",
                names.networks.vpc_ranges().join(", ")
            );
        }
        Range::Private => {
            "private, and no range of the VPC is given: --networks-file with vpc tells"
        }
        Range::Loopback | Range::Unspecified | Range::Documentation | Range::Reserved => {
            "no address that traffic between machines can have"
        }
        Range::Global => "any other address is the internet's",
    };
    text.to_owned()
}
