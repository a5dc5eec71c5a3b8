//! What the debug listener shows beyond totals: the flows of the last drain with their names,
//! and why an address is what it is.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    cluster::{Name, Workload},
    snapshot::{Scope, Via},
    traffic::{Count, Direction},
};

/// The last drain, resolved. Its numbers are what this drain brought, not totals.
#[derive(Clone, Debug)]
pub struct Recent {
    /// When the drain ended.
    pub ended: SystemTime,
    /// How long the programs wrote to the drained set: divide by it for a rate.
    pub lasted: Duration,
    /// Somebody looked: flows were written down.
    pub recorded: bool,
    /// Every flow of the drain, of pods and of the node itself, in no order; empty where they were
    /// not written down.
    pub flows: Vec<ResolvedFlow>,
    /// Every interface that is counted, in no order.
    pub interfaces: Vec<RecentInterface>,
    /// What the flow map had no room for on any interface, by [`Direction`] code.
    pub overflow: [Count; 2],
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            ended: SystemTime::UNIX_EPOCH,
            lasted: Duration::ZERO,
            recorded: false,
            flows: Vec::new(),
            interfaces: Vec::new(),
            overflow: [Count::ZERO; 2],
        }
    }
}

/// Who holds an address. Shared: the book hands out clones of one `Arc` for each holder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Party {
    /// Namespace of the workload; empty where it has none.
    pub namespace: Arc<str>,
    /// Name of the pod; empty where it is no pod.
    pub pod: Arc<str>,
    /// The workload, Node or Network; empty where not known.
    pub workload: Workload,
    /// Node that it is on; empty where not known.
    pub node: Arc<str>,
    /// Zone; empty where not known.
    pub zone: Arc<str>,
}

/// One direction of one flow with names.
#[derive(Clone, Debug)]
pub struct ResolvedFlow {
    /// Index of the host-side veth; 0 for what the node itself sent or received by an uplink.
    pub interface: u32,
    /// Seen from the local end.
    pub direction: Direction,
    /// The local pod, or who on the node itself; empty names while it is awaited.
    pub local: Arc<Party>,
    /// The local end's address.
    pub local_address: IpAddr,
    /// The local end's port; 0 where folded or absent.
    pub local_port: u16,
    /// The other end; the backend where the local end spoke to a Service.
    pub peer: Arc<Party>,
    /// The other end's address, after a Service address was replaced by the backend's.
    pub peer_address: IpAddr,
    /// The other end's port as the local end sees it; 0 where folded or absent.
    pub peer_port: u16,
    /// There were other ports, too.
    pub other_ports: bool,
    /// The Service by whose address the local end spoke to the peer.
    pub service: Option<Name>,
    /// IP protocol number.
    pub protocol: u8,
    /// What lies between the ends.
    pub scope: Scope,
    /// By what the flow leaves the VPC, where the networks file tells.
    pub via: Via,
    /// Held back: a name is still awaited.
    pub pending: bool,
    /// Bytes and packets of this drain.
    pub count: Count,
}

/// One counted interface and what this drain brought for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentInterface {
    /// Index in the node's network namespace.
    pub index: u32,
    /// Name, for example `eni7f94ce7c295`.
    pub name: Arc<str>,
    /// The pod behind it, once known, and how it was found.
    pub pod: Option<(Name, FoundBy)>,
    /// Its flows of this drain, where they were written down, by [`Direction`] code;
    /// [`Recent::overflow`] is apart.
    pub seen: [Count; 2],
    /// What it carried before counting began, by [`Direction`] code.
    pub before_attach: [Count; 2],
    /// One line for a direction that cannot be counted.
    pub lacks: Option<Arc<str>>,
}

/// What told which pod is behind an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FoundBy {
    /// The interface's name, which holds a hash of the pod's.
    Name,
    /// Another interface of the pod: both lead into the same network namespace.
    NetworkNamespace,
    /// The node's route to the pod's address.
    Route,
    /// The pod's address, seen behind the interface.
    Address,
}

impl FoundBy {
    /// As users read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::NetworkNamespace => "network_namespace",
            Self::Route => "route",
            Self::Address => "address",
        }
    }
}

/// Why an address gets its scope, seen from this node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Explanation {
    /// The address asked for.
    pub address: IpAddr,
    /// What a flow of a local pod with this address would be now.
    pub scope: Scope,
    /// By what it would leave the VPC from this node's own subnet, or from the pod's where the node
    /// keeps the pod's address.
    pub via: Via,
    /// The rule that decided, in words.
    pub rule: String,
    /// Who holds it now.
    pub party: Party,
    /// Everything that says something about the address, the deciding one first.
    pub evidence: Vec<Evidence>,
}

/// What people have in hand when they ask why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// An address.
    Address(IpAddr),
    /// A pod, workload, Service, node, network or unit of systemd: `namespace/name`, or the name
    /// alone.
    Name(String),
}

/// The answer to [`Asked`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Name of the node whose agent answers.
    pub node: Arc<str>,
    /// Its zone; empty where not known.
    pub zone: Arc<str>,
    /// What has that name, sorted; one without a kind for an address.
    pub matches: Vec<Match>,
    /// How many have that name; `matches` holds the first ones.
    pub total: usize,
}

/// One thing that was meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    /// `Pod`, `Service`, `Node`, `Network`, or the kind of a workload (`Unit` and `Kernel` for the
    /// node itself); empty for an address.
    pub kind: Arc<str>,
    /// Its namespace; empty where it has none.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// How many addresses it has.
    pub addresses: usize,
    /// Its first addresses, explained.
    pub explained: Vec<Explanation>,
}

/// One source's word about an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Evidence {
    /// Where it comes from.
    pub source: Source,
    /// What it says, in one line, for example `shop/client-0 on node a, zone us-east-2a`.
    pub says: String,
    /// How long ago it was learnt; `None` for what is built in.
    pub age: Option<Duration>,
    /// The scope and the holder come from it. Several may decide together: a pod its node's zone.
    pub decides: bool,
}

/// Where knowledge about an address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// `status.podIPs` of a Pod.
    Pod,
    /// `status.addresses` of a Node.
    Node,
    /// An address of a Service.
    Service,
    /// An endpoint of an EndpointSlice.
    EndpointSlice,
    /// A range of the networks file, its VPC ranges included.
    NetworksFile,
    /// A special-purpose range of the IANA registries.
    SpecialRange,
    /// A cgroup of this node.
    Cgroup,
    /// Nothing else matched.
    Default,
}

impl Source {
    /// As users read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Node => "Node",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::NetworksFile => "networks_file",
            Self::SpecialRange => "special_range",
            Self::Cgroup => "cgroup",
            Self::Default => "default",
        }
    }
}
