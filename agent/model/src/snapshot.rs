//! What one scrape shows: every traffic number of one drain, so that sums hold within a scrape.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{
    cluster::Workload,
    traffic::{Class, Count, Direction},
};

/// All traffic metrics after one drain. Conservation, for each direction:
/// Σ `pods` + Σ `unattributed` + `pending` + `retired` = `interface`.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// True until the totals that an earlier process kept have been read: nothing may be shown.
    pub restoring: bool,
    /// What time this process's own counts cover; `None` before its first drain.
    pub covered: Option<Covered>,
    /// `zonemeter_pod_*`, sorted by labels.
    pub pods: Vec<PodSeries>,
    /// `zonemeter_workload_bytes_total`, sorted by labels.
    pub workloads: Vec<WorkloadSeries>,
    /// `zonemeter_host_*`, sorted by labels.
    pub hosts: Vec<HostSeries>,
    /// `zonemeter_uplink_*` by [`Direction`] and [`Class`] code. Conservation: what was sent as
    /// `host` and `kernel`, and what was received as `host`, is Σ `hosts` + `hosts_retired`.
    pub uplinks: [[Count; Class::ALL.len()]; 2],
    /// All that came in by uplinks: `kernel` of `uplinks` is the highest that its difference to the
    /// other classes ever was.
    pub uplink_received: Count,
    /// `zonemeter_host_retired_*` by [`Direction`] code.
    pub hosts_retired: [Count; 2],
    /// `zonemeter_interface_*` by [`Direction`] code.
    pub interface: [Count; 2],
    /// `zonemeter_unattributed_*`: every reason in both directions, also at 0.
    pub unattributed: Vec<(Reason, [Count; 2])>,
    /// What this process added to `unattributed`, by [`Direction`] code.
    pub own_unattributed: [Count; 2],
    /// `zonemeter_pending_*` by [`Direction`] code.
    pub pending: [Count; 2],
    /// `zonemeter_retired_*` by [`Direction`] code.
    pub retired: [Count; 2],
    /// What interfaces carried before counting began, by [`Direction`] code.
    pub before_attach: [Count; 2],
    /// `zonemeter_zone_info`: this agent's node, once it is known.
    pub zone: Option<ZoneInfo>,
    /// `zonemeter_series_folded_total`: increments that went to `other` since the start.
    pub series_folded: u64,
    /// `zonemeter_flow_overflow_*_total`: what found no room in the flow map, by [`Direction`] code,
    /// since the process started. A part of the other sums.
    pub flow_overflow: [Count; 2],
    /// Drains in which flows and overflow did not make up what the interfaces saw: a fault of the
    /// programs or of the drain, never of the traffic. Stays 0.
    pub drains_that_disagreed: u64,
    /// `zonemeter_service_*_total`: traffic to Service addresses, in the order of
    /// [`BackendMethod::ALL`](super::traffic::BackendMethod::ALL).
    pub backends: [Count; 4],
    /// `zonemeter_cluster_objects` by kind, in the order of [`super::cluster::Kind::ALL`].
    pub cluster_objects: [u64; 4],
}

/// The time that the counts of one process cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// When the interval of its first drain began.
    pub since: Instant,
    /// When the last drain ended.
    pub until: Instant,
    /// The same by the clock on the wall.
    pub ended: SystemTime,
}

/// `zonemeter_zone_info`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneInfo {
    /// Name of the Node object.
    pub node: Arc<str>,
    /// Zone name; empty where the node has no label.
    pub zone: Arc<str>,
    /// Zone id; empty where the node has no label.
    pub zone_id: Arc<str>,
}

/// Labels of the pod family.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodLabels {
    /// Namespace of the local pod, `other` past the ceiling.
    pub namespace: Arc<str>,
    /// Name of the local pod, `other` past the ceiling.
    pub pod: Arc<str>,
    /// Zone of the local pod: its node's.
    pub zone: Arc<str>,
    /// Seen from the local pod.
    pub direction: Direction,
    /// What lies between the ends.
    pub scope: Scope,
    /// Zone of the other end, or of the NAT gateway in between; empty where not known.
    pub peer_zone: Arc<str>,
    /// By what it leaves the VPC, where the networks file tells.
    pub via: Via,
}

/// One series of the pod family: bytes and packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSeries {
    /// Labels.
    pub labels: PodLabels,
    /// Total since the series began.
    pub count: Count,
    /// When the series began: the OpenMetrics created timestamp.
    pub created: SystemTime,
}

/// Labels of the workload family.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkloadLabels {
    /// Namespace of the local workload.
    pub namespace: Arc<str>,
    /// The local workload.
    pub workload: Workload,
    /// Zone of the local pod: its node's.
    pub zone: Arc<str>,
    /// Seen from the local pod.
    pub direction: Direction,
    /// What lies between the ends.
    pub scope: Scope,
    /// Namespace of the other end; empty where it has none.
    pub peer_namespace: Arc<str>,
    /// The other end's workload, `name` of a network, a Node, `other` past the ceiling; empty
    /// where not known.
    pub peer_workload: Workload,
    /// Zone of the other end, or of the NAT gateway in between; empty where not known.
    pub peer_zone: Arc<str>,
    /// By what it leaves the VPC, where the networks file tells.
    pub via: Via,
}

/// One series of the workload family: it shows bytes only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadSeries {
    /// Labels.
    pub labels: WorkloadLabels,
    /// Total since the series began.
    pub bytes: u64,
    /// What this process counted of it, and the packets that the family does not show.
    pub own: Count,
    /// When the series began: the OpenMetrics created timestamp.
    pub created: SystemTime,
}

/// Whose bytes of the node itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostKind {
    /// A pod of the host's network.
    Pod,
    /// A host process, by its unit of systemd.
    Unit,
    /// The kernel itself.
    Kernel,
}

impl HostKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Pod, Self::Unit, Self::Kernel];

    /// The `kind` label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Unit => "unit",
            Self::Kernel => "kernel",
        }
    }
}

/// Who on the node it is that sends and receives by an uplink.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostParty {
    /// What it is.
    pub kind: HostKind,
    /// Namespace of the pod; empty for others.
    pub namespace: Arc<str>,
    /// Name of the pod; empty for others.
    pub pod: Arc<str>,
    /// The pod's workload, or the unit under the kind `Unit`; empty for the kernel.
    pub workload: Workload,
}

impl HostParty {
    /// The workload as an end of a pair: the kernel, which has none among the labels, is one there.
    pub fn as_end(&self) -> Workload {
        match self.kind {
            HostKind::Pod | HostKind::Unit => self.workload.clone(),
            HostKind::Kernel => Workload {
                kind: "Kernel".into(),
                name: "kernel".into(),
            },
        }
    }
}

/// Labels of the host family.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostLabels {
    /// Who on the node.
    pub party: HostParty,
    /// Zone of the node.
    pub zone: Arc<str>,
    /// Seen from the node.
    pub direction: Direction,
    /// What lies between the ends.
    pub scope: Scope,
    /// Namespace of the other end; empty where it has none.
    pub peer_namespace: Arc<str>,
    /// The other end's workload, as in [`WorkloadLabels`].
    pub peer_workload: Workload,
    /// Zone of the other end, or of the NAT gateway in between; empty where not known.
    pub peer_zone: Arc<str>,
    /// By what it leaves the VPC, where the networks file tells.
    pub via: Via,
}

/// One series of the host family: bytes and packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSeries {
    /// Labels.
    pub labels: HostLabels,
    /// Total since the series began.
    pub count: Count,
    /// What this process counted of it.
    pub own: Count,
    /// When the series began: the OpenMetrics created timestamp.
    pub created: SystemTime,
}

/// What lies between a pod and its peer. One function decides it (`account::scope`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The peer is on the pod's own node, the node itself included.
    IntraNode,
    /// Another node or a known subnet in the same zone.
    IntraZone,
    /// Another node or a known subnet in another zone: AWS bills both ends.
    CrossZone,
    /// An AWS region that is not this node's: AWS bills the sender.
    CrossRegion,
    /// In the VPC, zone not known.
    Vpc,
    /// Private, outside the VPC.
    Peered,
    /// A range of an AWS service, by the networks file.
    AwsService,
    /// Public.
    Internet,
    /// Link-local: instance metadata, VPC DNS, multicast; never leaves the VPC's router.
    LinkLocal,
    /// A Service address whose backend could not be found.
    UnresolvedService,
    /// None of these with certainty.
    Unknown,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 11] = [
        Self::IntraNode,
        Self::IntraZone,
        Self::CrossZone,
        Self::CrossRegion,
        Self::Vpc,
        Self::Peered,
        Self::AwsService,
        Self::Internet,
        Self::LinkLocal,
        Self::UnresolvedService,
        Self::Unknown,
    ];

    /// The `scope` label.
    pub fn name(self) -> &'static str {
        match self {
            Self::IntraNode => "intra_node",
            Self::IntraZone => "intra_zone",
            Self::CrossZone => "cross_zone",
            Self::CrossRegion => "cross_region",
            Self::Vpc => "vpc",
            Self::Peered => "peered",
            Self::AwsService => "aws_service",
            Self::Internet => "internet",
            Self::LinkLocal => "link_local",
            Self::UnresolvedService => "unresolved_service",
            Self::Unknown => "unknown",
        }
    }
}

/// By what traffic leaves the VPC. Known for public addresses from the route table that it obeys,
/// and for private ones outside of the VPC from their entry in the networks file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Via {
    /// Not known, or it does not leave the VPC.
    #[default]
    Unset,
    /// A NAT gateway: AWS bills each byte that it processes, both ways.
    Nat,
    /// The internet gateway itself: the packets' source has a public address.
    Igw,
    /// A gateway endpoint, as S3 and DynamoDB have: free.
    GatewayEndpoint,
    /// An interface endpoint: AWS bills each byte that it processes, both ways.
    InterfaceEndpoint,
    /// A transit gateway.
    Tgw,
    /// A firewall or another appliance behind an endpoint.
    Firewall,
    /// An egress-only internet gateway: IPv6 out of a private subnet, without address translation.
    EgressOnly,
}

impl Via {
    /// All that a label may say.
    pub const ALL: [Self; 8] = [
        Self::Unset,
        Self::Nat,
        Self::Igw,
        Self::GatewayEndpoint,
        Self::InterfaceEndpoint,
        Self::Tgw,
        Self::Firewall,
        Self::EgressOnly,
    ];

    /// The `via` label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unset => "",
            Self::Nat => "nat",
            Self::Igw => "igw",
            Self::GatewayEndpoint => "gateway_endpoint",
            Self::InterfaceEndpoint => "interface_endpoint",
            Self::Tgw => "tgw",
            Self::Firewall => "firewall",
            Self::EgressOnly => "egress_only",
        }
    }
}

/// Why bytes are for good without a pod or a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Neither the flow map nor the map of what finds no room there had room: nothing tells the
    /// interface.
    MapFull,
    /// No pod was ever found for the interface.
    UnknownPod,
    /// Seen on the interface, but in no flow: see [`Snapshot::drains_that_disagreed`].
    NoDetail,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::MapFull, Self::UnknownPod, Self::NoDetail];

    /// The `reason` label.
    pub fn name(self) -> &'static str {
        match self {
            Self::MapFull => "map_full",
            Self::UnknownPod => "unknown_pod",
            Self::NoDetail => "no_detail",
        }
    }
}

/// The `direction` label.
pub fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Transmit => "transmit",
        Direction::Receive => "receive",
    }
}
