//! Kubernetes objects as they come over the wire, cut down to the fields that are read. Every
//! other field is skipped while decoding, so that a 10 KB pod never exists as one.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use super::{strings::Strings, trim::Refused};
use crate::model::cluster::{Kind, Object};

/// A kind of object that the agent reads.
pub(super) trait Wire: Clone + std::fmt::Debug + DeserializeOwned + Send + 'static {
    /// Which kind.
    const KIND: Kind;
    /// API group, empty for the core group.
    const GROUP: &'static str;
    /// API version within the group.
    const VERSION: &'static str;
    /// As it stands in URLs and in RBAC rules.
    const PLURAL: &'static str;

    /// `metadata`
    fn metadata(&self) -> &Metadata;
    /// The object of the model. Errors: a value that cannot be what Kubernetes says it is.
    fn trim(&self, strings: &mut Strings) -> Result<Object, Refused>;
}

/// Kubernetes means the same by `null` and by a field that is not there.
fn null_is_absent<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// `metadata` of any object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) name: String,
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) namespace: String,
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) uid: String,
    pub(super) resource_version: Option<String>,
    pub(super) creation_timestamp: Option<Time>,
    pub(super) labels: Option<Labels>,
    pub(super) annotations: Option<Annotations>,
    pub(super) owner_references: Option<Vec<Owner>>,
}

/// The labels that are read.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Labels {
    #[serde(rename = "topology.kubernetes.io/zone")]
    pub(super) zone: Option<String>,
    #[serde(rename = "topology.k8s.aws/zone-id")]
    pub(super) zone_id: Option<String>,
    #[serde(rename = "eks.amazonaws.com/compute-type")]
    pub(super) compute_type: Option<String>,
    #[serde(rename = "kubernetes.io/service-name")]
    pub(super) service_name: Option<String>,
    #[serde(rename = "pod-template-hash")]
    pub(super) deployment_hash: Option<String>,
    #[serde(rename = "rollouts-pod-template-hash")]
    pub(super) rollout_hash: Option<String>,
}

/// The annotations that are read.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Annotations {
    #[serde(rename = "kubernetes.io/config.mirror")]
    pub(super) mirror: Option<String>,
}

/// One of `metadata.ownerReferences`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Owner {
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) kind: String,
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) name: String,
    pub(super) controller: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Node {
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) metadata: Metadata,
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) status: NodeStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeStatus {
    pub(super) addresses: Option<Vec<NodeAddress>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeAddress {
    #[serde(rename = "type", deserialize_with = "null_is_absent")]
    pub(super) kind: String,
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) address: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) metadata: Metadata,
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) spec: PodSpec,
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    pub(super) node_name: Option<String>,
    pub(super) host_network: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodStatus {
    pub(super) phase: Option<String>,
    #[serde(rename = "podIP")]
    pub(super) pod_ip: Option<String>,
    #[serde(rename = "podIPs")]
    pub(super) pod_ips: Option<Vec<PodIp>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodIp {
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) ip: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Service {
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) metadata: Metadata,
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) spec: ServiceSpec,
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) status: ServiceStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServiceSpec {
    #[serde(rename = "clusterIP")]
    pub(super) cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs")]
    pub(super) cluster_ips: Option<Vec<String>>,
    #[serde(rename = "externalIPs")]
    pub(super) external_ips: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ServiceStatus {
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) load_balancer: LoadBalancer,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LoadBalancer {
    pub(super) ingress: Option<Vec<Ingress>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Ingress {
    pub(super) ip: Option<String>,
    pub(super) ip_mode: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct EndpointSlice {
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) metadata: Metadata,
    #[serde(deserialize_with = "null_is_absent")]
    pub(super) address_type: String,
    pub(super) endpoints: Option<Vec<Endpoint>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Endpoint {
    pub(super) addresses: Option<Vec<String>>,
    pub(super) conditions: Option<Conditions>,
    pub(super) zone: Option<String>,
    pub(super) node_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Conditions {
    pub(super) ready: Option<bool>,
}
