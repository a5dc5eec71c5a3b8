//! What lies between a pod of this node and its peer: the `scope` and `peer_zone` labels.
//!
//! The first row that fits decides (`docs/scope.md` has the same table with examples):
//!
//! | peer | scope | peer zone |
//! |---|---|---|
//! | pod of this node, or this node itself | `intra_node` | the node's |
//! | pod or node elsewhere, both zones known, no hybrid node | `intra_zone`, `cross_zone` or, where their names tell another region, `cross_region` | its node's |
//! | … hybrid or without a zone, in a network of the file | as that network | its node's, else the entry's |
//! | … in a longer `vpc:` range of the file | `vpc` | its node's, where known |
//! | … private, VPC ranges configured | `peered` | its node's, where known |
//! | … a hybrid node | `peered` | its node's, where known |
//! | pod or node elsewhere, a zone not known | `vpc` | its node's, where known |
//! | Service address, backend not known, all ready endpoints on this node | `intra_node` | the node's |
//! | … all ready endpoints in one zone | `intra_zone` or `cross_zone` | that zone |
//! | any other Service address whose backend is not known | `unresolved_service` | |
//! | network of the file in another region, without a scope or `peered` or `aws_service` | `cross_region` | the entry's, where it has one |
//! | network of the file with a scope | that scope | the entry's, where it has one |
//! | network with a zone, own zone known | `intra_zone` or `cross_zone` | the entry's |
//! | any other network | `vpc` | the entry's, where it has one |
//! | link-local, multicast, broadcast | `link_local` | |
//! | in a VPC range of the file | `vpc` | |
//! | private, VPC ranges configured | `peered` | |
//! | private, no VPC range configured | `unknown` | |
//! | loopback, unspecified, reserved, documentation | `unknown` | |
//! | any other address | `internet` | |
//! | not told apart: no room in the flow map | `unknown` | |
//!
//! Where it leaves the VPC by a NAT gateway ([`super::egress`]), that one's zone takes the place of the
//! peer's.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use foldhash::fast::RandomState;
use zonemeter_model::{
    cluster::{Node, Workload},
    recent::Party,
    snapshot::{Scope, Via},
};

use super::{
    book::Place,
    egress::{Exit, way},
    networks::Network,
    region,
    resolve::{Names, Peer, PeerKey},
    special::Range,
};

/// The labels that a peer gives a flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Class {
    /// What lies between.
    pub scope: Scope,
    /// Zone of the peer, or of the NAT gateway in between; empty where not known.
    pub peer_zone: Arc<str>,
    /// By what it leaves the VPC.
    pub via: Via,
    /// Namespace of the peer; empty where it has none.
    pub peer_namespace: Arc<str>,
    /// The peer's workload, or what stands for it; empty where not known.
    pub peer_workload: Workload,
}

/// Classes by peer and way out, decided once. All pods of a node whose packets obey the same route
/// table see a peer in the same class.
#[derive(Debug, Default)]
pub struct Classes {
    by_peer: HashMap<(PeerKey, Exit), Classified, RandomState>,
    ids: HashMap<Class, ClassId>,
    classes: Vec<Class>,
}

/// Number of a class, until [`Classes::clear`].
pub type ClassId = u32;

/// A peer that has been classified.
#[derive(Clone, Debug)]
pub struct Classified {
    /// Its class.
    pub class: ClassId,
    /// Who it is, as the debug page shows it.
    pub party: Arc<Party>,
}

/// The label value that stands for all that found no room.
pub const OTHER: &str = "other";

/// More peers than this are not remembered; a peer takes about 200 bytes.
const MOST_PEERS: usize = 65_536;

/// What the table above says of a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decided<'a> {
    pub(crate) scope: Scope,
    pub(crate) zone: Option<&'a Arc<str>>,
    /// The network of the file that it is in, where that decided.
    pub(crate) network: Option<&'a Network>,
}

/// Decides the scope and the peer's zone, by the table above.
fn decide<'a>(names: &'a Names, peer: Peer<'a>) -> Decided<'a> {
    let alone = |scope| Decided {
        scope,
        zone: None,
        network: None,
    };
    match peer {
        Peer::Pod(pod) => at_node(names, pod.object.node.as_deref(), &pod.object.addresses),
        Peer::Node(node) => at_node(names, Some(&node.object.name), &[]),
        Peer::Service(_) => alone(Scope::UnresolvedService),
        Peer::ServiceIn(_, place) => Decided {
            zone: place.zone,
            ..alone(in_place(names, place))
        },
        Peer::Network(network) => in_network(names, network),
        Peer::Vpc => alone(Scope::Vpc),
        Peer::Range(range) => alone(in_range(range, names.networks.knows_vpc())),
        Peer::Other => alone(Scope::Unknown),
    }
}

/// Where an address lies, as far as the networks file tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Located {
    /// In a network of the file.
    Network,
    /// In a range of the VPC.
    Vpc,
    /// In private space outside of the VPC's ranges.
    Private,
}

/// True where the addresses of a pod or a node decide, because no zone of AWS does.
pub fn is_told_by_address(names: &Names, peer: Peer<'_>) -> bool {
    let node = match peer {
        Peer::Pod(pod) => pod.object.node.as_deref(),
        Peer::Node(node) => Some(&*node.object.name),
        Peer::Service(_)
        | Peer::ServiceIn(..)
        | Peer::Network(_)
        | Peer::Vpc
        | Peer::Range(_)
        | Peer::Other => return false,
    };
    node != Some(&*names.home) && has_no_zone(node.and_then(|node| names.book.node(node)))
}

/// A zone that a hybrid node is labelled with is none of AWS.
fn has_no_zone(node: Option<&Node>) -> bool {
    node.is_none_or(|node| node.hybrid || node.zone.is_none())
}

fn at_node<'a>(names: &'a Names, node: Option<&str>, addresses: &[IpAddr]) -> Decided<'a> {
    let in_zone = |scope, zone| Decided {
        scope,
        zone,
        network: None,
    };
    if node == Some(&*names.home) {
        return in_zone(Scope::IntraNode, names.home_zone());
    }
    let node = node.and_then(|node| names.book.node(node));
    let zone = node.and_then(|node| node.zone.as_ref());
    if !has_no_zone(node) {
        return in_zone(by_zone(names, zone), zone);
    }
    let of_node = node.map_or(&[][..], |node| &node.addresses);
    let mut places = addresses.iter().chain(of_node);
    let lies_in = places
        .find_map(|address| where_it_lies(names, *address))
        .unwrap_or_else(|| match node.is_some_and(|node| node.hybrid) {
            true => in_zone(Scope::Peered, None),
            false => in_zone(Scope::Vpc, None),
        });
    Decided {
        zone: zone.or(lies_in.zone),
        ..lies_in
    }
}

fn where_it_lies(names: &Names, address: IpAddr) -> Option<Decided<'_>> {
    let scope = match lies(names, address)? {
        Located::Network => return Some(in_network(names, names.networks.find(address)?.1)),
        Located::Vpc => Scope::Vpc,
        Located::Private => Scope::Peered,
    };
    Some(Decided {
        scope,
        zone: None,
        network: None,
    })
}

/// Where the address of a pod or a node lies. Unlike for other peers, a range of the VPC counts
/// that is longer than the network around it: an entry for all of 10.0.0.0/8 says nothing of the
/// nodes in the VPC.
pub fn lies(names: &Names, address: IpAddr) -> Option<Located> {
    let network = names.networks.find(address).map(|(range, _)| range);
    let vpc = names.networks.vpc_range(address);
    match (network, vpc) {
        (Some(network), Some(vpc)) if network.prefix_len() < vpc.prefix_len() => Some(Located::Vpc),
        (Some(_), _) => Some(Located::Network),
        (None, Some(_)) => Some(Located::Vpc),
        (None, None) => {
            let is_private = Range::of(address) == Range::Private;
            (is_private && names.networks.knows_vpc()).then_some(Located::Private)
        }
    }
}

fn in_place(names: &Names, place: Place<'_>) -> Scope {
    if place.node == Some(&*names.home) {
        return Scope::IntraNode;
    }
    let node = place.node.and_then(|node| names.book.node(node));
    match node.is_some_and(|node| node.hybrid) {
        true => Scope::Peered,
        false => by_zone(names, place.zone),
    }
}

fn in_network<'a>(names: &'a Names, network: &'a Network) -> Decided<'a> {
    let by_id = || names.book.zone_of_id(network.zone_id.as_deref()?);
    let zone = network.zone.as_ref().or_else(by_id);
    Decided {
        scope: scope_of_network(names, network, zone),
        zone,
        network: Some(network),
    }
}

/// A file may be read by agents of several regions: what is another region for one of them is its
/// own for the other.
fn scope_of_network(names: &Names, network: &Network, zone: Option<&Arc<str>>) -> Scope {
    let home = names.home_zone().and_then(|zone| region::of_zone(zone));
    let elsewhere = home.zip(network.region.as_deref());
    let elsewhere = elsewhere.map(|(home, region)| home != region);
    match (network.scope, elsewhere) {
        (None | Some(Scope::Peered | Scope::AwsService), Some(true)) => Scope::CrossRegion,
        (Some(Scope::CrossRegion), Some(false)) if network.is_public => Scope::AwsService,
        (Some(Scope::CrossRegion), Some(false)) => Scope::Peered,
        (Some(stated), _) => stated,
        (None, _) => by_zone(names, zone),
    }
}

/// What lies between this node and a known zone.
pub fn by_zone(names: &Names, peer: Option<&Arc<str>>) -> Scope {
    let (Some(own), Some(peer)) = (names.home_zone(), peer) else {
        return Scope::Vpc;
    };
    match (region::of_zone(own), region::of_zone(peer)) {
        _ if own == peer => Scope::IntraZone,
        (Some(own), Some(peer)) if own != peer => Scope::CrossRegion,
        _ => Scope::CrossZone,
    }
}

fn in_range(range: Range, vpc_is_known: bool) -> Scope {
    match range {
        Range::LinkLocal | Range::Multicast | Range::Broadcast => Scope::LinkLocal,
        Range::Private if vpc_is_known => Scope::Peered,
        Range::Private
        | Range::Loopback
        | Range::Unspecified
        | Range::Documentation
        | Range::Reserved => Scope::Unknown,
        Range::Global => Scope::Internet,
    }
}

impl Class {
    /// The class of a peer, for packets that leave the VPC in this way.
    pub fn of(names: &Names, peer: Peer<'_>, exit: Exit) -> Self {
        let decided = decide(names, peer);
        let (via, nat_zone) = way(names, &decided, exit);
        let zone = if via == Via::Nat {
            nat_zone
        } else {
            decided.zone
        };
        let (peer_namespace, peer_workload) = labels(peer);
        Self {
            scope: decided.scope,
            peer_zone: zone.cloned().unwrap_or_default(),
            via,
            peer_namespace,
            peer_workload,
        }
    }
}

/// The namespace and the workload that a peer is shown as.
fn labels(peer: Peer<'_>) -> (Arc<str>, Workload) {
    let shown_as = |kind: &str, name: &Arc<str>| Workload {
        kind: kind.into(),
        name: Arc::clone(name),
    };
    match peer {
        Peer::Pod(pod) => (
            Arc::clone(&pod.object.name.namespace),
            pod.object.workload.clone(),
        ),
        Peer::Node(node) => (Arc::default(), shown_as("Node", &node.object.name)),
        Peer::Service(service) | Peer::ServiceIn(service, _) => {
            let name = &service.object.name;
            (Arc::clone(&name.namespace), shown_as("Service", &name.name))
        }
        Peer::Network(network) => (Arc::default(), shown_as("Network", &network.name)),
        Peer::Other => (Arc::default(), other()),
        Peer::Vpc | Peer::Range(_) => (
            Arc::default(),
            Workload {
                kind: Arc::default(),
                name: Arc::default(),
            },
        ),
    }
}

/// What stands for many workloads.
pub fn other() -> Workload {
    Workload {
        kind: OTHER.into(),
        name: OTHER.into(),
    }
}

/// Who a peer of this class is.
pub fn party(peer: Peer<'_>, class: &Class) -> Party {
    let (pod, node) = match peer {
        Peer::Pod(pod) => (Some(&pod.object.name.name), pod.object.node.as_deref()),
        Peer::Node(node) => (None, Some(&*node.object.name)),
        Peer::ServiceIn(_, place) => (None, place.node),
        Peer::Service(_) | Peer::Network(_) | Peer::Vpc | Peer::Range(_) | Peer::Other => {
            (None, None)
        }
    };
    Party {
        namespace: Arc::clone(&class.peer_namespace),
        pod: pod.cloned().unwrap_or_default(),
        workload: class.peer_workload.clone(),
        node: node.map(Into::into).unwrap_or_default(),
        zone: Arc::clone(&class.peer_zone),
    }
}

impl Classes {
    /// What a peer is, decided once.
    pub fn classify(&mut self, names: &Names, peer: Peer<'_>, exit: Exit) -> Classified {
        let Some(key) = peer.key() else {
            return self.decide(names, peer, exit);
        };
        if let Some(known) = self.by_peer.get(&(key, exit)) {
            return known.clone();
        }
        let known = self.decide(names, peer, exit);
        self.by_peer.insert((key, exit), known.clone());
        known
    }

    /// The class of this number.
    pub fn get(&self, class: ClassId) -> &Class {
        &self.classes[class as usize]
    }

    /// True where it has grown so much that it should be cleared.
    pub fn is_full(&self) -> bool {
        self.by_peer.len() > MOST_PEERS
    }

    /// Forgets everything: zones or networks have changed. Numbers begin anew.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn decide(&mut self, names: &Names, peer: Peer<'_>, exit: Exit) -> Classified {
        let class = Class::of(names, peer, exit);
        let party = Arc::new(party(peer, &class));
        let next = self.classes.len() as ClassId;
        let class = *self.ids.entry(class).or_insert_with_key(|class| {
            self.classes.push(class.clone());
            next
        });
        Classified { class, party }
    }
}
