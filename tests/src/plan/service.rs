//! What a Service of a lab shall look like.

use std::net::IpAddr;

/// A Service with its backends, which need not be pods of the lab.
#[derive(Clone, Debug)]
pub struct ServicePlan {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) cluster_ip: IpAddr,
    pub(crate) ports: Vec<ServicePort>,
    pub(crate) backends: Vec<IpAddr>,
    pub(crate) external_ips: Vec<IpAddr>,
    pub(crate) load_balancer_ips: Vec<IpAddr>,
    pub(crate) only_local: bool,
    pub(crate) session_affinity: bool,
    pub(crate) headless: bool,
}

/// One port of a Service.
#[derive(Clone, Debug)]
pub struct ServicePort {
    /// The port's name in the Service object.
    pub name: String,
    /// Layer 4.
    pub protocol: Transport,
    /// Port at the cluster address.
    pub port: u16,
    /// Port at the backends.
    pub target_port: u16,
    /// Port at every node, where the Service has one.
    pub node_port: Option<u16>,
}

/// A protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

impl Transport {
    /// The name in lower case, as iptables writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// The number in the IP header.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

impl ServicePlan {
    /// A Service without ports and backends.
    pub fn new(namespace: &str, name: &str, cluster_ip: IpAddr) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            cluster_ip,
            ports: Vec::new(),
            backends: Vec::new(),
            external_ips: Vec::new(),
            load_balancer_ips: Vec::new(),
            only_local: false,
            session_affinity: false,
            headless: false,
        }
    }

    /// Adds a port.
    pub fn port(mut self, protocol: Transport, port: u16, target_port: u16) -> Self {
        self.ports.push(ServicePort {
            name: format!("{}-{port}", protocol.name()),
            protocol,
            port,
            target_port,
            node_port: None,
        });
        self
    }

    /// Opens the last port added on every node too.
    pub fn node_port(mut self, node_port: u16) -> Self {
        if let Some(port) = self.ports.last_mut() {
            port.node_port = Some(node_port);
        }
        self
    }

    /// Adds a backend.
    pub fn backend(mut self, address: IpAddr) -> Self {
        self.backends.push(address);
        self
    }

    /// Adds an address of `spec.externalIPs`.
    pub fn external_ip(mut self, address: IpAddr) -> Self {
        self.external_ips.push(address);
        self
    }

    /// Adds an address of `status.loadBalancer.ingress`.
    pub fn load_balancer_ip(mut self, address: IpAddr) -> Self {
        self.load_balancer_ips.push(address);
        self
    }

    /// `externalTrafficPolicy: Local`: what comes from outside goes to backends of the node that
    /// it came to, and keeps its source.
    pub fn only_local(mut self) -> Self {
        self.only_local = true;
        self
    }

    /// `sessionAffinity: ClientIP`: a client stays with the backend that it had first.
    pub fn session_affinity(mut self) -> Self {
        self.session_affinity = true;
        self
    }

    /// Without an address of its own (`clusterIP: None`): DNS gives out the backends'. The address
    /// given before says the family only.
    pub fn headless(mut self) -> Self {
        self.headless = true;
        self
    }

    /// The addresses at which the world outside reaches the Service on every node.
    pub(crate) fn outer_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let both = self.external_ips.iter().chain(&self.load_balancer_ips);
        both.copied()
    }
}
