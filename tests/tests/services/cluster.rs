//! The cluster in which all paths are taken, with an agent on each node.

use std::net::IpAddr;

use zonemeter_lab::{
    Agent, AgentPlan, Family, KubeProxy, Lab, Plan, PodPlan, ServicePlan, Transport,
};

use crate::{moved::Reading, party::Party};

/// The port that every backend listens on.
pub(crate) const TARGET: u16 = 8080;
/// The port of every Service.
pub(crate) const PORT: u16 = 80;

/// How often agents drain: often, because every path is waited for.
const INTERVAL: &str = "100ms";

/// A standing cluster.
pub(crate) struct Cluster {
    pub(crate) lab: Lab,
    pub(crate) agents: Vec<Agent>,
    pub(crate) family: Family,
    /// What the agents showed when they were last waited for.
    pub(crate) reading: Reading,
}

impl Cluster {
    /// `client` and `near` run on `a1`, `zone` on another node of the zone, `far` in another zone.
    pub(crate) fn raise(name: &str, kube_proxy: KubeProxy, family: Family) -> Self {
        let pods = [
            ("client", "a1"),
            ("near", "a1"),
            ("zone", "a2"),
            ("far", "b1"),
        ];
        let mut plan = Plan::new(name).kube_proxy(kube_proxy).family(family);
        for (pod, node) in pods {
            plan = plan.pod(PodPlan::new("default", pod, node));
        }
        for node in ["a1", "b1"] {
            let name = format!("proxy-{node}");
            plan = plan.host_pod(PodPlan::new("kube-system", &name, node));
        }
        for host in outside(family) {
            plan = plan.outside(host);
        }
        if family.has_v4() {
            plan = plan.node_local_dns(service_address(family, 10));
        }
        let mut lab = Lab::raise(plan).unwrap();
        for service in services(&lab, family) {
            lab.add_service(service).unwrap();
        }
        let agents = lab.start_agents(|agent| agent.flag("--interval", INTERVAL));
        let mut agents = agents.unwrap();
        Self {
            lab,
            reading: Reading::quiet(&mut agents, family),
            agents,
            family,
        }
    }

    /// Ends all agents and starts new ones that name backends by these methods only.
    pub(crate) fn name_backends_by(&mut self, methods: &str) {
        self.restart(|agent| agent.flag("--name-backends-by", methods));
    }

    /// Ends all agents and starts new ones that do not see the kernel's types (BTF).
    pub(crate) fn hide_types(&mut self) {
        let hide = "mount -t tmpfs none /sys/kernel/btf && exec \"$@\"";
        self.restart(|agent| agent.wrapped(&["unshare", "--mount", "sh", "-c", hide, "sh"]));
    }

    fn restart(&mut self, adjust: impl Fn(AgentPlan) -> AgentPlan) {
        self.agents.clear();
        let agents = self
            .lab
            .start_agents(|agent| adjust(agent.flag("--interval", INTERVAL)));
        self.agents = agents.unwrap();
        self.reading = Reading::quiet(&mut self.agents, self.family);
    }

    /// The address of a party of the cluster.
    pub(crate) fn address(&self, party: Party) -> IpAddr {
        party.address(&self.lab, self.family)
    }
}

/// Number `n` of the range of Services.
pub(crate) fn service_address(family: Family, n: u8) -> IpAddr {
    match family.has_v4() {
        true => IpAddr::from([10, 100, 0, n]),
        false => format!("fd5a:6f6e:ffff::{n:x}").parse().unwrap(),
    }
}

/// Hosts out of the cluster: the control plane's interface in zone B, a load balancer in zone A,
/// the instance metadata.
pub(crate) fn outside(family: Family) -> Vec<IpAddr> {
    let hosts = match family.has_v4() {
        true => vec!["192.168.52.7", "192.168.20.5", "169.254.169.254"],
        false => vec!["fd5a:6f6e:0:1:9::7", "fd5a:6f6e:0:0:9::5"],
    };
    hosts
        .into_iter()
        .map(|host| host.parse().unwrap())
        .collect()
}

/// Addresses that nobody has: kube-proxy takes them on every node.
pub(crate) fn outer(family: Family) -> [IpAddr; 2] {
    let hosts = match family.has_v4() {
        true => ["10.8.0.9", "10.8.0.10"],
        false => ["fd00:8::9", "fd00:8::a"],
    };
    hosts.map(|host| host.parse().unwrap())
}

fn services(lab: &Lab, family: Family) -> Vec<ServicePlan> {
    let address = |party: Party| party.address(lab, family);
    let pod = |name| address(Party::Pod(name));
    let [external, balancer] = outer(family);
    let internet = match family.has_v4() {
        true => lab.internet_host(3),
        false => lab.internet_host_v6(3),
    };
    let new = |n, name: &str| {
        ServicePlan::new("default", name, service_address(family, n))
            .port(Transport::Tcp, PORT, TARGET)
            .port(Transport::Udp, PORT, TARGET)
    };
    let node_port = |n, name: &str, tcp: u16| {
        let service = ServicePlan::new("default", name, service_address(family, n));
        let service = service.port(Transport::Tcp, PORT, TARGET).node_port(tcp);
        service.port(Transport::Udp, PORT, TARGET).node_port(tcp)
    };
    let everywhere = |service: ServicePlan| {
        let pods = ["near", "zone", "far"].map(pod);
        pods.into_iter().fold(service, ServicePlan::backend)
    };
    vec![
        ServicePlan::new("default", "kubernetes", service_address(family, 1))
            .port(Transport::Tcp, 443, 443)
            .port(Transport::Udp, 443, 443)
            .backend(outside(family)[0]),
        ServicePlan::new("kube-system", "kube-dns", service_address(family, 10))
            .port(Transport::Udp, 53, TARGET)
            .backend(pod("far"))
            .backend(pod("zone")),
        new(21, "near").backend(pod("near")),
        new(22, "zone").backend(pod("zone")),
        new(23, "far").backend(pod("far")),
        new(24, "own").backend(pod("client")),
        new(25, "host-near").backend(address(Party::Node("a1"))),
        new(26, "host-far").backend(address(Party::Node("b1"))),
        new(27, "outside").backend(internet),
        new(28, "headless").backend(pod("far")).headless(),
        everywhere(new(29, "sticky")).session_affinity(),
        everywhere(new(30, "spread")),
        node_port(31, "port-near", 30_081).backend(pod("near")),
        node_port(32, "port-far", 30_082).backend(pod("far")),
        node_port(33, "port-local", 30_083)
            .backend(pod("near"))
            .only_local(),
        new(34, "external")
            .backend(pod("far"))
            .external_ip(external),
        new(35, "balanced")
            .backend(pod("near"))
            .load_balancer_ip(balancer),
        ServicePlan::new("default", "resolver", service_address(family, 36))
            .port(Transport::Udp, 53, 53)
            .backend(pod("far")),
    ]
}
