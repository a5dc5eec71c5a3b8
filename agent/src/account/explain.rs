//! Why an address gets its class: for the debug page and `zonemeter explain`.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    resolve::{Names, Peer},
    scope::Class,
};
use crate::model::{
    cluster::{Name, Workload},
    snapshot::Scope,
};

/// What the agent knows of an address, seen from its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The address asked for.
    pub address: IpAddr,
    /// Who or what has it.
    pub source: Source,
    /// How long that has been known; `None` for networks and ranges.
    pub known_for: Option<Duration>,
    /// What traffic to it is.
    pub scope: Scope,
    /// Its zone; empty where not known.
    pub zone: Arc<str>,
    /// The workload that it is shown as; empty where there is none.
    pub workload: Workload,
    /// Pods that had it in the last minutes, the last one first.
    pub former: Vec<FormerPod>,
}

/// Where the answer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A pod, and the node that it runs on.
    Pod(Name, Option<Arc<str>>),
    /// A node.
    Node(Arc<str>),
    /// A Service.
    Service(Name),
    /// An entry of the networks file: its name and range.
    Network(Arc<str>, String),
    /// A VPC range of the networks file.
    Vpc(String),
    /// A range of the IANA registries, by its use.
    Range(&'static str),
}

/// A pod that had the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerPod {
    /// The pod.
    pub pod: Name,
    /// How long ago it was first known to have the address.
    pub since: Duration,
    /// How long ago it gave the address up.
    pub until: Duration,
}

impl Source {
    /// One word for the kind of source.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pod(..) => "pod",
            Self::Node(_) => "node",
            Self::Service(_) => "service",
            Self::Network(..) => "network",
            Self::Vpc(_) => "vpc",
            Self::Range(_) => "range",
        }
    }
}

/// Explains an address as of now.
pub(crate) fn explain(names: &Names, address: IpAddr, now: Instant) -> Explanation {
    let peer = names.peer(address, now, now);
    let class = Class::of(names, peer);
    let known_for = names
        .book
        .since(address)
        .map(|since| now.saturating_duration_since(since));
    Explanation {
        address,
        source: source(names, peer, address),
        known_for,
        scope: class.scope,
        zone: class.peer_zone,
        workload: class.peer_workload,
        former: former(names, address, now),
    }
}

fn source(names: &Names, peer: Peer<'_>, address: IpAddr) -> Source {
    match peer {
        Peer::Pod(pod) => Source::Pod(pod.object.name.clone(), pod.object.node.clone()),
        Peer::Node(node) => Source::Node(Arc::clone(&node.object.name)),
        Peer::Service(service) | Peer::ServiceIn(service, _) => {
            Source::Service(service.object.name.clone())
        }
        Peer::Network(network) => {
            let range = names
                .networks
                .find(address)
                .map(|(range, _)| range.to_string());
            Source::Network(Arc::clone(&network.name), range.unwrap_or_default())
        }
        Peer::Vpc => {
            let range = names
                .networks
                .vpc_range(address)
                .map(|range| range.to_string());
            Source::Vpc(range.unwrap_or_default())
        }
        Peer::Range(range) => Source::Range(range.name()),
    }
}

fn former(names: &Names, address: IpAddr, now: Instant) -> Vec<FormerPod> {
    let former = names.book.former_pods(address).iter().rev();
    let ago = |instant: Instant| now.saturating_duration_since(instant);
    former
        .map(|past| FormerPod {
            pod: past.tenure.owner.object.name.clone(),
            since: ago(past.tenure.since),
            until: ago(past.until),
        })
        .collect()
}
