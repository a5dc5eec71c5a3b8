//! NodeLocal DNS as its DaemonSet sets a node up (kubernetes/dns, `cmd/node-cache/app`): two
//! addresses, and rules that keep conntrack off them. The addresses stand on the loopback
//! interface, not on a dummy interface of their own, which not every kernel has.

use std::net::IpAddr;

/// The address that pods are given as their resolver's.
const LINK_LOCAL: &str = "169.254.20.10";

/// Lines for the node's namespace.
pub(crate) fn lines(cluster_dns: IpAddr) -> Vec<String> {
    vec![
        format!("addr add {LINK_LOCAL}/32 dev lo scope host"),
        format!("addr add {cluster_dns}/32 dev lo scope host"),
    ]
}

/// The `raw` table for `iptables-restore`.
pub(crate) fn rules(cluster_dns: IpAddr) -> String {
    let mut text = "*raw\n".to_owned();
    for address in [LINK_LOCAL.to_owned(), cluster_dns.to_string()] {
        for protocol in ["udp", "tcp"] {
            let matched = format!("-p {protocol} -m {protocol}");
            text.push_str(&format!(
                "-A PREROUTING -d {address}/32 {matched} --dport 53 -m comment --comment \
                 \"NodeLocal DNS Cache: skip conntrack\" -j NOTRACK\n\
                 -A OUTPUT -s {address}/32 {matched} --sport 53 -m comment --comment \
                 \"NodeLocal DNS Cache: skip conntrack\" -j NOTRACK\n"
            ));
        }
    }
    text.push_str("COMMIT\n");
    text
}
