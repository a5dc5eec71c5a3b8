//! A node: its ENIs, its management link and its kernel parameters, as on EKS.

use crate::{
    address::{NODE_LINK_LOCAL, ROUTER_LINK_LOCAL},
    node::NodeInfo,
    wiring::{forwarding_sysctls, mac},
};

/// The routing table of the second ENI, numbered as the VPC CNI does.
pub(crate) const SECONDARY_TABLE: usize = 2;

/// Creates the cables of a node: its uplinks to the router and its management link to the root
/// namespace; run in the root namespace.
pub(crate) fn cables(node: &NodeInfo, router: &str, management: &str, mtu: u32) -> Vec<String> {
    let inside = node.namespace.name();
    let mut lines = Vec::new();
    for (eni, link) in node.uplinks() {
        lines.push(format!(
            "link add name eth{eni} mtu {mtu} netns {inside} address {} type veth \
             peer name {link} mtu {mtu} netns {router} address {}",
            mac(0x20 + eni as u8, node.number),
            mac(0x28 + eni as u8, node.number),
        ));
    }
    let outside = node.management.outside;
    lines.push(format!(
        "link add name {management} type veth peer name mgmt0 netns {inside}"
    ));
    lines.push(format!("addr add {outside}/30 dev {management}"));
    lines.push(format!("link set {management} up"));
    lines
}

/// Lines for the node's own namespace.
pub(crate) fn lines(node: &NodeInfo) -> Vec<String> {
    let router = node.zone().router_v4();
    let mut lines = vec![
        "link set lo up".to_owned(),
        "link set mgmt0 up".to_owned(),
        format!("addr add {}/30 dev mgmt0", node.management.inside),
        "link set eth0 up".to_owned(),
        format!("addr add {}/19 dev eth0", node.addresses.eni_v4(0)),
        format!("route add default via {router} dev eth0"),
        format!("addr add {NODE_LINK_LOCAL}/64 dev eth0 nodad"),
        format!(
            "addr add {}/128 dev eth0 nodad",
            node.addresses.primary_v6()
        ),
        format!("-6 route add default via {ROUTER_LINK_LOCAL} dev eth0"),
        "rule add fwmark 0x80/0x80 lookup main pref 1024".to_owned(),
    ];
    if node.enis() > 1 {
        lines.extend(secondary_eni(node));
    }
    lines
}

/// The second ENI is reached only through rules 1536: no route to it in table main.
fn secondary_eni(node: &NodeInfo) -> Vec<String> {
    let router = node.zone().router_v4();
    let table = SECONDARY_TABLE;
    vec![
        "link set eth1 up".to_owned(),
        format!("addr add {}/32 dev eth1", node.addresses.eni_v4(1)),
        format!("route add {router} dev eth1 scope link table {table}"),
        format!("route add default via {router} dev eth1 table {table}"),
    ]
}

/// Kernel parameters of a node before its interfaces exist.
pub(crate) fn sysctls() -> Vec<(String, &'static str)> {
    let mut settings = forwarding_sysctls();
    settings.push(("ipv4/conf/default/rp_filter".to_owned(), "1"));
    settings
}

/// Kernel parameters of a node's interfaces. Replies to marked connections of pods on the second
/// ENI come in at the first one, so its filter is loose (domain rule of the VPC CNI).
pub(crate) fn link_sysctls() -> Vec<(String, &'static str)> {
    vec![
        ("ipv4/conf/eth0/rp_filter".to_owned(), "2"),
        ("ipv4/conf/mgmt0/rp_filter".to_owned(), "0"),
    ]
}
