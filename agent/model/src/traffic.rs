//! What a drain of the kernel maps brings: numbers by interface index and address, nothing
//! resolved.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Instant};

pub use zonemeter_common::{Class, Count, Direction, SkipReason};

/// Everything that the kernel counted between two switches of the map sets. For each direction the
/// sum over `flows`, `overflow` and `unplaced` equals `seen`, exactly.
#[derive(Clone, Debug)]
pub struct Drain {
    /// Tells the set of kernel maps from any other; epochs are counted within one.
    pub instance: u64,
    /// Number of this drain, from the kernel's control map: it goes up over restarts.
    pub epoch: u64,
    /// When the programs began to write to the set.
    pub from: Instant,
    /// When no program could write to the set any more.
    pub until: Instant,
    /// Counts by flow, in no order.
    pub flows: Vec<Flow>,
    /// All IP traffic by [`Direction`] code, counted apart from the flow maps by the kernel.
    pub seen: [Count; 2],
    /// The part of `seen` that found no room in the flow map, by interface and direction.
    pub overflow: Vec<Overflow>,
    /// The part of `seen` that found no room among these either, by [`Direction`] code.
    pub unplaced: [Count; 2],
    /// What passed the uplinks.
    pub host: HostDrain,
}

/// What passed the uplinks between two switches: all of it by class, the node's own by flow. The flows
/// of one direction and `unplaced` make up the classes `host` and `kernel` of `sent`, and
/// `received_by_sockets`, exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostDrain {
    /// Counts by flow, in no order.
    pub flows: Vec<HostFlow>,
    /// What left, by [`Class`] code.
    pub sent: [Count; 4],
    /// All that came in. What of it was received is counted later, so that at any moment the two
    /// below are at least what they are of this.
    pub received: Count,
    /// What pods received that had come in by an uplink.
    pub received_by_pods: Count,
    /// What sockets of the node received that had come in by an uplink.
    pub received_by_sockets: Count,
    /// What found no room among the flows, by [`Direction`] code.
    pub unplaced: [Count; 2],
}

impl HostDrain {
    /// True where nothing passed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One flow of a socket of the node itself, or of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFlow {
    /// The cgroup of the socket; 0 for the kernel.
    pub cgroup: u64,
    /// Addresses, ports and counts; no interface (0).
    pub flow: Flow,
}

/// A cgroup of the node that came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupChange {
    /// It is there: its id, and its path below the root of all.
    Present(u64, Arc<str>),
    /// It is gone; a drain may still bring flows of its sockets.
    Gone(u64),
}

/// What an interface carried in one direction beyond the flows that the map had room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// Index of the host-side veth.
    pub interface: u32,
    /// Seen from the pod.
    pub direction: Direction,
    /// Bytes and packets of this drain.
    pub count: Count,
}

impl Drain {
    /// What found no room in the flow map, whoever's it is, by [`Direction`] code.
    pub fn overflowed(&self) -> [Count; 2] {
        let mut sum = self.unplaced;
        for overflow in &self.overflow {
            sum[overflow.direction as usize] += overflow.count;
        }
        sum
    }
}

/// One flow as one veth saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Index of the host-side veth.
    pub interface: u32,
    /// Seen from the pod.
    pub direction: Direction,
    /// The pod's address.
    pub local: IpAddr,
    /// The other end as this veth saw it: a Service address is still one here.
    pub peer: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// The pod's port; 0 where folded or absent.
    pub local_port: u16,
    /// The other end's port; 0 where folded or absent.
    pub peer_port: u16,
    /// Between the same ends there were packets with other ports, too: those of the first packet
    /// stand for all.
    pub other_ports: bool,
    /// Whom conntrack says the other end really is, where the node translates `peer`: the
    /// backend behind a Service address, the client behind the node's own.
    pub real_peer: Option<RealPeer>,
    /// Bytes and packets of this drain.
    pub count: Count,
}

/// The other end behind a translated address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealPeer {
    /// Its own address.
    pub address: IpAddr,
    /// Its own port.
    pub port: u16,
    /// How it was found.
    pub method: BackendMethod,
}

/// The addresses behind which the node puts somebody else: there conntrack must name the other
/// end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translated {
    /// The node's own: NodePorts, and masqueraded connections.
    pub node: BTreeSet<IpAddr>,
    /// Those of Services.
    pub services: BTreeSet<IpAddr>,
}

/// Ways to find the other end behind a translated address, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BackendMethod {
    /// The connection that a packet to the pod carried.
    Packet,
    /// The kernel's connection table, asked for this flow.
    Table,
    /// The Service's ready endpoints, where all lie in one zone: that zone, no pod.
    Endpoints,
    /// None of these: the Service, as it is.
    None,
}

impl BackendMethod {
    /// All, in the order in which they are tried.
    pub const ALL: [Self; 4] = [Self::Packet, Self::Table, Self::Endpoints, Self::None];

    /// Those that find something.
    pub const WAYS: [Self; 3] = [Self::Packet, Self::Table, Self::Endpoints];

    /// The `method` label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Packet => "packet",
            Self::Table => "conntrack_table",
            Self::Endpoints => "endpoint_slices",
            Self::None => "none",
        }
    }
}

/// Way in which the programs hang on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachMode {
    /// A TCX link at the head of the chain: Linux 6.6 and newer.
    Tcx,
    /// A filter of the clsact qdisc: every kernel.
    Tc,
}

impl AttachMode {
    /// All modes.
    pub const ALL: [Self; 2] = [Self::Tcx, Self::Tc];

    /// The `mode` label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Tc => "tc",
        }
    }
}

/// Why bytes that an interface carried are in no metric of traffic, where the agent is the cause
/// or let it go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missed {
    /// The agent took its program off to put it in front of another one.
    Reattach,
    /// Another process took the program off, from when this was seen until it was put back.
    Detached,
    /// The interface went before the agent could attach to it.
    NotAttached,
}

impl Missed {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::Reattach, Self::Detached, Self::NotAttached];

    /// The `reason` label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reattach => "reattach",
            Self::Detached => "detached",
            Self::NotAttached => "not_attached",
        }
    }
}

/// A veth that is counted, or was: announced before its first flow, withdrawn after its last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfaceChange {
    /// Counting on this interface has begun, or goes on and is described anew.
    Attached(Interface),
    /// The node sends what is for this address to the interface, and for no other one with it.
    Routed(u32, IpAddr),
    /// It no longer does.
    Unrouted(u32, IpAddr),
    /// The interface is gone; a drain will still bring its last flows.
    Left(u32),
    /// The interface is gone and a drain has brought its last flows.
    Gone(u32),
}

/// A host-side veth of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Index in the node's network namespace; never used twice while the node runs.
    pub index: u32,
    /// Name, for example `eni7f94ce7c295`: `eni` and 11 hex digits of sha1(`namespace.pod`).
    pub name: Arc<str>,
    /// The kernel's id for the network namespace of the pod's end: the same for all veths of a
    /// pod, and given to another one when all of them have left.
    pub peer_namespace: Option<i32>,
    /// What it carried before counting began, by [`Direction`] code, by its own counters (so
    /// super-packets count as one, 14 bytes of Ethernet header taken off each).
    pub before_attach: [Count; 2],
    /// One line for a direction that cannot be counted.
    pub lacks: Option<Arc<str>>,
}
