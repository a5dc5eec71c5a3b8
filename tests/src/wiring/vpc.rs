//! The VPC's fabric (one router that answers ARP for everybody, as the hypervisors of AWS do)
//! and the internet behind it.

use std::net::IpAddr;

use crate::{
    address::{
        INTERNET_HOSTS, INTERNET_V4, INTERNET_V6, NODE_LINK_LOCAL, ROUTER_LINK_LOCAL, VPC_V4,
        VPC_V6, VPC_V6_GLOBAL,
    },
    node::NodeInfo,
    wiring::{forwarding_sysctls, mac},
};

/// The router's interface toward the internet.
pub(crate) const INTERNET_LINK: &str = "net0";

const ROUTER_V4: &str = "35.92.124.1";

/// Creates the cable between router and internet; run in the root namespace.
pub(crate) fn internet_cable(router: &str, internet: &str, mtu: u32) -> String {
    format!(
        "link add name eth0 mtu {mtu} netns {internet} address {} type veth \
         peer name {INTERNET_LINK} mtu {mtu} netns {router} address {}",
        mac(0x30, 0),
        mac(0x31, 0)
    )
}

/// Lines for the router that do not depend on nodes.
pub(crate) fn router() -> Vec<String> {
    vec![
        "link set lo up".to_owned(),
        format!("link set {INTERNET_LINK} up"),
        format!("addr add {ROUTER_V4}/24 dev {INTERNET_LINK}"),
        format!("addr add {ROUTER_LINK_LOCAL}/64 dev {INTERNET_LINK} nodad"),
        format!("-6 route add {INTERNET_V6} dev {INTERNET_LINK}"),
    ]
}

/// Lines for the router that attach `node`: a route to the address and to the pods of each ENI.
pub(crate) fn attach(node: &NodeInfo) -> Vec<String> {
    let router = node.zone().router_v4();
    let mut lines = Vec::new();
    for (eni, link) in node.uplinks() {
        let address = node.addresses.eni_v4(eni);
        lines.push(format!("link set {link} up"));
        lines.push(format!("addr add {router}/32 dev {link}"));
        lines.push(format!("route add {address}/32 dev {link}"));
        for block in node.addresses.pod_blocks_v4(eni) {
            lines.push(format!("route add {block} via {address} dev {link} onlink"));
        }
        lines.push(format!("addr add {ROUTER_LINK_LOCAL}/64 dev {link} nodad"));
    }
    let primary = node.uplink(0);
    for range in [
        format!("{}/128", node.addresses.primary_v6()),
        node.addresses.pod_prefix_v6(),
    ] {
        lines.push(format!(
            "-6 route add {range} via {NODE_LINK_LOCAL} dev {primary}"
        ));
    }
    lines
}

/// Kernel parameters of the router, once its interfaces exist: it answers at once for any
/// address that lies behind another interface.
pub(crate) fn router_sysctls(nodes: &[NodeInfo]) -> Vec<(String, &'static str)> {
    let mut settings = forwarding_sysctls();
    for (_, link) in nodes.iter().flat_map(NodeInfo::uplinks) {
        settings.push((format!("ipv4/conf/{link}/proxy_arp"), "1"));
        settings.push((format!("ipv4/neigh/{link}/proxy_delay"), "0"));
    }
    settings
}

/// Lines for the internet's namespace: some hosts, and a way back into the VPC.
pub(crate) fn internet() -> Vec<String> {
    let mut lines = vec!["link set lo up".to_owned(), "link set eth0 up".to_owned()];
    let (network_v4, network_v6) = (prefix(INTERNET_V4), prefix(INTERNET_V6));
    for host in (0..INTERNET_HOSTS).map(|index| 10 + index) {
        lines.push(format!(
            "addr add {}{host}/24 dev eth0",
            network_v4.trim_end_matches('0')
        ));
        lines.push(format!("addr add {network_v6}{host:x}/64 dev eth0 nodad"));
    }
    lines.push(format!("route add {VPC_V4} via {ROUTER_V4} dev eth0"));
    // In IPv4 the first address is the source by itself.
    for range in [VPC_V6, VPC_V6_GLOBAL] {
        lines.push(format!(
            "-6 route add {range} via {ROUTER_LINK_LOCAL} dev eth0 src {network_v6}a"
        ));
    }
    lines
}

/// Lines for the router: hosts outside the cluster are behind the internet's link.
pub(crate) fn to_outside(hosts: &[IpAddr]) -> Vec<String> {
    let route = |host: &IpAddr| match host {
        IpAddr::V4(_) => format!("route add {host}/32 dev {INTERNET_LINK}"),
        IpAddr::V6(_) => format!("-6 route add {host}/128 dev {INTERNET_LINK}"),
    };
    hosts.iter().map(route).collect()
}

/// Lines for the internet's namespace: it has those hosts' addresses.
pub(crate) fn outside(hosts: &[IpAddr]) -> Vec<String> {
    let address = |host: &IpAddr| match host {
        IpAddr::V4(_) => format!("addr add {host}/32 dev eth0"),
        IpAddr::V6(_) => format!("addr add {host}/128 dev eth0 nodad"),
    };
    hosts.iter().map(address).collect()
}

fn prefix(cidr: &str) -> &str {
    cidr.split_once('/').map_or(cidr, |(address, _)| address)
}
