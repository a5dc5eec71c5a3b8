//! A pod with security groups of its own (strict mode): its traffic leaves the node over a branch
//! ENI, and never by the node's own rules (`cmd/routed-eni-cni-plugin/driver`).
//!
//! The branch ENI is a VLAN of the trunk, which here is the node's last ENI. Where the kernel has no
//! VLANs it is a macvlan: its frames pass the trunk, too, and are told apart by their address.

use std::net::IpAddr;

use crate::{node::NodeInfo, pod::PodInfo, wiring::mac};

/// The branch ENI's device on the node.
pub(crate) fn device(vlan: u16) -> String {
    format!("vlan.eth.{vlan}")
}

/// Its other end, at the router.
pub(crate) fn uplink(node: &NodeInfo, vlan: u16) -> String {
    format!("up-{}.{vlan}", node.plan.name)
}

fn table(vlan: u16) -> u16 {
    100 + vlan
}

/// A node has fewer pods than 256 with security groups of their own.
fn number(node: &NodeInfo, vlan: u16) -> usize {
    node.number * 256 + usize::from(vlan)
}

/// One end of a branch ENI: what makes it, but for the kind of device.
pub(crate) struct End(String);

impl End {
    /// On the node.
    pub(crate) fn of_node(node: &NodeInfo, vlan: u16) -> Self {
        let address = mac(0x2c, number(node, vlan));
        Self(format!(
            "link add link eth{} name {} address {address}",
            trunk(node),
            device(vlan)
        ))
    }

    /// At the router.
    pub(crate) fn of_router(node: &NodeInfo, vlan: u16) -> Self {
        let address = mac(0x2d, number(node, vlan));
        Self(format!(
            "link add link {} name {} address {address}",
            node.uplink(trunk(node)),
            uplink(node, vlan)
        ))
    }

    pub(crate) fn as_vlan(&self, vlan: u16) -> String {
        format!("{} type vlan id {vlan}", self.0)
    }

    pub(crate) fn as_macvlan(&self) -> String {
        format!("{} type macvlan mode private", self.0)
    }
}

fn trunk(node: &NodeInfo) -> usize {
    node.enis() - 1
}

/// Lines for the node's namespace that lead to the pod and away from it.
pub(crate) fn host_side(pod: &PodInfo, vlan: u16, address: IpAddr) -> Vec<String> {
    let (device, table, veth) = (device(vlan), table(vlan), &pod.veth);
    let node = pod.node.info();
    let router = node.zone().router_v4();
    let next_hop = mac(0x2d, number(node, vlan));
    vec![
        format!("link set {device} up"),
        format!("neigh add {router} lladdr {next_hop} nud permanent dev {device}"),
        format!("route add default via {router} dev {device} onlink table {table}"),
        format!("route add {address} dev {veth} scope link table {table}"),
        format!("rule add iif {device} lookup {table} pref 10"),
        format!("rule add iif {veth} lookup {table} pref 10"),
    ]
}

/// Lines for the router.
pub(crate) fn router_side(node: &NodeInfo, vlan: u16, address: IpAddr) -> Vec<String> {
    let uplink = uplink(node, vlan);
    let next_hop = mac(0x2c, number(node, vlan));
    vec![
        format!("link set {uplink} up"),
        format!("neigh add {address} lladdr {next_hop} nud permanent dev {uplink}"),
        format!("route add {address} dev {uplink}"),
    ]
}

/// What comes in here is routed by a table that the reverse path filter does not ask.
pub(crate) fn sysctls(pod: &PodInfo, vlan: u16) -> Vec<(String, &'static str)> {
    [device(vlan), pod.veth.clone()]
        .map(|link| (format!("ipv4/conf/{link}/rp_filter"), "0"))
        .into()
}
