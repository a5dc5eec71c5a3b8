//! A pod with security groups of its own (strict mode): its traffic leaves the node over a branch
//! ENI, and never by the node's own rules (`cmd/routed-eni-cni-plugin/driver`).
//!
//! There the branch ENI is a VLAN of the trunk. Here it is a cable of its own, so that the lab
//! needs no kernel with VLANs: only the device's name and the routes matter.

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

/// Creates the cable between node and router; run in the root namespace.
pub(crate) fn cable(node: &NodeInfo, vlan: u16, router: &str, mtu: u32) -> String {
    let (inside, number) = (node.namespace.name(), number(node, vlan));
    format!(
        "link add name {} mtu {mtu} netns {inside} address {} type veth \
         peer name {} mtu {mtu} netns {router} address {}",
        device(vlan),
        mac(0x2c, number),
        uplink(node, vlan),
        mac(0x2d, number),
    )
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
