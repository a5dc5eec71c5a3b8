//! Pods that stand.

use std::{net::IpAddr, sync::Arc};

use anyhow::{Context, Result};

use crate::{
    interface::{InterfaceCount, interface_count},
    names::{egress_veth, host_veth},
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
    /// As the API has them.
    pub(crate) addresses: Vec<IpAddr>,
    /// The veths beside the first, which the API knows nothing of.
    pub(crate) second_veths: Vec<SecondVeth>,
}

/// A veth of a pod beside its first.
#[derive(Clone, Debug)]
pub(crate) struct SecondVeth {
    /// Its name in the pod.
    pub(crate) inside: &'static str,
    /// The host's end.
    pub(crate) veth: String,
    pub(crate) address: IpAddr,
    /// Of its two ends' hardware addresses, with the one after it.
    pub(crate) mac_kind: u8,
}

impl SecondVeth {
    /// IPv4 of a pod with IPv6 only, to an address of the node's choice.
    pub(crate) fn egress(namespace: &str, pod: &str, address: IpAddr) -> Self {
        Self {
            inside: "v4if0",
            veth: egress_veth(namespace, pod),
            address,
            mac_kind: 0x12,
        }
    }

    /// A second NIC.
    pub(crate) fn nic(namespace: &str, pod: &str, address: IpAddr) -> Self {
        Self {
            inside: "mNicIf1",
            veth: host_veth(namespace, &format!("{pod}.1")),
            address,
            mac_kind: 0x14,
        }
    }

    pub(crate) fn is_egress(&self) -> bool {
        self.inside == "v4if0"
    }
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

    /// The addresses of its second veths, in the order of the plan's words.
    pub fn second_addresses(&self) -> Vec<IpAddr> {
        let second = self.0.second_veths.iter();
        second.map(|veth| veth.address).collect()
    }

    /// The host's ends of its second veths.
    pub fn second_veths(&self) -> Vec<&str> {
        let second = self.0.second_veths.iter();
        second.map(|veth| veth.veth.as_str()).collect()
    }

    /// Every address that the pod sends from.
    pub(crate) fn every_address(&self) -> Vec<IpAddr> {
        [self.addresses(), &self.second_addresses()].concat()
    }

    /// The address that its packets to the internet have on the wire.
    pub(crate) fn address_outside(&self, v4: bool) -> Result<IpAddr> {
        match (v4, self.0.plan.vlan) {
            (false, _) => self.v6(),
            (true, None) => Ok(self.0.node.address()),
            // A branch ENI is no business of the node's source NAT.
            (true, Some(_)) => self.v4(),
        }
    }

    /// Every address of the pod that the API has.
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
