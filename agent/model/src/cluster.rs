//! What a cluster feed, live API or file, says: Kubernetes objects trimmed to the fields that
//! matter, as one stream of [`Change`]s.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;
pub use uid::Uid;

mod uid;

/// One step of the stream. A feed may list a kind again at any time (relist, file reread):
/// everything of that kind that was not [`Change::Applied`] between [`Change::ListStarted`] and
/// [`Change::ListDone`] is gone.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A full list of this kind begins. One that breaks off has no [`Change::ListDone`]: the
    /// next [`Change::ListStarted`] begins anew, and until a list is done nothing is gone.
    ListStarted(Kind),
    /// An object exists with these contents: listed, added or modified.
    Applied(Object),
    /// An object is gone.
    Deleted(Kind, Name),
    /// The full list of this kind is complete.
    ListDone(Kind),
}

/// The kinds of objects that the agent reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `v1 Node`
    Node,
    /// `v1 Pod`
    Pod,
    /// `v1 Service`
    Service,
    /// `discovery.k8s.io/v1 EndpointSlice`
    EndpointSlice,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Node, Self::Pod, Self::Service, Self::EndpointSlice];

    /// As Kubernetes writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
        }
    }
}

/// Namespace and name; the namespace is empty for a Node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Namespace, empty for cluster-scoped kinds.
    pub namespace: Arc<str>,
    /// Name within the namespace.
    pub name: Arc<str>,
}

/// A trimmed Kubernetes object.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// See [`Node`].
    Node(Node),
    /// See [`Pod`].
    Pod(Pod),
    /// See [`Service`].
    Service(Service),
    /// See [`EndpointSlice`].
    EndpointSlice(EndpointSlice),
}

impl Object {
    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Node(_) => Kind::Node,
            Self::Pod(_) => Kind::Pod,
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
        }
    }

    /// Its name, as [`Change::Deleted`] would give it.
    pub fn name(&self) -> Name {
        match self {
            Self::Node(node) => Name {
                namespace: "".into(),
                name: Arc::clone(&node.name),
            },
            Self::Pod(pod) => pod.name.clone(),
            Self::Service(service) => service.name.clone(),
            Self::EndpointSlice(slice) => slice.name.clone(),
        }
    }
}

/// A machine of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `metadata.name`
    pub name: Arc<str>,
    /// `status.addresses` of type InternalIP and ExternalIP.
    pub addresses: Vec<IpAddr>,
    /// Label `topology.kubernetes.io/zone`, for example `us-east-2a`.
    pub zone: Option<Arc<str>>,
    /// Label `topology.k8s.aws/zone-id`, for example `use2-az1`.
    pub zone_id: Option<Arc<str>>,
    /// Label `eks.amazonaws.com/compute-type` is `hybrid`: a machine outside of AWS, whatever zone
    /// it is labelled with.
    pub hybrid: bool,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// `metadata.namespace` and `metadata.name`
    pub name: Name,
    /// `metadata.uid`, or the annotation `kubernetes.io/config.hash` of a static pod: tells a pod
    /// from its namesake before or after it, and names its cgroup.
    pub uid: Uid,
    /// `spec.nodeName`, once scheduled.
    pub node: Option<Arc<str>>,
    /// `status.podIPs` (else `status.podIP`); the node's own for a host-network pod.
    pub addresses: Vec<IpAddr>,
    /// `spec.hostNetwork`: the pod shares the node's addresses and has no veth.
    pub host_network: bool,
    /// `status.phase` is Succeeded or Failed: the address has been given back. A terminating
    /// pod is not finished: it may still send.
    pub finished: bool,
    /// The controller that a user would name.
    pub workload: Workload,
    /// Of the VPC CNI's own pod: what it does on its node.
    pub source_nat: Option<Arc<SourceNat>>,
}

/// Which IPv4 packets of pods the VPC CNI sends on from the node's primary address where they leave
/// the VPC: environment of the container `aws-node`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceNat {
    /// `AWS_VPC_K8S_CNI_EXTERNALSNAT` is true: none.
    pub external: bool,
    /// `AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS`: none to these.
    pub excluded: Vec<IpNet>,
}

impl SourceNat {
    /// True where packets to this address get the node's address.
    pub fn translates(&self, to: IpAddr) -> bool {
        !self.external && !self.excluded.iter().any(|range| range.contains(&to))
    }
}

/// The controller behind a pod: Deployment rather than ReplicaSet, CronJob rather than Job, the
/// pod itself where there is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Workload {
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `CronJob`, `Job`, `Pod`, …
    pub kind: Arc<str>,
    /// Name of the controller.
    pub name: Arc<str>,
}

/// A Service: a name for addresses that are nobody's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `metadata.namespace` and `metadata.name`
    pub name: Name,
    /// `spec.clusterIPs` without `None`, `spec.externalIPs` and the addresses of
    /// `status.loadBalancer.ingress` whose `ipMode` is not `Proxy`: every address that kube-proxy
    /// translates.
    pub addresses: Vec<IpAddr>,
}

/// The endpoints of a Service, or a part of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// `metadata.namespace` and `metadata.name`
    pub name: Name,
    /// Label `kubernetes.io/service-name`; the namespace is the slice's own.
    pub service: Option<Arc<str>>,
    /// One entry for each address of each endpoint.
    pub endpoints: Vec<Endpoint>,
}

/// One address behind a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address that traffic goes to.
    pub address: IpAddr,
    /// `conditions.ready`; absent means ready.
    pub ready: bool,
    /// `zone` of the endpoint.
    pub zone: Option<Arc<str>>,
    /// `nodeName` of the endpoint.
    pub node: Option<Arc<str>>,
}

/// The parts of a cluster's feed that can fail each on its own, as users read them.
pub mod part {
    /// `--cluster-file`
    pub const FILE: &str = "cluster file";
    /// The watch of Nodes.
    pub const NODES: &str = "nodes";
    /// The watch of this node's pods.
    pub const OWN_PODS: &str = "pods of this node";
    /// The watch of all other pods.
    pub const OTHER_PODS: &str = "pods of other nodes";
    /// The watch of Services.
    pub const SERVICES: &str = "services";
    /// The watch of EndpointSlices.
    pub const SLICES: &str = "endpoint slices";
    /// All of them; a feed has the first, or the others.
    pub const ALL: [&str; 6] = [FILE, NODES, OWN_PODS, OTHER_PODS, SERVICES, SLICES];
}
