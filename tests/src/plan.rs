//! What a lab shall look like, before anything is raised.

mod service;

use std::net::IpAddr;

pub use service::{ServicePlan, ServicePort, Transport};

use crate::{
    address::{Family, Space, Zone},
    source::Source,
};

/// The description of a lab. [`Plan::new`] gives three nodes in two zones and an internet.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) family: Family,
    pub(crate) space: Space,
    pub(crate) mtu: u32,
    pub(crate) uplink_gro: bool,
    pub(crate) veth_offloads: bool,
    pub(crate) flow_truth: bool,
    pub(crate) nodes: Vec<NodePlan>,
    pub(crate) pods: Vec<PodPlan>,
    pub(crate) host_pods: Vec<PodPlan>,
    pub(crate) services: Vec<ServicePlan>,
    pub(crate) kube_proxy: KubeProxy,
    pub(crate) outside: Vec<IpAddr>,
    pub(crate) dns_cache_for: Option<IpAddr>,
}

/// How kube-proxy writes its rules. IPVS is not among them: it needs a kernel with `ip_vs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KubeProxy {
    /// `--proxy-mode iptables`, EKS' default.
    #[default]
    Iptables,
    /// `--proxy-mode nftables`
    Nftables,
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
            source: Source::default(),
            family: Family::V4,
            space: Space::default(),
            mtu: 1500,
            uplink_gro: false,
            veth_offloads: false,
            flow_truth: true,
            nodes: Vec::new(),
            pods: Vec::new(),
            host_pods: Vec::new(),
            services: Vec::new(),
            kube_proxy: KubeProxy::default(),
            outside: Vec::new(),
            dns_cache_for: None,
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

    /// Where IPv6 addresses are from.
    pub fn space(mut self, space: Space) -> Self {
        self.space = space;
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

    /// Counts wire truth by addresses only and not once more by ports: for more connections than
    /// the sets have room for.
    pub fn without_flow_truth(mut self) -> Self {
        self.flow_truth = false;
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

    /// Adds a pod of its node's own network: an object of the API and nothing else.
    pub fn host_pod(mut self, pod: PodPlan) -> Self {
        self.host_pods.push(pod);
        self
    }

    /// Adds a Service.
    pub fn service(mut self, service: ServicePlan) -> Self {
        self.services.push(service);
        self
    }

    /// How every node's kube-proxy writes its rules.
    pub fn kube_proxy(mut self, mode: KubeProxy) -> Self {
        self.kube_proxy = mode;
        self
    }

    /// Adds a host that is no part of the cluster, such as a network interface of the control
    /// plane or a database. It lives in the internet's namespace; the VPC's router knows the way.
    pub fn outside(mut self, address: IpAddr) -> Self {
        self.outside.push(address);
        self
    }

    /// Gives every node NodeLocal DNS: the node itself has 169.254.20.10 and the cluster DNS'
    /// address `cluster_dns`, and conntrack leaves both alone.
    pub fn node_local_dns(mut self, cluster_dns: IpAddr) -> Self {
        self.dns_cache_for = Some(cluster_dns);
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
    pub(crate) second_nic: bool,
    pub(crate) egress: Option<u8>,
    pub(crate) vlan: Option<u16>,
    pub(crate) config_hash: Option<String>,
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
            second_nic: false,
            egress: None,
            vlan: None,
            config_hash: None,
        }
    }

    /// Gives the pod an address of the node's second ENI.
    pub fn secondary_eni(mut self) -> Self {
        self.eni = 1;
        self
    }

    /// Gives the pod a second NIC, `mNicIf1`, with an address of the node's second ENI that the
    /// API knows nothing of. No route of the pod leads there.
    pub fn second_nic(mut self) -> Self {
        self.second_nic = true;
        self
    }

    /// Gives the pod, which has IPv6 only, IPv4 from 169.254.172.`host` by a veth of its own. The
    /// address means something on its node only: pods of other nodes may have the same.
    pub fn ipv4_egress(mut self, host: u8) -> Self {
        self.egress = Some(host);
        self
    }

    /// Gives the pod security groups of its own (strict mode): a branch ENI with this VLAN id.
    pub fn security_groups(mut self, vlan: u16) -> Self {
        self.vlan = Some(vlan);
        self
    }

    /// Makes it a static pod of the kubelet's, whose configuration has this hash: its cgroup is
    /// called by it, and the object of the API is the mirror.
    pub fn config_hash(mut self, hash: &str) -> Self {
        self.config_hash = Some(hash.to_owned());
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
