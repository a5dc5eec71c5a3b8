//! kube-proxy's rules for the lab's Services, as its proxiers render them on one node.

pub(crate) mod iptables;
pub(crate) mod nftables;

use std::net::IpAddr;

use crate::{
    node::Node,
    plan::{ServicePlan, ServicePort},
    pod::Pod,
};

/// The node that rules are for.
pub(crate) struct Here<'a> {
    node: &'a Node,
    pods: &'a [Pod],
}

impl<'a> Here<'a> {
    pub(crate) fn new(node: &'a Node, pods: &'a [Pod]) -> Self {
        Self { node, pods }
    }

    /// True for a backend on this node.
    fn has(&self, backend: IpAddr) -> bool {
        let mut here = self
            .pods
            .iter()
            .filter(|pod| pod.node().name() == self.node.name());
        self.node.has(backend) || here.any(|pod| pod.addresses().contains(&backend))
    }
}

/// One port of a Service as a node's rules see it.
struct Portal<'a> {
    service: &'a ServicePlan,
    port: &'a ServicePort,
    /// `namespace/name:port`
    title: String,
    backends: Vec<IpAddr>,
    /// Those of this node.
    local: Vec<IpAddr>,
}

/// Every port of every Service of one family that has an address.
fn portals<'a>(here: &Here<'_>, services: &'a [ServicePlan], v4: bool) -> Vec<Portal<'a>> {
    let mut portals = Vec::new();
    let with_address = |service: &&ServicePlan| !service.headless;
    for service in services.iter().filter(with_address) {
        if service.cluster_ip.is_ipv4() != v4 {
            continue;
        }
        let mut backends = service.backends.clone();
        backends.retain(|backend| backend.is_ipv4() == v4);
        for port in &service.ports {
            let local = backends.iter().copied();
            portals.push(Portal {
                service,
                port,
                title: format!("{}/{}:{}", service.namespace, service.name, port.name),
                local: local.filter(|backend| here.has(*backend)).collect(),
                backends: backends.clone(),
            });
        }
    }
    portals
}
