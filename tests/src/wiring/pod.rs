//! A pod, wired as the AWS VPC CNI wires it (`cmd/routed-eni-cni-plugin/driver`): one address
//! without a network, a default route to a link-local next hop that exists only as a permanent
//! neighbour entry, host routes and rules on the node.

use std::net::IpAddr;

use crate::{
    pod::PodInfo,
    wiring::{branch_eni, mac, node::SECONDARY_TABLE},
};

/// Next hop of a pod in IPv4.
pub(crate) const GATEWAY_V4: &str = "169.254.1.1";
/// Next hop of a pod in IPv6.
const GATEWAY_V6: &str = "fe80::1";

/// Creates the pod's veth with both ends in place; run in the root namespace.
pub(crate) fn cable(pod: &PodInfo, mtu: u32) -> String {
    format!(
        "link add name eth0 mtu {mtu} netns {} address {} type veth \
         peer name {} mtu {mtu} netns {} address {}",
        pod.namespace.name(),
        mac(0x10, pod.number),
        pod.veth,
        pod.node.namespace().name(),
        mac(0x11, pod.number)
    )
}

/// Lines for the pod's own namespace.
pub(crate) fn inside(pod: &PodInfo) -> Vec<String> {
    let host = mac(0x11, pod.number);
    let mut lines = vec!["link set lo up".to_owned(), "link set eth0 up".to_owned()];
    for address in &pod.addresses {
        let (gateway, family) = match address {
            IpAddr::V4(_) => (GATEWAY_V4, ""),
            IpAddr::V6(_) => (GATEWAY_V6, "-6 "),
        };
        lines.push(format!("addr add {address} dev eth0"));
        lines.push(format!(
            "neigh add {gateway} lladdr {host} nud permanent dev eth0"
        ));
        lines.push(format!("{family}route add {gateway} dev eth0 scope link"));
        lines.push(format!("{family}route add default via {gateway} dev eth0"));
    }
    lines
}

/// Lines for the node's namespace that lead to the pod and, on the second ENI, away from it.
pub(crate) fn host_side(pod: &PodInfo) -> Vec<String> {
    let mut lines = vec![format!("link set {} up", pod.veth)];
    for address in &pod.addresses {
        if let Some(vlan) = pod.plan.vlan {
            lines.extend(branch_eni::host_side(pod, vlan, *address));
            continue;
        }
        let family = if address.is_ipv4() { "" } else { "-6 " };
        lines.push(format!(
            "{family}route add {address} dev {} scope link",
            pod.veth
        ));
        lines.extend(
            rules(pod, *address)
                .iter()
                .map(|rule| format!("{family}rule add {rule}")),
        );
    }
    lines
}

/// Lines for the node's namespace that undo [`host_side`]; the routes go with the veth.
pub(crate) fn host_side_undo(pod: &PodInfo) -> Vec<String> {
    let mut lines = vec![format!("link del {}", pod.veth)];
    for address in &pod.addresses {
        let family = if address.is_ipv4() { "" } else { "-6 " };
        lines.extend(
            rules(pod, *address)
                .iter()
                .map(|rule| format!("{family}rule del {rule}")),
        );
    }
    lines
}

fn rules(pod: &PodInfo, address: IpAddr) -> Vec<String> {
    let mut rules = vec![format!("to {address} lookup main pref 512")];
    if pod.plan.eni > 0 && address.is_ipv4() {
        rules.push(format!("from {address} lookup {SECONDARY_TABLE} pref 1536"));
    }
    rules
}
