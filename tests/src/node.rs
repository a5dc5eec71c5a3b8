//! Nodes that stand.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;

use crate::{
    address::{NodeAddresses, Zone},
    interface::{InterfaceCount, interface_count},
    names::router_uplink,
    namespace::Namespace,
    plan::NodePlan,
    tool,
};

/// A node of a standing lab. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Node(Arc<NodeInfo>);

/// What the lab knows about a node.
#[derive(Clone, Debug)]
pub(crate) struct NodeInfo {
    pub(crate) plan: NodePlan,
    pub(crate) number: usize,
    pub(crate) addresses: NodeAddresses,
    pub(crate) namespace: Namespace,
    pub(crate) management: Management,
    pub(crate) directory: PathBuf,
    pub(crate) pin_directory: PathBuf,
}

/// The two ends of the link over which the machine's root namespace reaches a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Management {
    pub(crate) outside: Ipv4Addr,
    pub(crate) inside: Ipv4Addr,
}

impl NodeInfo {
    pub(crate) fn zone(&self) -> Zone {
        self.plan.zone
    }

    pub(crate) fn enis(&self) -> usize {
        self.plan.enis
    }

    /// The router's end of uplink number `eni`.
    pub(crate) fn uplink(&self, eni: usize) -> String {
        router_uplink(&self.plan.name, eni)
    }

    pub(crate) fn uplinks(&self) -> impl Iterator<Item = (usize, String)> {
        (0..self.enis()).map(|eni| (eni, self.uplink(eni)))
    }
}

impl Node {
    pub(crate) fn new(info: NodeInfo) -> Self {
        Self(Arc::new(info))
    }

    pub(crate) fn info(&self) -> &NodeInfo {
        &self.0
    }

    /// The short name that the plan gave.
    pub fn name(&self) -> &str {
        &self.0.plan.name
    }

    /// The name of the Node object: the private DNS name that EC2 gives by address.
    pub fn object_name(&self) -> String {
        let address = self.address().to_string().replace('.', "-");
        format!("ip-{address}.us-east-2.compute.internal")
    }

    /// Where the node is.
    pub fn zone(&self) -> Zone {
        self.0.zone()
    }

    /// The primary ENI's IPv4 address, which is also the source of what its pods send out of the
    /// VPC.
    pub fn address(&self) -> IpAddr {
        self.0.addresses.eni_v4(0).into()
    }

    /// The IPv4 address of ENI number `eni`, from 0.
    pub fn eni_address(&self, eni: usize) -> IpAddr {
        self.0.addresses.eni_v4(eni).into()
    }

    /// The node's IPv6 address.
    pub fn address_v6(&self) -> IpAddr {
        self.0.addresses.primary_v6().into()
    }

    /// True for an address of the node's own.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        [self.address(), self.address_v6()].contains(&address)
    }

    /// The address at which the machine's root namespace reaches the node.
    pub fn management_address(&self) -> IpAddr {
        self.0.management.inside.into()
    }

    /// The node's network namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// A directory for the node's own files, such as the agent's state and log.
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// Where this node's agent pins its kernel objects.
    pub fn pin_directory(&self) -> &Path {
        &self.0.pin_directory
    }

    /// What the kernel counted on interface `name` of the node. It counts skbs with their
    /// Ethernet header: a super-packet is one packet.
    pub fn interface_count(&self, name: &str) -> Result<InterfaceCount> {
        interface_count(&self.0.namespace, name)
    }

    /// Turns joining of received packets (GRO) at the primary uplink on or off.
    pub fn set_uplink_gro(&self, on: bool) -> Result<()> {
        let value = if on { "on" } else { "off" };
        tool::feed(
            self.0
                .namespace
                .command("ethtool")
                .args(["-K", "eth0", "gro", value]),
            "",
        )
    }
}

/// How many objects of a kind (`links`, `maps`, `cgroups`) are pinned below an agent's pin
/// directory, in the folder of whatever layout.
pub fn pinned(pins: &Path, kind: &str) -> usize {
    let layouts = fs::read_dir(pins).into_iter().flatten().flatten();
    let of = |layout: fs::DirEntry| fs::read_dir(layout.path().join(kind)).ok();
    layouts.filter_map(of).map(Iterator::count).sum()
}
