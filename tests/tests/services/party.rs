//! Who speaks with whom in a path, and how metrics call them.

use std::net::{IpAddr, SocketAddr};

use zonemeter_lab::{Count, Family, Lab, Namespace, Record, Truth, Way, count};

const TCP: u8 = 6;

/// One end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    /// A pod of the namespace `default`.
    Pod(&'static str),
    /// A node, or a pod of its network.
    Node(&'static str),
    /// A node at one address of its own.
    NodeAt(&'static str, IpAddr),
    /// A host that is no part of the cluster.
    Outside(IpAddr),
}

impl Party {
    pub(crate) fn namespace(self, lab: &Lab) -> Namespace {
        match self {
            Self::Pod(name) => pod(lab, name).namespace().clone(),
            Self::Node(name) | Self::NodeAt(name, _) => lab.node(name).unwrap().namespace().clone(),
            Self::Outside(_) => lab.internet().clone(),
        }
    }

    /// Where the party's sockets stand: at one address where it has several to choose from.
    pub(crate) fn socket(self, port: u16) -> SocketAddr {
        let any = std::net::Ipv6Addr::UNSPECIFIED;
        match self {
            Self::NodeAt(_, address) | Self::Outside(address) => SocketAddr::new(address, port),
            Self::Pod(_) | Self::Node(_) => SocketAddr::new(any.into(), port),
        }
    }

    pub(crate) fn address(self, lab: &Lab, family: Family) -> IpAddr {
        match self {
            Self::Pod(name) => pod(lab, name).address(),
            Self::Node(name) if family.has_v4() => lab.node(name).unwrap().address(),
            Self::Node(name) => lab.node(name).unwrap().address_v6(),
            Self::NodeAt(_, address) | Self::Outside(address) => address,
        }
    }

    /// TCP that has come to the party over a wire; `None` where nobody counts.
    pub(crate) fn tcp_arrived(self, lab: &Lab) -> Option<Count> {
        match self {
            Self::Pod(name) => {
                let truth = lab.pod_truth(&pod(lab, name)).unwrap();
                Some(tcp_arrived(&truth, |_| true))
            }
            Self::Outside(host) => {
                let truth = lab.uplink_truth().unwrap();
                Some(tcp_arrived(&truth, |record| record.destination == host))
            }
            Self::Node(_) | Self::NodeAt(..) => None,
        }
    }
}

/// TCP that has arrived, of the records that are wanted.
pub(crate) fn tcp_arrived(truth: &Truth, wanted: impl Fn(&Record) -> bool) -> Count {
    let tcp = truth.pairs.iter().filter(|record| record.protocol == TCP);
    count(tcp.filter(|record| record.way == Way::Arrived && wanted(record)))
}

pub(crate) fn pod(lab: &Lab, name: &str) -> zonemeter_lab::Pod {
    lab.pod(&format!("default/{name}")).unwrap()
}

/// Whom the metrics must name at one end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Pod(&'static str),
    Node(&'static str),
    /// The network of a zone's subnet.
    Subnet(zonemeter_lab::Zone),
    Internet,
    LinkLocal,
    /// Only the Service's own name.
    Service(&'static str),
    /// A Service by its name, and by the zone of all its endpoints.
    ServiceIn(&'static str, zonemeter_lab::Zone),
}

/// The labels that a peer gets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Labels {
    pub(crate) scope: String,
    pub(crate) peer_zone: String,
    pub(crate) peer_kind: String,
    pub(crate) peer: String,
}

impl Named {
    /// Labels at a pod of the node `home`, by where the plan put everybody.
    pub(crate) fn labels(self, lab: &Lab, home: &str) -> Labels {
        let home = lab.node(home).unwrap();
        let at_node = |node: &zonemeter_lab::Node| {
            let scope = match (node.name() == home.name(), node.zone() == home.zone()) {
                (true, _) => "intra_node",
                (false, true) => "intra_zone",
                (false, false) => "cross_zone",
            };
            (scope, node.zone().name())
        };
        let in_zone = |zone: zonemeter_lab::Zone| {
            let same = zone == home.zone();
            (if same { "intra_zone" } else { "cross_zone" }, zone.name())
        };
        let ((scope, zone), kind, peer) = match self {
            Self::Pod(name) => (at_node(pod(lab, name).node()), "Pod", name.to_owned()),
            Self::Node(name) => {
                let node = lab.node(name).unwrap();
                (at_node(&node), "Node", node.object_name())
            }
            Self::Subnet(zone) => {
                let letter = zone.name().chars().last().unwrap();
                (in_zone(zone), "Network", format!("private-{letter}"))
            }
            Self::ServiceIn(name, zone) => (in_zone(zone), "Service", name.to_owned()),
            Self::Internet => (("internet", ""), "", String::new()),
            Self::LinkLocal => (("link_local", ""), "", String::new()),
            Self::Service(name) => (("unresolved_service", ""), "Service", name.to_owned()),
        };
        Labels {
            scope: scope.to_owned(),
            peer_zone: zone.to_owned(),
            peer_kind: kind.to_owned(),
            peer,
        }
    }
}
