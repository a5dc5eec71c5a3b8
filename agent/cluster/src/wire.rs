//! Kubernetes objects as they come over the wire, cut down to the fields that are read. Every
//! other field is skipped while decoding, so that a 10 KB pod never exists as one.

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, value::MapAccessDeserializer},
};
use zonemeter_model::cluster::{Kind, Object};
use zonemeter_model::strings::Strings;

use super::{
    field::{Field, Part, Unread},
    trim::Nameless,
};

/// A kind of object that the agent reads.
pub(super) trait Wire: Clone + std::fmt::Debug + Default + Part + Send + 'static {
    /// Which kind.
    const KIND: Kind;
    /// API group, empty for the core group.
    const GROUP: &'static str;
    /// API version within the group.
    const VERSION: &'static str;
    /// As it stands in URLs and in RBAC rules.
    const PLURAL: &'static str;

    /// `metadata`
    fn metadata(&self) -> &Field<Metadata>;
    /// The object of the model, without what cannot be read. Errors: nothing tells which object
    /// it is.
    fn trim(&self, strings: &mut Strings, unread: &mut Unread) -> Result<Object, Nameless>;
}

/// Decodes an object; what is no mapping is an object without a name.
pub(super) fn object<'de, W: Wire, D: Deserializer<'de>>(deserializer: D) -> Result<W, D::Error> {
    match Field::deserialize(deserializer)? {
        Field::Read(object) => Ok(object),
        Field::Absent | Field::Unreadable(_) => Ok(W::default()),
    }
}

/// Structures stand in mappings.
macro_rules! structures {
    ($($name:ident),+ $(,)?) => {$(
        impl Part for $name {
            const WANTED: &'static str = "a mapping";

            fn mapping<'de, A: MapAccess<'de>>(mapping: A) -> Result<Option<Self>, A::Error> {
                Self::deserialize(MapAccessDeserializer::new(mapping)).map(Some)
            }
        }
    )+};
}

structures!(
    Metadata,
    Labels,
    Annotations,
    Owner,
    Node,
    NodeStatus,
    NodeAddress,
    Pod,
    PodSpec,
    Container,
    Variable,
    PodStatus,
    PodIp,
    Service,
    ServiceSpec,
    ServiceStatus,
    LoadBalancer,
    Ingress,
    EndpointSlice,
    Endpoint,
    Conditions,
);

/// A list of which each element is read for itself.
type Many<T> = Field<Vec<Field<T>>>;
type Text = Field<String>;

/// `metadata` of any object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) name: Text,
    pub(super) namespace: Text,
    pub(super) uid: Text,
    pub(super) resource_version: Text,
    pub(super) creation_timestamp: Text,
    pub(super) labels: Field<Labels>,
    pub(super) annotations: Field<Annotations>,
    pub(super) owner_references: Many<Owner>,
}

/// The labels that are read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Labels {
    #[serde(rename = "topology.kubernetes.io/zone")]
    pub(super) zone: Text,
    #[serde(rename = "topology.k8s.aws/zone-id")]
    pub(super) zone_id: Text,
    #[serde(rename = "eks.amazonaws.com/compute-type")]
    pub(super) compute_type: Text,
    #[serde(rename = "kubernetes.io/service-name")]
    pub(super) service_name: Text,
    #[serde(rename = "pod-template-hash")]
    pub(super) deployment_hash: Text,
    #[serde(rename = "rollouts-pod-template-hash")]
    pub(super) rollout_hash: Text,
}

/// The annotations that are read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Annotations {
    #[serde(rename = "kubernetes.io/config.mirror")]
    pub(super) mirror: Text,
    #[serde(rename = "kubernetes.io/config.hash")]
    pub(super) config_hash: Text,
    #[serde(rename = "openshift.io/deployment-config.name")]
    pub(super) deployment_config: Text,
}

/// One of `metadata.ownerReferences`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Owner {
    pub(super) kind: Text,
    pub(super) name: Text,
    pub(super) controller: Field<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Node {
    pub(super) metadata: Field<Metadata>,
    pub(super) status: Field<NodeStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeStatus {
    pub(super) addresses: Many<NodeAddress>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeAddress {
    #[serde(rename = "type")]
    pub(super) kind: Text,
    pub(super) address: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    pub(super) metadata: Field<Metadata>,
    pub(super) spec: Field<PodSpec>,
    pub(super) status: Field<PodStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    pub(super) node_name: Text,
    pub(super) host_network: Field<bool>,
    pub(super) containers: Many<Container>,
}

/// One of `spec.containers`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Container {
    pub(super) name: Text,
    pub(super) env: Many<Variable>,
}

/// One of `spec.containers.env`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Variable {
    pub(super) name: Text,
    pub(super) value: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodStatus {
    pub(super) phase: Text,
    #[serde(rename = "podIP")]
    pub(super) pod_ip: Text,
    #[serde(rename = "podIPs")]
    pub(super) pod_ips: Many<PodIp>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodIp {
    pub(super) ip: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Service {
    pub(super) metadata: Field<Metadata>,
    pub(super) spec: Field<ServiceSpec>,
    pub(super) status: Field<ServiceStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServiceSpec {
    #[serde(rename = "clusterIP")]
    pub(super) cluster_ip: Text,
    #[serde(rename = "clusterIPs")]
    pub(super) cluster_ips: Many<String>,
    #[serde(rename = "externalIPs")]
    pub(super) external_ips: Many<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ServiceStatus {
    pub(super) load_balancer: Field<LoadBalancer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LoadBalancer {
    pub(super) ingress: Many<Ingress>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Ingress {
    pub(super) ip: Text,
    pub(super) ip_mode: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct EndpointSlice {
    pub(super) metadata: Field<Metadata>,
    pub(super) address_type: Text,
    pub(super) endpoints: Many<Endpoint>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Endpoint {
    pub(super) addresses: Many<String>,
    pub(super) conditions: Field<Conditions>,
    pub(super) zone: Text,
    pub(super) node_name: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Conditions {
    pub(super) ready: Field<bool>,
}
