//! The tables, maps and chains as `pkg/proxy/nftables` of Kubernetes renders them: verdict maps by
//! address and port in place of one rule for each Service.

use std::{
    fmt::Write,
    net::{IpAddr, SocketAddr},
};

use super::{Here, Portal, portals};
use crate::{names::chain_suffix, plan::ServicePlan};

/// Both families' rule sets for `nft -f -`, in place of older ones.
pub(crate) fn rules(here: &Here<'_>, services: &[ServicePlan]) -> String {
    [("ip", true), ("ip6", false)]
        .map(|(family, v4)| table(family, &portals(here, services, v4)))
        .concat()
}

fn table(family: &'static str, portals: &[Portal<'_>]) -> String {
    let mut rendered = Rendered {
        family,
        ..Rendered::default()
    };
    for portal in portals {
        rendered.portal(portal);
    }
    let Rendered {
        chains,
        addresses,
        node_ports,
        rejected,
        ..
    } = rendered;
    let [addresses, node_ports, rejected] = [addresses, node_ports, rejected].map(elements);
    let kind = if family == "ip" {
        "ipv4_addr"
    } else {
        "ipv6_addr"
    };
    format!(
        "add table {family} kube-proxy\ndelete table {family} kube-proxy\n\
         table {family} kube-proxy {{\n{chains}\
         map service-ips {{ type {kind} . inet_proto . inet_service : verdict\n{addresses}}}\n\
         map service-nodeports {{ type inet_proto . inet_service : verdict\n{node_ports}}}\n\
         map no-endpoint-services {{ type {kind} . inet_proto . inet_service : verdict\n{rejected}}}\n\
         chain reject-chain {{ reject\n}}\n\
         chain mark-for-masquerade {{ meta mark set meta mark or 0x4000\n}}\n\
         chain masquerading {{\nmeta mark and 0x4000 == 0 return\n\
         meta mark set meta mark xor 0x4000\nmasquerade fully-random\n}}\n\
         chain services {{\n\
         {family} daddr . meta l4proto . th dport vmap @service-ips\n\
         fib daddr type local {family} daddr != {{ {} }} meta l4proto . th dport vmap @service-nodeports\n}}\n\
         chain service-endpoints-check {{\n\
         {family} daddr . meta l4proto . th dport vmap @no-endpoint-services\n}}\n\
         chain filter-forward {{ type filter hook forward priority -110;\n\
         ct state new jump service-endpoints-check\n}}\n\
         chain filter-output {{ type filter hook output priority -110;\n\
         ct state new jump service-endpoints-check\n}}\n\
         chain nat-prerouting {{ type nat hook prerouting priority dstnat; jump services\n}}\n\
         chain nat-output {{ type nat hook output priority -100; jump services\n}}\n\
         chain nat-postrouting {{ type nat hook postrouting priority srcnat; jump masquerading\n}}\n\
         }}\n",
        if family == "ip" { "127.0.0.0/8" } else { "::1" },
    )
}

/// A map's elements in one statement: of several, nft takes the last.
fn elements(elements: Vec<String>) -> String {
    match elements.is_empty() {
        true => String::new(),
        false => format!("elements = {{ {} }}\n", elements.join(",\n")),
    }
}

#[derive(Default)]
struct Rendered {
    family: &'static str,
    chains: String,
    addresses: Vec<String>,
    node_ports: Vec<String>,
    rejected: Vec<String>,
}

impl Rendered {
    fn portal(&mut self, portal: &Portal<'_>) {
        let (service, protocol) = (portal.service, portal.port.protocol.name());
        let element = |address: IpAddr| format!("{address} . {protocol} . {}", portal.port.port);
        if portal.backends.is_empty() {
            let of = element(service.cluster_ip);
            return self.rejected.push(format!("{of} : goto reject-chain"));
        }
        for backend in &portal.backends {
            self.endpoint(portal, *backend);
        }
        let chain = format!("service-{}", suffix(portal));
        self.balance(portal, &chain, &portal.backends);
        let to = |address, chain: &str| format!("{} : goto {chain}", element(address));
        self.addresses.push(to(service.cluster_ip, &chain));
        let mut outer = service.outer_addresses().peekable();
        if outer.peek().is_none() && portal.port.node_port.is_none() {
            return;
        }
        let external = self.external(portal, &chain);
        for address in outer {
            self.addresses.push(to(address, &external));
        }
        if let Some(number) = portal.port.node_port {
            let element = format!("{protocol} . {number} : goto {external}");
            self.node_ports.push(element);
        }
    }

    /// See the same function for iptables.
    fn external(&mut self, portal: &Portal<'_>, service_chain: &str) -> String {
        let chain = format!("external-{}", suffix(portal));
        if !portal.service.only_local {
            let _ = writeln!(
                self.chains,
                "chain {chain} {{\njump mark-for-masquerade\ngoto {service_chain}\n}}"
            );
            return chain;
        }
        let mut rules = format!(
            "fib saddr type local jump mark-for-masquerade\n\
             fib saddr type local goto {service_chain}\n"
        );
        if !portal.local.is_empty() {
            let local = format!("local-{}", suffix(portal));
            self.balance(portal, &local, &portal.local);
            let _ = writeln!(rules, "goto {local}");
        }
        let _ = writeln!(self.chains, "chain {chain} {{\n{rules}}}");
        chain
    }

    fn balance(&mut self, portal: &Portal<'_>, chain: &str, backends: &[IpAddr]) {
        let mut rules = String::new();
        if portal.service.session_affinity {
            for backend in backends {
                let _ = writeln!(
                    rules,
                    "{} saddr @affinity-{} goto {}",
                    self.family,
                    endpoint_suffix(portal, *backend),
                    endpoint_chain(portal, *backend)
                );
            }
        }
        let shares = backends.iter().enumerate();
        let shares: Vec<String> = shares
            .map(|(index, backend)| format!("{index} : goto {}", endpoint_chain(portal, *backend)))
            .collect();
        let _ = writeln!(
            self.chains,
            "chain {chain} {{\n{rules}numgen random mod {} vmap {{ {} }}\n}}",
            backends.len(),
            shares.join(", ")
        );
    }

    fn endpoint(&mut self, portal: &Portal<'_>, backend: IpAddr) {
        let (chain, family) = (endpoint_chain(portal, backend), self.family);
        let mut remember = String::new();
        if portal.service.session_affinity {
            let set = format!("affinity-{}", endpoint_suffix(portal, backend));
            let kind = if family == "ip" {
                "ipv4_addr"
            } else {
                "ipv6_addr"
            };
            let _ = writeln!(
                self.chains,
                "set {set} {{ type {kind}; size 65535; flags dynamic,timeout; timeout 10800s; }}"
            );
            let _ = writeln!(remember, "update @{set} {{ {family} saddr }}");
        }
        let target = SocketAddr::new(backend, portal.port.target_port);
        let _ = writeln!(
            self.chains,
            "chain {chain} {{\n{family} saddr {backend} jump mark-for-masquerade\n{remember}\
             meta l4proto {} dnat to {target}\n}}",
            portal.port.protocol.name()
        );
    }
}

fn suffix(portal: &Portal<'_>) -> String {
    chain_suffix(&portal.title)
}

fn endpoint_suffix(portal: &Portal<'_>, backend: IpAddr) -> String {
    chain_suffix(&format!("{}{backend}", portal.title))
}

fn endpoint_chain(portal: &Portal<'_>, backend: IpAddr) -> String {
    format!("endpoint-{}", endpoint_suffix(portal, backend))
}
