//! Whose route table the packets of a flow obey where they leave the VPC, and by what that leads.
//!
//! AWS routes a packet by the subnet of the interface by which it leaves the node. The VPC CNI sends it
//! out by the interface that its source address belongs to, and translates the source of some:
//!
//! | packets | obey the table of |
//! |---|---|
//! | IPv4, translated to the node's primary address (the default) | the node's subnet |
//! | IPv4, not translated: `AWS_VPC_K8S_CNI_EXTERNALSNAT=true`, a destination in `AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS`, a pod with a branch interface of its own (`vlan…`) | the subnet of the pod's address |
//! | IPv6 | the subnet of the pod's address |
//! | from addresses of the CNI's egress plugin, which are the same on every node | the node's subnet |
//!
//! Sources: amazon-vpc-cni-k8s `pkg/networkutils/network.go` (the SNAT chain and its `! -o vlan+`),
//! `cmd/egress-cni-plugin` (169.254.172.0/22, fd00::ac:00/118), README (the two variables).

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use ipnet::Ipv6Net;
use zonemeter_model::{
    address,
    cluster::{Pod, SourceNat},
    snapshot::{Scope, Via},
};

use super::{
    held::TimedFlow,
    networks::{Networks, SubnetId},
    resolve::{Names, Peer},
    scope::Decided,
    special::Range,
};

/// What a node knows of its ways out.
#[derive(Debug, Default)]
pub struct Egress {
    source_nat: SourceNat,
    /// Whatever the CNI says.
    is_fixed: bool,
    /// The node's own subnets, of IPv4 and of IPv6.
    home: [Option<SubnetId>; 2],
}

/// How a flow leaves the VPC, if it does: decides its class together with the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Exit {
    /// The subnet whose route table holds; `None` where the file does not tell of it.
    pub subnet: Option<SubnetId>,
    /// The packets go to an address of 64:ff9b::/96.
    pub nat64: bool,
    /// They go to a public address, whatever else the network of the file has around it.
    pub is_public: bool,
}

/// Where the CNI's plugin takes IPv6 addresses from, for pods of IPv4 clusters.
const PLUGIN_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0xac, 0), 118);

impl Egress {
    /// With what holds whatever the CNI says; `None`: as it says, and as by default until then.
    pub fn new(fixed: Option<SourceNat>) -> Self {
        Self {
            is_fixed: fixed.is_some(),
            source_nat: fixed.unwrap_or_default(),
            home: [None; 2],
        }
    }

    /// Takes in what the CNI of this node says; false where it changes nothing.
    pub fn learn(&mut self, source_nat: &SourceNat) -> bool {
        let is_new = !self.is_fixed && self.source_nat != *source_nat;
        if is_new {
            self.source_nat.clone_from(source_nat);
        }
        is_new
    }

    /// Looks the node's own addresses up: these or the networks have changed.
    pub fn look_up(&mut self, own: &[IpAddr], networks: &Networks) {
        self.home = [IpAddr::is_ipv4, IpAddr::is_ipv6].map(|of_family| {
            let mut own = own.iter().filter(|address| of_family(address));
            own.find_map(|address| networks.subnet(*address))
        });
    }

    /// The subnet whose table packets from `local` to `to` obey; both canonical.
    fn subnet(
        &self,
        networks: &Networks,
        local: IpAddr,
        to: IpAddr,
        has_own_interface: bool,
    ) -> Option<SubnetId> {
        let keeps_source = match (local, to) {
            (IpAddr::V4(local), _) if local.is_link_local() => false,
            (IpAddr::V6(local), _) => !PLUGIN_V6.contains(&local),
            (IpAddr::V4(_), _) => has_own_interface || !self.source_nat.translates(to),
        };
        match keeps_source {
            true => networks.subnet(local),
            false => self.home[usize::from(local.is_ipv6())],
        }
    }
}

impl Exit {
    fn to(to: IpAddr, subnet: Option<SubnetId>) -> Self {
        Self {
            subnet,
            nat64: address::is_nat64(to),
            is_public: Range::of(to) == Range::Global,
        }
    }
}

impl Names {
    /// How a flow with this peer leaves the VPC.
    pub fn exit(&self, flow: &TimedFlow, peer: Peer<'_>) -> Exit {
        match may_leave(peer) {
            true => self.exit_from(flow.flow.local, flow.flow.peer, Some(flow.flow.interface)),
            false => Exit::default(),
        }
    }

    /// How packets from a pod's address leave the VPC for `to`.
    pub fn exit_from(&self, local: IpAddr, to: IpAddr, interface: Option<u32>) -> Exit {
        let (local, to) = (local.to_canonical(), to.to_canonical());
        let is_branch = interface.is_some_and(|index| self.interfaces.is_branch(index));
        Exit::to(to, self.egress.subnet(&self.networks, local, to, is_branch))
    }

    /// How packets of this node's pods leave the VPC for this peer at `to`: of the first pod by name
    /// that has an address of the family, for all have theirs from the node's zone.
    pub fn usual_exit(&self, to: IpAddr, peer: Peer<'_>) -> Exit {
        if !may_leave(peer) {
            return Exit::default();
        }
        let pods = self.interfaces.pods().map(|pod| &pod.object);
        let of_family = |address: &&IpAddr| address.is_ipv6() == to.is_ipv6();
        let address = |pod: &Pod| pod.addresses.iter().copied().find(|one| of_family(&one));
        let first = pods
            .filter(|pod| address(pod).is_some())
            .min_by_key(|pod| &pod.name);
        match first.and_then(address) {
            Some(local) => self.exit_from(local, to, None),
            None => Exit::to(to, self.egress.home[usize::from(to.is_ipv6())]),
        }
    }

    /// The node's addresses or the networks have changed.
    pub fn look_up_egress(&mut self) {
        let node = self.book.node(&self.home);
        let own = node.map_or(&[][..], |node| &node.addresses);
        self.egress.look_up(own, &self.networks);
    }
}

/// False for what the route table has no say in: pods and nodes are in the VPC, or a network of the
/// file tells how they are reached.
fn may_leave(peer: Peer<'_>) -> bool {
    match peer {
        Peer::Network(_) | Peer::Range(Range::Global | Range::Private) => true,
        Peer::Pod(_)
        | Peer::Node(_)
        | Peer::Service(_)
        | Peer::ServiceIn(..)
        | Peer::Vpc
        | Peer::Range(_)
        | Peer::Other => false,
    }
}

/// By what traffic to the peer leaves the VPC, and the zone of the NAT gateway where it is one.
pub(crate) fn way<'a>(
    names: &'a Names,
    decided: &Decided<'a>,
    exit: Exit,
) -> (Via, Option<&'a Arc<str>>) {
    let unset = (Via::Unset, None);
    let leaves = matches!(
        decided.scope,
        Scope::Internet | Scope::AwsService | Scope::Peered | Scope::CrossRegion
    );
    let own = decided.network.filter(|network| network.via != Via::Unset);
    match (
        own,
        exit.subnet.and_then(|subnet| names.networks.ways(subnet)),
    ) {
        _ if !leaves => unset,
        (Some(network), _) => (network.via, network.nat_zone.as_ref()),
        (None, None) => unset,
        (None, Some(ways)) => {
            let service = decided.network.map(|network| &*network.name);
            let service = service.filter(|_| decided.scope == Scope::AwsService);
            let via = match (exit.nat64, exit.is_public) {
                (true, _) => ways.nat64,
                // A route of its own leads to a peered network, whose IPv6 addresses are public.
                (false, true) if decided.scope != Scope::Peered => ways.to_public(service),
                (false, _) => Via::Unset,
            };
            (via, ways.nat_zone.as_ref())
        }
    }
}
