//! What a lab shall look like, before anything is raised.

use std::net::IpAddr;

use crate::{
    address::{Family, Zone},
    source::Source,
};

/// The description of a lab. [`Plan::new`] gives three nodes in two zones and an internet.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) family: Family,
    pub(crate) mtu: u32,
    pub(crate) uplink_gro: bool,
    pub(crate) veth_offloads: bool,
    pub(crate) nodes: Vec<NodePlan>,
    pub(crate) pods: Vec<PodPlan>,
    pub(crate) services: Vec<ServicePlan>,
}

impl Plan {
    /// A lab called `name` with the nodes `a1` and `a2` in zone A and `b1` in zone B, IPv4, MTU
    /// 1500, and no pods yet.
    pub fn new(name: &str) -> Self {
        Self {
            nodes: vec![
                NodePlan::new("a1", Zone::A),
                NodePlan::new("a2", Zone::A),
                NodePlan::new("b1", Zone::B),
            ],
            ..Self::empty(name)
        }
    }

    /// A lab without nodes.
    pub fn empty(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            source: Source::File,
            family: Family::V4,
            mtu: 1500,
            uplink_gro: false,
            veth_offloads: false,
            nodes: Vec::new(),
            pods: Vec::new(),
            services: Vec::new(),
        }
    }

    /// Where agents learn of the cluster. The lab's name tells both apart.
    pub fn source(mut self, source: Source) -> Self {
        self.name = source.lab_name(&self.name);
        self.source = source;
        self
    }

    /// Which families pods speak.
    pub fn family(mut self, family: Family) -> Self {
        self.family = family;
        self
    }

    /// The MTU of every link; EKS uses 9001.
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.mtu = mtu;
        self
    }

    /// Lets every node's uplink join received packets (GRO), so that packets to a pod pass the
    /// tc hook as super-packets. Off at first. What leaves the node stays one packet per skb.
    pub fn uplink_gro(mut self, on: bool) -> Self {
        self.uplink_gro = on;
        self
    }

    /// Keeps segmentation offload on at the host's end of every pod's veth, as a real node has
    /// it. Off at first: then super-packets are cut after the tc hook and before the pod, and a
    /// pod's own counters are wire truth ([`crate::Truth`]).
    pub fn veth_offloads(mut self, on: bool) -> Self {
        self.veth_offloads = on;
        self
    }

    /// Adds a node.
    pub fn node(mut self, node: NodePlan) -> Self {
        self.nodes.push(node);
        self
    }

    /// Adds a pod, wired and announced when the lab stands.
    pub fn pod(mut self, pod: PodPlan) -> Self {
        self.pods.push(pod);
        self
    }

    /// Adds a Service.
    pub fn service(mut self, service: ServicePlan) -> Self {
        self.services.push(service);
        self
    }
}

/// A node: a namespace with an uplink to the VPC's router.
#[derive(Clone, Debug)]
pub struct NodePlan {
    pub(crate) name: String,
    pub(crate) zone: Zone,
    pub(crate) enis: usize,
}

impl NodePlan {
    /// A node called `name` inside the lab (its Node object is named as EKS does, by address).
    pub fn new(name: &str, zone: Zone) -> Self {
        Self {
            name: name.to_owned(),
            zone,
            enis: 2,
        }
    }

    /// Leaves out the second ENI.
    pub fn single_eni(mut self) -> Self {
        self.enis = 1;
        self
    }
}

/// A pod.
#[derive(Clone, Debug)]
pub struct PodPlan {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) node: String,
    pub(crate) eni: usize,
    pub(crate) owner: Owner,
    pub(crate) app: Option<String>,
    pub(crate) offloads: bool,
}

/// What made a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nothing: a bare pod.
    None,
    /// A Deployment of this name, through a ReplicaSet.
    Deployment(String),
    /// A DaemonSet of this name.
    DaemonSet(String),
    /// A StatefulSet of this name.
    StatefulSet(String),
    /// A CronJob of this name, through a Job.
    CronJob(String),
}

impl PodPlan {
    /// A bare pod `namespace`/`name` on the lab's node `node`, on its primary ENI.
    pub fn new(namespace: &str, name: &str, node: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            node: node.to_owned(),
            eni: 0,
            owner: Owner::None,
            app: None,
            offloads: true,
        }
    }

    /// Gives the pod an address of the node's second ENI.
    pub fn secondary_eni(mut self) -> Self {
        self.eni = 1;
        self
    }

    /// The controller that made the pod.
    pub fn owner(mut self, owner: Owner) -> Self {
        self.owner = owner;
        self
    }

    /// The value of the pod's label `app`.
    pub fn app(mut self, app: &str) -> Self {
        self.app = Some(app.to_owned());
        self
    }

    /// Turns segmentation offload off at the pod's own interface, so that what the pod sends
    /// passes the tc hook one wire packet at a time and interface counters are truth.
    pub fn without_offloads(mut self) -> Self {
        self.offloads = false;
        self
    }
}

/// A Service with its backends, which need not be pods of the lab.
#[derive(Clone, Debug)]
pub struct ServicePlan {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) cluster_ip: IpAddr,
    pub(crate) ports: Vec<ServicePort>,
    pub(crate) backends: Vec<IpAddr>,
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
}
