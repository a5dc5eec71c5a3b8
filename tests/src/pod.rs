//! Pods that stand.

use std::{net::IpAddr, sync::Arc};

use anyhow::{Context, Result};

use crate::{
    interface::{InterfaceCount, interface_count},
    namespace::Namespace,
    node::Node,
    plan::PodPlan,
};

/// A pod of a standing lab. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pod(Arc<PodInfo>);

/// What the lab knows about a pod.
#[derive(Clone, Debug)]
pub(crate) struct PodInfo {
    pub(crate) plan: PodPlan,
    /// Counts the lab's pods from 0 and is never used twice.
    pub(crate) number: usize,
    pub(crate) node: Node,
    pub(crate) namespace: Namespace,
    pub(crate) veth: String,
    pub(crate) addresses: Vec<IpAddr>,
}

impl Pod {
    pub(crate) fn new(info: PodInfo) -> Self {
        Self(Arc::new(info))
    }

    pub(crate) fn info(&self) -> &PodInfo {
        &self.0
    }

    /// The pod's name.
    pub fn name(&self) -> &str {
        &self.0.plan.name
    }

    /// The pod's Kubernetes namespace.
    pub fn kubernetes_namespace(&self) -> &str {
        &self.0.plan.namespace
    }

    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.0.plan.namespace, self.0.plan.name)
    }

    /// The node that runs the pod.
    pub fn node(&self) -> &Node {
        &self.0.node
    }

    /// The pod's network namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// The host's end of the pod's veth.
    pub fn veth(&self) -> &str {
        &self.0.veth
    }

    /// The pod's first address.
    pub fn address(&self) -> IpAddr {
        self.0.addresses[0]
    }

    /// Every address of the pod.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.0.addresses
    }

    /// The pod's IPv4 address.
    pub fn v4(&self) -> Result<IpAddr> {
        self.of_family(IpAddr::is_ipv4)
            .with_context(|| format!("{} has no IPv4", self.key()))
    }

    /// The pod's IPv6 address.
    pub fn v6(&self) -> Result<IpAddr> {
        self.of_family(IpAddr::is_ipv6)
            .with_context(|| format!("{} has no IPv6", self.key()))
    }

    /// What the kernel counted on the host's end of the pod's veth: `received` is what the pod
    /// sent. See [`Node::interface_count`].
    pub fn interface_count(&self) -> Result<InterfaceCount> {
        interface_count(self.0.node.namespace(), &self.0.veth)
    }

    fn of_family(&self, wanted: fn(&IpAddr) -> bool) -> Option<IpAddr> {
        self.0.addresses.iter().copied().find(wanted)
    }
}
