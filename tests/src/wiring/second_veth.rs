//! Veths of a pod beside its first, as the AWS VPC CNI wires them: a second NIC
//! (`cmd/routed-eni-cni-plugin`), and IPv4 for a pod that has IPv6 only
//! (`cmd/egress-cni-plugin`).

use std::net::{IpAddr, Ipv4Addr};

use crate::{
    pod::{PodInfo, SecondVeth},
    wiring::{mac, node::SECONDARY_TABLE, pod::GATEWAY_V4},
};

/// Next hop of every pod's IPv4 egress, on every node.
const EGRESS_GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 172, 1);
/// The addresses of IPv4 egress, the same on every node.
pub(crate) const EGRESS_RANGE: &str = "169.254.172.0/22";

/// The address of IPv4 egress that ends in `host`.
pub(crate) fn egress_address(host: u8) -> IpAddr {
    let [a, b, c, _] = EGRESS_GATEWAY.octets();
    IpAddr::from([a, b, c, host])
}

/// Creates the veth with both ends in place; run in the root namespace.
pub(crate) fn cable(pod: &PodInfo, second: &SecondVeth, mtu: u32) -> String {
    format!(
        "link add name {} mtu {mtu} netns {} address {} type veth \
         peer name {} mtu {mtu} netns {} address {}",
        second.inside,
        pod.namespace.name(),
        mac(second.mac_kind, pod.number),
        second.veth,
        pod.node.namespace().name(),
        mac(second.mac_kind + 1, pod.number)
    )
}

/// Lines for the pod's own namespace.
pub(crate) fn inside(pod: &PodInfo, second: &SecondVeth) -> Vec<String> {
    let SecondVeth {
        inside, address, ..
    } = second;
    let host = mac(second.mac_kind + 1, pod.number);
    let mut lines = vec![
        format!("link set {inside} up"),
        format!("addr add {address}/32 dev {inside}"),
    ];
    if second.is_egress() {
        lines.extend([
            format!("route add {EGRESS_GATEWAY} dev {inside} scope link"),
            format!("route add default via {EGRESS_GATEWAY} dev {inside}"),
        ]);
    } else {
        let neighbour = format!("neigh add {GATEWAY_V4} lladdr {host} nud permanent dev {inside}");
        lines.push(neighbour);
    }
    lines
}

/// Lines for the node's namespace.
pub(crate) fn host_side(second: &SecondVeth) -> Vec<String> {
    let SecondVeth { veth, address, .. } = second;
    let mut lines = vec![format!("link set {veth} up")];
    if second.is_egress() {
        lines.push(format!("addr add {EGRESS_GATEWAY}/32 dev {veth}"));
    } else {
        lines.extend([
            format!("rule add to {address} lookup main pref 512"),
            format!("rule add from {address} lookup {SECONDARY_TABLE} pref 1536"),
        ]);
    }
    lines.push(format!("route add {address} dev {veth} scope link"));
    lines
}
