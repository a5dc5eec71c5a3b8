//! Raising: from the plan to namespaces, cables, addresses, rules and files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::Ipv4Addr,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    address::{NodeAddresses, Space, VPC_V4, Zone},
    cluster_api::ClusterApi,
    lab::Lab,
    names::{LabName, check_node},
    namespace::Namespace,
    node::{Management, Node, NodeInfo},
    plan::{KubeProxy, NodePlan, Plan, PodPlan},
    pod::Pod,
    source::Source,
    sweep, tool,
    truth::{self, UPLINK_TRUTH, Watched},
    wiring::{self, aws_rules, branch_eni, dns_cache, kube_proxy, node, pod, second_veth, vpc},
};

/// Segmentation and joining, everything that makes an skb differ from a wire packet.
const OFFLOADS_OFF: [&str; 10] = [
    "tso",
    "off",
    "gso",
    "off",
    "gro",
    "off",
    "tx-udp-segmentation",
    "off",
    "tx-gso-list",
    "off",
];

/// How long to wait for another process that has a lab of the same name.
const LOCK_PATIENCE: Duration = Duration::from_secs(120);

impl Lab {
    /// Removes what a killed run of the same name left, then raises the plan. Needs root and
    /// the tools that `cargo xtask setup` installs.
    pub fn raise(plan: Plan) -> Result<Self> {
        tool::require()?;
        let name = LabName::new(&plan.name)?;
        let lock = lock(&name)?;
        sweep::sweep(&name)?;
        let raised = Self::build(plan, name.clone(), lock);
        if raised.is_err() {
            // What stands is removed with the error in hand, which matters more than a second.
            let _ = sweep::sweep(&name);
        }
        raised.with_context(|| format!("raise lab {name}"))
    }

    fn build(plan: Plan, name: LabName, lock: UnixListener) -> Result<Self> {
        let (router, internet) = (name.namespace("vpc"), name.namespace("internet"));
        let mut namespaces = vec![router.clone(), internet.clone()];
        namespaces.extend(plan.nodes.iter().map(|node| name.namespace(&node.name)));
        make_namespaces(&namespaces)?;
        let directory = sweep::directory(&name);
        let nodes = make_nodes(&plan.nodes, plan.space, &name)?;
        let mut lab = Self {
            family: plan.family,
            mtu: plan.mtu,
            veth_offloads: plan.veth_offloads,
            flow_truth: plan.flow_truth,
            router: Namespace::open(&router)?,
            internet: Namespace::open(&internet)?,
            nodes,
            pods: Vec::new(),
            pods_made: 0,
            announced: BTreeSet::new(),
            crowd: Vec::new(),
            host_pods: plan.host_pods,
            services: plan.services,
            kube_proxy: plan.kube_proxy,
            outside: plan.outside,
            dns_cache_for: plan.dns_cache_for,
            api: None,
            keep: false,
            directory,
            name,
            _lock: lock,
        };
        fs::write(lab.networks_file(), networks_yaml(plan.space))
            .context("write the networks file")?;
        match lab.furnish(plan.pods, plan.uplink_gro, plan.source) {
            Ok(()) => Ok(lab),
            Err(error) => {
                lab.keep = true;
                Err(error)
            }
        }
    }

    fn furnish(&mut self, pods: Vec<PodPlan>, uplink_gro: bool, source: Source) -> Result<()> {
        self.lay_cables()?;
        self.configure_fabric()?;
        for node in &self.nodes {
            node.namespace().ip(&node::lines(node.info()))?;
            if let Some(cluster_dns) = self.dns_cache_for {
                node.namespace().ip(&dns_cache::lines(cluster_dns))?;
            }
            node.namespace().sysctl(&node::link_sysctls())?;
            for (eni, _) in node.info().uplinks() {
                offloads_off(node.namespace(), &format!("eth{eni}"))?;
            }
            if uplink_gro {
                node.set_uplink_gro(true)?;
            }
        }
        for pod in self.make_pods(pods)? {
            self.announced.insert(pod.key());
        }
        for node in &self.nodes {
            self.load_rules(node)?;
        }
        for namespace in [&self.router, &self.internet] {
            namespace.wait_for_links()?;
        }
        for node in &self.nodes {
            node.namespace().wait_for_links()?;
        }
        if source == Source::Api {
            self.api = Some(ClusterApi::start(&self.nodes)?);
        }
        self.publish()
    }

    /// Replaces a node's rules by those for the lab's Services.
    pub(super) fn load_rules(&self, node: &Node) -> Result<()> {
        let (inside, here) = (node.namespace(), kube_proxy::Here::new(node, &self.pods));
        let (chains, rules) = (
            aws_rules::NAT_CHAINS,
            aws_rules::nat(node.info().addresses.eni_v4(0)),
        );
        let mut iptables = aws_rules::mangle();
        let mut ip6tables = String::new();
        match self.kube_proxy {
            KubeProxy::Iptables => {
                let both = |v4, chains, rules| {
                    kube_proxy::iptables::rules(&here, &self.services, v4, chains, rules)
                };
                iptables.push_str(&both(true, chains, &rules));
                ip6tables = both(false, "", "");
            }
            KubeProxy::Nftables => {
                iptables.push_str(&format!("*nat\n{chains}{rules}COMMIT\n"));
                let rules = kube_proxy::nftables::rules(&here, &self.services);
                tool::feed(inside.command("nft").args(["-f", "-"]), &rules)?;
            }
        }
        if let Some(cluster_dns) = self.dns_cache_for {
            iptables.push_str(&dns_cache::rules(cluster_dns));
        }
        tool::feed(&mut inside.command("iptables-restore"), &iptables)?;
        tool::feed(&mut inside.command("ip6tables-restore"), &ip6tables)
    }

    fn lay_cables(&self) -> Result<()> {
        let router = self.router.name();
        let mut lines = vec![vpc::internet_cable(router, self.internet.name(), self.mtu)];
        for node in &self.nodes {
            let management = self.name.management_link(node.info().number);
            lines.extend(node::cables(node.info(), router, &management, self.mtu));
        }
        tool::feed(
            Command::new("ip").args(["-batch", "-"]),
            &tool::lines(&lines),
        )
    }

    fn configure_fabric(&self) -> Result<()> {
        let infos: Vec<NodeInfo> = self.nodes.iter().map(|node| node.info().clone()).collect();
        let mut lines = vpc::router();
        lines.extend(infos.iter().flat_map(vpc::attach));
        self.router.ip(&lines)?;
        self.router.sysctl(&vpc::router_sysctls(&infos))?;
        self.internet.ip(&vpc::internet())?;
        self.router.ip(&vpc::to_outside(&self.outside))?;
        self.internet.ip(&vpc::outside(&self.outside))?;
        for (_, link) in infos.iter().flat_map(NodeInfo::uplinks) {
            offloads_off(&self.router, &link)?;
        }
        offloads_off(&self.router, vpc::INTERNET_LINK)?;
        offloads_off(&self.internet, "eth0")?;
        tool::feed(
            self.router.command("nft").args(["-f", "-"]),
            &truth::script(&Watched {
                links: UPLINK_TRUTH,
                mtu: self.mtu,
                delivered: true,
                flows: self.flow_truth,
            }),
        )
    }
}

/// Creates namespaces and gives them the parameters that interfaces inherit.
pub(super) fn make_namespaces(names: &[String]) -> Result<()> {
    let lines: Vec<String> = names
        .iter()
        .map(|name| format!("netns add {name}"))
        .collect();
    tool::feed(
        Command::new("ip").args(["-batch", "-"]),
        &tool::lines(&lines),
    )?;
    for name in names {
        let namespace = Namespace::open(name)?;
        namespace.sysctl(&wiring::common_sysctls())?;
        namespace.sysctl(&wiring::endpoint_sysctls())?;
    }
    Ok(())
}

/// Lays the pods' veths, then configures both ends: one process per namespace.
pub(super) fn wire_pods(pods: &[Pod], mtu: u32, veth_offloads: bool) -> Result<()> {
    let cables: Vec<String> = pods.iter().flat_map(|pod| cables(pod, mtu)).collect();
    tool::feed(
        Command::new("ip").args(["-batch", "-"]),
        &tool::lines(&cables),
    )?;
    let mut host_sides: BTreeMap<&str, (Namespace, Vec<String>)> = BTreeMap::new();
    for pod in pods {
        pod.namespace().ip(&inside(pod))?;
        if !veth_offloads {
            for veth in [vec![pod.veth()], pod.second_veths()].concat() {
                offloads_off(pod.node().namespace(), veth)?;
            }
        }
        if !pod.info().plan.offloads {
            offloads_off(pod.namespace(), "eth0")?;
        }
        host_sides
            .entry(pod.node().name())
            .or_insert_with(|| (pod.node().namespace().clone(), Vec::new()))
            .1
            .extend(host_side(pod));
    }
    for (namespace, lines) in host_sides.values() {
        namespace.ip(lines)?;
        namespace.wait_for_links()?;
    }
    for pod in pods {
        if let Some(vlan) = pod.info().plan.vlan {
            let settings = branch_eni::sysctls(pod.info(), vlan);
            pod.node().namespace().sysctl(&settings)?;
        }
    }
    pods.iter()
        .try_for_each(|pod| pod.namespace().wait_for_links())
}

fn cables(pod: &Pod, mtu: u32) -> Vec<String> {
    let pod = pod.info();
    let second = pod.second_veths.iter();
    let second = second.map(|veth| second_veth::cable(pod, veth, mtu));
    [pod::cable(pod, mtu)].into_iter().chain(second).collect()
}

fn inside(pod: &Pod) -> Vec<String> {
    let pod = pod.info();
    let second = pod.second_veths.iter();
    let second = second.flat_map(|veth| second_veth::inside(pod, veth));
    pod::inside(pod).into_iter().chain(second).collect()
}

fn host_side(pod: &Pod) -> Vec<String> {
    let pod = pod.info();
    let second = pod.second_veths.iter().flat_map(second_veth::host_side);
    pod::host_side(pod).into_iter().chain(second).collect()
}

fn make_nodes(plans: &[NodePlan], space: Space, lab: &LabName) -> Result<Vec<Node>> {
    let mut per_zone: BTreeMap<Zone, usize> = BTreeMap::new();
    let mut nodes = Vec::new();
    for (number, plan) in plans.iter().enumerate() {
        check_node(&plan.name)?;
        let ordinal = per_zone.entry(plan.zone).or_default();
        let addresses = NodeAddresses::new(plan.zone, *ordinal, space)?;
        *ordinal += 1;
        let namespace = Namespace::open(&lab.namespace(&plan.name))?;
        namespace.sysctl(&node::sysctls())?;
        let directory = sweep::directory(lab).join(&plan.name);
        fs::create_dir_all(&directory).with_context(|| format!("{}", directory.display()))?;
        nodes.push(Node::new(NodeInfo {
            plan: plan.clone(),
            number,
            addresses,
            namespace,
            management: management(lab, number)?,
            directory,
            pin_directory: sweep::pin_directory(lab).join(&plan.name),
        }));
    }
    Ok(nodes)
}

/// A /30 out of 198.18.0.0/15, the range for tests between networks (RFC 2544): the lab's hash
/// picks one of 2048 groups of 16 nodes.
fn management(lab: &LabName, number: usize) -> Result<Management> {
    ensure!(number < 16, "a lab has at most 16 nodes");
    let digest = lab.digest();
    let group = u32::from(u16::from_be_bytes([digest[0], digest[1]])) % 2048;
    let base = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + group * 64 + number as u32 * 4;
    Ok(Management {
        outside: Ipv4Addr::from(base + 1),
        inside: Ipv4Addr::from(base + 2),
    })
}

pub(super) fn offloads_off(namespace: &Namespace, link: &str) -> Result<()> {
    tool::feed(
        namespace
            .command("ethtool")
            .args(["-K", link])
            .args(OFFLOADS_OFF),
        "",
    )
}

fn networks_yaml(space: Space) -> String {
    let mut text = format!("vpc: [{VPC_V4}, \"{}\"]\nnetworks:\n", space.vpc());
    for zone in Zone::ALL {
        for subnet in [zone.subnet_v4(), zone.subnet_v6(space)] {
            let letter = &zone.name()[zone.name().len() - 1..];
            text.push_str(&format!(
                "  - {{ cidr: \"{subnet}\", zone: {}, zoneId: {}, name: private-{letter} }}\n",
                zone.name(),
                zone.id(),
            ));
        }
    }
    text
}

/// One lab of a name at a time on a machine. The lock is an address in the abstract space of
/// Unix sockets: no file stays behind, and the kernel gives it back when the process dies.
fn lock(name: &LabName) -> Result<UnixListener> {
    let address = SocketAddr::from_abstract_name(format!("zonemeter-lab/{name}"))
        .context("name of the lab's lock")?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match UnixListener::bind_addr(&address) {
            Ok(lock) => return Ok(lock),
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                return Err(error).context(format!("lock the lab {name}"));
            }
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(50)),
            Err(_) => bail!("another process has the lab {name}"),
        }
    }
}
