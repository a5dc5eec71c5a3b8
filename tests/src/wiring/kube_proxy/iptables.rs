//! The chains and their order as `pkg/proxy/iptables` of Kubernetes renders them, for a cluster
//! that does not tell its pods' range to kube-proxy (EKS' default).

use std::{
    fmt::Write,
    net::{IpAddr, SocketAddr},
};

use super::{Here, Portal, portals};
use crate::{names::chain_suffix, plan::ServicePlan};

/// How long a client stays with its backend: `sessionAffinityConfig`'s default.
const AFFINITY_SECONDS: u32 = 10_800;

/// The tables `filter` and `nat` for `iptables-restore` or `ip6tables-restore`, with what the VPC
/// CNI adds to `nat`.
pub(crate) fn rules(
    here: &Here<'_>,
    services: &[ServicePlan],
    v4: bool,
    more_chains: &str,
    more_rules: &str,
) -> String {
    let mut rendered = Rendered {
        v4,
        ..Rendered::default()
    };
    for portal in portals(here, services, v4) {
        rendered.portal(&portal);
    }
    let Rendered {
        chains,
        cluster,
        node_ports,
        endpoints,
        rejected,
        ..
    } = rendered;
    format!(
        "*filter\n:KUBE-FORWARD - [0:0]\n:KUBE-SERVICES - [0:0]\n\
         -A FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD\n\
         -A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES\n\
         -A OUTPUT -m conntrack --ctstate NEW -j KUBE-SERVICES\n\
         -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT\n{rejected}COMMIT\n\
         *nat\n{more_chains}:KUBE-SERVICES - [0:0]\n:KUBE-NODEPORTS - [0:0]\n\
         :KUBE-MARK-MASQ - [0:0]\n:KUBE-POSTROUTING - [0:0]\n{chains}\
         -A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
         -A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
         -A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" \
         -j KUBE-POSTROUTING\n{more_rules}\
         -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\n\
         -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n\
         -A KUBE-POSTROUTING -j MARK --xor-mark 0x4000\n\
         -A KUBE-POSTROUTING -j MASQUERADE --random-fully\n\
         {cluster}-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n\
         {node_ports}{endpoints}COMMIT\n"
    )
}

#[derive(Default)]
struct Rendered {
    v4: bool,
    chains: String,
    cluster: String,
    node_ports: String,
    endpoints: String,
    rejected: String,
}

impl Rendered {
    fn portal(&mut self, portal: &Portal<'_>) {
        let Portal {
            service,
            port,
            title,
            ..
        } = portal;
        if portal.backends.is_empty() {
            return self.without_endpoints(portal);
        }
        let chain = format!("KUBE-SVC-{}", chain_suffix(title));
        self.jump_to(portal, service.cluster_ip, "cluster IP", &chain);
        self.balance(portal, &chain, &portal.backends);
        for backend in &portal.backends {
            self.endpoint(portal, *backend);
        }
        let mut outer = service.outer_addresses().peekable();
        if outer.peek().is_none() && port.node_port.is_none() {
            return;
        }
        let external = self.external(portal, &chain);
        for address in outer {
            self.jump_to(portal, address, "external IP", &external);
        }
        if let Some(number) = port.node_port {
            let protocol = port.protocol.name();
            let _ = writeln!(
                self.node_ports,
                "-A KUBE-NODEPORTS -p {protocol} -m comment --comment \"{title}\" -m {protocol} \
                 --dport {number} -j {external}"
            );
        }
    }

    fn without_endpoints(&mut self, portal: &Portal<'_>) {
        let matched = self.matched(portal, portal.service.cluster_ip);
        let _ = writeln!(
            self.rejected,
            "-A KUBE-SERVICES {matched} -m comment --comment \"{} has no endpoints\" -j REJECT",
            portal.title
        );
    }

    fn jump_to(&mut self, portal: &Portal<'_>, address: IpAddr, what: &str, chain: &str) {
        let matched = self.matched(portal, address);
        let _ = writeln!(
            self.cluster,
            "-A KUBE-SERVICES {matched} -m comment --comment \"{} {what}\" -j {chain}",
            portal.title
        );
    }

    fn matched(&self, portal: &Portal<'_>, address: IpAddr) -> String {
        let (protocol, number) = (portal.port.protocol.name(), portal.port.port);
        format!(
            "-d {} -p {protocol} -m {protocol} --dport {number}",
            self.host(address)
        )
    }

    /// What comes from outside. With the policy `Local` only what the node itself sends reaches
    /// backends elsewhere; anything else meets the local ones and keeps its source.
    fn external(&mut self, portal: &Portal<'_>, service_chain: &str) -> String {
        let suffix = chain_suffix(&portal.title);
        let chain = format!("KUBE-EXT-{suffix}");
        let _ = writeln!(self.chains, ":{chain} - [0:0]");
        if !portal.service.only_local {
            let _ = writeln!(
                self.endpoints,
                "-A {chain} -j KUBE-MARK-MASQ\n-A {chain} -j {service_chain}"
            );
            return chain;
        }
        let own = "-m addrtype --src-type LOCAL";
        let _ = writeln!(
            self.endpoints,
            "-A {chain} {own} -j KUBE-MARK-MASQ\n-A {chain} {own} -j {service_chain}"
        );
        if !portal.local.is_empty() {
            let local = format!("KUBE-SVL-{suffix}");
            let _ = writeln!(self.endpoints, "-A {chain} -j {local}");
            self.balance(portal, &local, &portal.local);
        }
        chain
    }

    /// A client that has a backend goes there again; otherwise each gets an equal share: the rule
    /// before the last *n* takes one in *n*.
    fn balance(&mut self, portal: &Portal<'_>, chain: &str, backends: &[IpAddr]) {
        let _ = writeln!(self.chains, ":{chain} - [0:0]");
        let remembered = backends.iter().filter(|_| portal.service.session_affinity);
        for backend in remembered {
            let endpoint = endpoint_chain(portal, *backend);
            let _ = writeln!(
                self.endpoints,
                "-A {chain} -m recent --rcheck --seconds {AFFINITY_SECONDS} --reap \
                 --name {endpoint} --rsource -j {endpoint}"
            );
        }
        for (index, backend) in backends.iter().enumerate() {
            let share = match backends.len() - index {
                1 => String::new(),
                left => format!(
                    "-m statistic --mode random --probability {:.10} ",
                    1.0 / left as f64
                ),
            };
            let target = SocketAddr::new(*backend, portal.port.target_port);
            let _ = writeln!(
                self.endpoints,
                "-A {chain} -m comment --comment \"{} -> {target}\" {share}-j {}",
                portal.title,
                endpoint_chain(portal, *backend)
            );
        }
    }

    /// A backend that calls its own Service is masqueraded, or it would answer itself directly.
    fn endpoint(&mut self, portal: &Portal<'_>, backend: IpAddr) {
        let (endpoint, host) = (endpoint_chain(portal, backend), self.host(backend));
        let protocol = portal.port.protocol.name();
        let remember = match portal.service.session_affinity {
            true => format!("-m recent --set --name {endpoint} --rsource "),
            false => String::new(),
        };
        let target = SocketAddr::new(backend, portal.port.target_port);
        let _ = writeln!(self.chains, ":{endpoint} - [0:0]");
        let _ = writeln!(
            self.endpoints,
            "-A {endpoint} -s {host} -j KUBE-MARK-MASQ\n\
             -A {endpoint} -p {protocol} {remember}-m {protocol} -j DNAT --to-destination {target}"
        );
    }

    fn host(&self, address: IpAddr) -> String {
        format!("{address}/{}", if self.v4 { 32 } else { 128 })
    }
}

fn endpoint_chain(portal: &Portal<'_>, backend: IpAddr) -> String {
    let suffix = chain_suffix(&format!("{}{backend}", portal.title));
    format!("KUBE-SEP-{suffix}")
}
