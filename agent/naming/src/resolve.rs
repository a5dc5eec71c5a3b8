//! From a flow to its two ends: the pod behind the veth, and who or what the peer is.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
    time::Instant,
};

use zonemeter_model::{
    address::inside,
    cluster::{Node, Pod, Service},
    recent::FoundBy,
    traffic::Direction,
};

use super::{
    book::{Book, Entry, Owner, Place},
    egress::Egress,
    held::{Awaited, TimedFlow},
    interfaces::Interfaces,
    networks::{Network, Networks},
    special::Range,
};

/// Everything by which the agent names an address.
#[derive(Debug)]
pub struct Names {
    /// Name of the Node object that the agent runs on.
    pub home: Arc<str>,
    /// Addresses of pods, nodes and Services.
    pub book: Book,
    /// Pods by veth.
    pub interfaces: Interfaces,
    /// Address ranges that are not pods.
    pub networks: Networks,
    /// Since when these networks are in force; `None` where there is no file.
    pub networks_since: Option<Instant>,
    /// Whose route tables hold for what leaves the VPC.
    pub egress: Egress,
    /// Take a Service's zone from its endpoints where its backend is not known.
    pub place_services: bool,
}

/// What is known of a flow's ends.
#[derive(Debug)]
pub struct Resolved<'a> {
    /// The pod; `None` while it is not known.
    pub pod: Option<&'a Entry<Pod>>,
    /// Its peer.
    pub peer: Peer<'a>,
    /// What may yet become known: the flow is worth holding back.
    pub awaited: Option<Awaited>,
}

/// The other end of a flow.
#[derive(Clone, Copy, Debug)]
pub enum Peer<'a> {
    /// A pod of the cluster.
    Pod(&'a Entry<Pod>),
    /// A node of the cluster, or a pod of its network.
    Node(&'a Entry<Node>),
    /// A Service whose backend is not known.
    Service(&'a Entry<Service>),
    /// A Service whose backend is not known, but where it is: all ready endpoints are there.
    ServiceIn(&'a Entry<Service>, Place<'a>),
    /// A network of the networks file.
    Network(&'a Network),
    /// An address of the VPC.
    Vpc,
    /// Any other address, by its range.
    Range(Range),
    /// Not told apart: the flow found no room where its peer would have been kept.
    Other,
}

/// Tells peers apart that may be classified differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerKey {
    /// A pod, node or Service by the id of its entry.
    Entry(u64),
    /// A network by its id.
    Network(u32),
    /// An address of the VPC.
    Vpc,
    /// A range.
    Range(Range),
    /// Not told apart.
    Other,
}

impl Names {
    /// The flow's ends, as far as they are known.
    pub fn resolve(&self, flow: &TimedFlow) -> Resolved<'_> {
        let pod = self.interfaces.pod(flow.flow.interface);
        let peer = match flow.is_overflow() {
            true => Peer::Other,
            false => self.placed(self.peer(flow.flow.peer, flow.from, flow.until)),
        };
        let awaited = if pod.is_none() {
            Some(Awaited::Pod(flow.flow.interface))
        } else if self.book.node(&self.home).is_none() {
            Some(Awaited::Node)
        } else {
            let meant = || self.meant(flow.flow.peer, flow.from, flow.until);
            peer.may_be_pod().then(|| Awaited::Peer(meant()))
        };
        Resolved { pod, peer, awaited }
    }

    /// Who or what had the address during the interval. A pod, node or Service of the cluster
    /// comes before the networks file, and that before what a range says.
    pub fn peer(&self, address: IpAddr, from: Instant, until: Instant) -> Peer<'_> {
        let address = self.meant(address, from, until);
        match self.book.owner(address, from, until) {
            Some(Owner::Pod(pod)) => Peer::Pod(pod),
            Some(Owner::Node(node)) => Peer::Node(node),
            Some(Owner::Service(service)) => Peer::Service(service),
            None => match self.networks.find(address) {
                Some((_, network)) => Peer::Network(network),
                None => self.unnamed(address),
            },
        }
    }

    /// The address that tells who the peer is: of an IPv6 address that stands for an IPv4 address
    /// (NAT64) the latter, unless the cluster or the networks file names the former.
    pub fn meant(&self, address: IpAddr, from: Instant, until: Instant) -> IpAddr {
        let address = address.to_canonical();
        let is_named = || {
            self.book.owner(address, from, until).is_some() || self.networks.find(address).is_some()
        };
        match inside(address) {
            Some(inside) if !is_named() => inside.into(),
            Some(_) | None => address,
        }
    }

    /// A Service whose backend conntrack does not name may still be in one place.
    pub fn placed<'a>(&'a self, peer: Peer<'a>) -> Peer<'a> {
        match peer {
            Peer::Service(service) if self.place_services => self
                .book
                .place_of(&service.object.name)
                .map_or(peer, |place| Peer::ServiceIn(service, place)),
            _ => peer,
        }
    }

    /// Finds the pods of veths whose names do not tell: by an address that the node routes to one
    /// or, where it routes none, by the address of what a drain saw delivered there and nowhere else. A
    /// bridge delivers what it does not know yet to everyone.
    pub fn bind_by_address(&mut self, flows: impl Iterator<Item = TimedFlow> + Clone) {
        let unbound: BTreeMap<u32, TimedFlow> = flows
            .clone()
            .filter(|flow| self.interfaces.may_bind_by_address(flow.flow.interface))
            .map(|flow| (flow.flow.interface, flow))
            .collect();
        if unbound.is_empty() {
            return;
        }
        let mut delivered: HashMap<(IpAddr, Instant), (TimedFlow, bool)> = HashMap::new();
        let received =
            |flow: &TimedFlow| flow.flow.direction == Direction::Receive && !flow.is_overflow();
        for flow in flows.filter(received) {
            let (first, is_alone) = delivered
                .entry((flow.flow.local, flow.until))
                .or_insert((flow, true));
            *is_alone &= first.flow.interface == flow.flow.interface;
        }
        for (index, flow) in unbound {
            let routed = self.interfaces.routes(index).iter();
            let mut routed = routed.filter_map(|address| self.own_pod(*address, &flow));
            if let Some(pod) = routed.next().cloned() {
                self.interfaces.bind(index, pod, FoundBy::Route);
            }
        }
        for (flow, is_alone) in delivered.into_values() {
            let index = flow.flow.interface;
            let may_bind = is_alone
                && self.interfaces.may_bind_by_address(index)
                && self.interfaces.routes(index).is_empty();
            let pod = self.own_pod(flow.flow.local, &flow).filter(|_| may_bind);
            if let Some(pod) = pod.cloned()
                && !self.interfaces.has_interface(&pod.object.name)
            {
                self.interfaces.bind(index, pod, FoundBy::Address);
            }
        }
    }

    /// The pod of this node that had the address during the flow's interval.
    fn own_pod(&self, address: IpAddr, flow: &TimedFlow) -> Option<&Arc<Entry<Pod>>> {
        let address = address.to_canonical();
        match self.book.owner(address, flow.from, flow.until)? {
            Owner::Pod(pod) => (pod.object.node.as_ref() == Some(&self.home)).then_some(pod),
            Owner::Node(_) | Owner::Service(_) => None,
        }
    }

    /// The zone of this node, which is the zone of its pods.
    pub fn home_zone(&self) -> Option<&Arc<str>> {
        self.book.zone(&self.home)
    }

    fn unnamed(&self, address: IpAddr) -> Peer<'_> {
        let range = Range::of(address);
        let stays_on_the_link = matches!(
            range,
            Range::LinkLocal | Range::Multicast | Range::Broadcast
        );
        if !stays_on_the_link && self.networks.vpc_range(address).is_some() {
            return Peer::Vpc;
        }
        Peer::Range(range)
    }
}

impl Peer<'_> {
    /// What classification depends on; `None` where it must be asked each time.
    pub fn key(&self) -> Option<PeerKey> {
        Some(match self {
            Self::ServiceIn(..) => return None,
            Self::Pod(pod) => PeerKey::Entry(pod.id),
            Self::Node(node) => PeerKey::Entry(node.id),
            Self::Service(service) => PeerKey::Entry(service.id),
            Self::Network(network) => PeerKey::Network(network.id),
            Self::Vpc => PeerKey::Vpc,
            Self::Range(range) => PeerKey::Range(*range),
            Self::Other => PeerKey::Other,
        })
    }

    /// True where a pod may have the address without the API having told so yet: in the VPC, in a
    /// network of the file that is not said to be elsewhere, in private space.
    pub fn may_be_pod(&self) -> bool {
        match self {
            Self::Pod(_) | Self::Node(_) | Self::Service(_) | Self::ServiceIn(..) | Self::Other => {
                false
            }
            Self::Network(network) => network.scope.is_none(),
            Self::Vpc => true,
            Self::Range(range) => *range == Range::Private,
        }
    }
}
