//! kube-proxy's iptables rules for the lab's Services, in the chains and the order that
//! `pkg/proxy/iptables` of Kubernetes renders.

use std::{fmt::Write, net::IpAddr};

use crate::{
    names::chain_suffix,
    plan::{ServicePlan, ServicePort},
    wiring::aws_rules,
};

/// The complete rule set of a node for `iptables-restore`.
pub(crate) fn rules_v4(node: std::net::Ipv4Addr, services: &[ServicePlan]) -> String {
    let aws = aws_rules::nat(node);
    format!(
        "{}{}",
        aws_rules::mangle(),
        tables(services, true, aws_rules::NAT_CHAINS, &aws)
    )
}

/// The complete rule set of a node for `ip6tables-restore`. The VPC CNI adds nothing in IPv6.
pub(crate) fn rules_v6(services: &[ServicePlan]) -> String {
    tables(services, false, "", "")
}

fn tables(services: &[ServicePlan], v4: bool, more_chains: &str, more_rules: &str) -> String {
    let mut rendered = Rendered {
        v4,
        ..Rendered::default()
    };
    for service in services
        .iter()
        .filter(|service| service.cluster_ip.is_ipv4() == v4)
    {
        for port in &service.ports {
            rendered.port(service, port);
        }
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
    fn port(&mut self, service: &ServicePlan, port: &ServicePort) {
        let title = format!("{}/{}:{}", service.namespace, service.name, port.name);
        let protocol = port.protocol.name();
        let (address, number) = (self.host(service.cluster_ip), port.port);
        let backends: Vec<IpAddr> = service
            .backends
            .iter()
            .copied()
            .filter(|ip| ip.is_ipv4() == self.v4)
            .collect();
        if backends.is_empty() {
            let _ = writeln!(
                self.rejected,
                "-A KUBE-SERVICES -d {address} -p {protocol} -m {protocol} --dport {number} \
                 -m comment --comment \"{title} has no endpoints\" -j REJECT"
            );
            return;
        }
        let chain = format!("KUBE-SVC-{}", chain_suffix(&title));
        let _ = writeln!(self.chains, ":{chain} - [0:0]");
        let _ = writeln!(
            self.cluster,
            "-A KUBE-SERVICES -d {address} -p {protocol} -m comment --comment \"{title} cluster \
             IP\" -m {protocol} --dport {number} -j {chain}"
        );
        self.node_port(&title, port, &chain);
        self.backends(&title, port, &chain, &backends);
    }

    fn node_port(&mut self, title: &str, port: &ServicePort, service_chain: &str) {
        let Some(number) = port.node_port else { return };
        let protocol = port.protocol.name();
        let chain = format!("KUBE-EXT-{}", chain_suffix(title));
        let _ = writeln!(self.chains, ":{chain} - [0:0]");
        let _ = writeln!(
            self.node_ports,
            "-A KUBE-NODEPORTS -p {protocol} -m comment --comment \"{title}\" -m {protocol} \
             --dport {number} -j {chain}\n-A {chain} -j KUBE-MARK-MASQ\n-A {chain} -j {service_chain}"
        );
    }

    /// Each backend gets an equal share: the rule before the last *n* takes one in *n*.
    fn backends(&mut self, title: &str, port: &ServicePort, chain: &str, backends: &[IpAddr]) {
        let protocol = port.protocol.name();
        for (index, backend) in backends.iter().enumerate() {
            let endpoint = format!("KUBE-SEP-{}", chain_suffix(&format!("{title}{backend}")));
            let left = backends.len() - index;
            let share = match left {
                1 => String::new(),
                _ => format!(
                    "-m statistic --mode random --probability {:.10} ",
                    1.0 / left as f64
                ),
            };
            let target = std::net::SocketAddr::new(*backend, port.target_port);
            let host = self.host(*backend);
            let _ = writeln!(self.chains, ":{endpoint} - [0:0]");
            let _ = writeln!(
                self.endpoints,
                "-A {chain} -m comment --comment \"{title} -> {target}\" {share}-j {endpoint}\n\
                 -A {endpoint} -s {host} -j KUBE-MARK-MASQ\n\
                 -A {endpoint} -p {protocol} -m {protocol} -j DNAT --to-destination {target}"
            );
        }
    }

    fn host(&self, address: IpAddr) -> String {
        format!("{address}/{}", if self.v4 { 32 } else { 128 })
    }
}
