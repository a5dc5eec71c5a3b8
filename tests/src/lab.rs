//! A standing lab.

mod nat;
mod pods;
mod raise;

use std::{
    collections::BTreeSet,
    net::IpAddr,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

pub use self::nat::NatGateway;

use crate::{
    address::{self, Family},
    agent::{Agent, AgentPlan},
    cluster_api::ClusterApi,
    cluster_file,
    names::LabName,
    namespace::Namespace,
    node::Node,
    plan::{KubeProxy, PodPlan, ServicePlan},
    pod::Pod,
    sweep, tool,
    truth::{self, Count, Truth},
    wiring,
};

/// Nodes, pods, a router and an internet that stand until the value is dropped.
#[derive(Debug)]
pub struct Lab {
    name: LabName,
    family: Family,
    mtu: u32,
    veth_offloads: bool,
    flow_truth: bool,
    directory: PathBuf,
    router: Namespace,
    internet: Namespace,
    nodes: Vec<Node>,
    pods: Vec<Pod>,
    pods_made: usize,
    announced: BTreeSet<String>,
    crowd: Vec<IpAddr>,
    host_pods: Vec<PodPlan>,
    services: Vec<ServicePlan>,
    kube_proxy: KubeProxy,
    outside: Vec<IpAddr>,
    dns_cache_for: Option<IpAddr>,
    /// Where agents read the live API.
    api: Option<ClusterApi>,
    keep: bool,
    /// Held for as long as the lab stands.
    _lock: UnixListener,
}

impl Lab {
    /// The lab's name.
    pub fn name(&self) -> String {
        self.name.to_string()
    }

    /// The directory of the lab's files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What `--cluster-file` is given.
    pub fn cluster_file(&self) -> PathBuf {
        self.directory.join("cluster.json")
    }

    /// What `--networks-file` is given: the VPC's ranges and its subnets by zone.
    pub fn networks_file(&self) -> PathBuf {
        self.directory.join("networks.yaml")
    }

    /// Every node, in the plan's order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node that the plan calls `name`.
    pub fn node(&self, name: &str) -> Result<Node> {
        self.nodes
            .iter()
            .find(|node| node.name() == name)
            .cloned()
            .with_context(|| format!("lab {} has no node {name}", self.name))
    }

    /// Every wired pod, in the order of wiring.
    pub fn pods(&self) -> &[Pod] {
        &self.pods
    }

    /// The wired pod `namespace/name`.
    pub fn pod(&self, key: &str) -> Result<Pod> {
        self.pods
            .iter()
            .find(|pod| pod.key() == key)
            .cloned()
            .with_context(|| format!("lab {} has no pod {key}", self.name))
    }

    /// The internet's namespace.
    pub fn internet(&self) -> &Namespace {
        &self.internet
    }

    /// The address of the internet's host number `index`, in the lab's first family.
    pub fn internet_host(&self, index: usize) -> IpAddr {
        address::internet_host(self.family, index)
    }

    /// The address of the internet's host number `index` in IPv6.
    pub fn internet_host_v6(&self, index: usize) -> IpAddr {
        address::internet_host(Family::V6, index)
    }

    /// An agent for `node`, not started yet.
    pub fn agent(&self, node: &str) -> Result<AgentPlan> {
        let (file, networks) = (self.cluster_file(), self.networks_file());
        let plan = AgentPlan::new(self.node(node)?, &file, &networks);
        Ok(match &self.api {
            None => plan,
            Some(api) => plan
                .without("--cluster-file")
                .flag("--kubeconfig", api.kubeconfig()),
        })
    }

    /// Starts an agent on every node, each plan finished by `finish`, and waits until all are
    /// ready.
    pub fn start_agents(&self, finish: impl Fn(AgentPlan) -> AgentPlan) -> Result<Vec<Agent>> {
        let mut agents = Vec::new();
        for node in &self.nodes {
            agents.push(finish(self.agent(node.name())?).start()?);
        }
        for agent in &mut agents {
            agent.wait_ready(Duration::from_secs(30))?;
        }
        Ok(agents)
    }

    /// What the far ends of all uplinks counted.
    pub fn uplink_truth(&self) -> Result<Truth> {
        truth::read(&self.router)
    }

    /// What arrived at `pod`, counted inside it. Wire truth unless the plan keeps the veths'
    /// offloads.
    pub fn pod_truth(&self, pod: &Pod) -> Result<Truth> {
        ensure!(
            !self.veth_offloads,
            "with veth offloads a pod's counters are not wire truth"
        );
        truth::read(pod.namespace())
    }

    /// What went from `source` to `destination` over the wire. Between pods of one node the
    /// receiving pod counts; otherwise the far end of the sender's uplink, or of the receiver's
    /// where the sender has none.
    pub fn between(&self, source: IpAddr, destination: IpAddr) -> Result<Count> {
        let (from, to) = (self.pod_at(source), self.pod_at(destination));
        if let (Some(from), Some(to)) = (from, to)
            && from.node().name() == to.node().name()
        {
            return Ok(self.pod_truth(to)?.arrived(source, destination));
        }
        let truth = self.uplink_truth()?;
        match self.is_inside(source) {
            true => Ok(truth.arrived(source, destination)),
            false => Ok(truth.delivered(source, destination)),
        }
    }

    /// Wires `plan` as the CNI would, without telling the Kubernetes API.
    pub fn wire_pod(&mut self, plan: PodPlan) -> Result<Pod> {
        let mut pods = self.make_pods(vec![plan])?;
        pods.pop().context("no pod was made")
    }

    /// Lets the cluster file or the API name `pod`.
    pub fn announce(&mut self, pod: &Pod) -> Result<()> {
        self.announced.insert(pod.key());
        self.publish()
    }

    /// Wires and announces a pod.
    pub fn add_pod(&mut self, plan: PodPlan) -> Result<Pod> {
        let pod = self.wire_pod(plan)?;
        self.announce(&pod)?;
        Ok(pod)
    }

    /// Takes `pod` out of the cluster file or the API.
    pub fn withdraw(&mut self, pod: &Pod) -> Result<()> {
        self.announced.remove(&pod.key());
        self.publish()
    }

    /// Deletes the pod's veth, rules and namespace, without telling the Kubernetes API.
    pub fn unwire_pod(&mut self, pod: &Pod) -> Result<()> {
        pod.node()
            .namespace()
            .ip(&wiring::pod::host_side_undo(pod.info()))?;
        self.pods.retain(|other| other.key() != pod.key());
        let delete = format!("netns del {}", pod.namespace().name());
        tool::feed(Command::new("ip").args(["-batch", "-"]), &delete)
    }

    /// Gives the cluster file or the API these pods of their nodes' own network, and no others.
    pub fn set_host_pods(&mut self, pods: Vec<PodPlan>) -> Result<()> {
        self.host_pods = pods;
        self.publish()
    }

    /// Gives the cluster file or the API a pod for each of these addresses in place of those of the
    /// last call. They exist nowhere else: Deployment `remote-N` (five digits) has made number `N`,
    /// which stands on one of the nodes but the first.
    pub fn crowd(&mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Result<()> {
        self.crowd = addresses.into_iter().collect();
        self.publish()
    }

    /// Adds a Service to every node's rules and to the cluster file or the API.
    pub fn add_service(&mut self, service: ServicePlan) -> Result<()> {
        self.services.push(service);
        for node in &self.nodes {
            self.load_rules(node)?;
        }
        self.publish()
    }

    /// Replaces all iptables rules of a node by `dump`, as `iptables-save` prints them.
    pub fn load_iptables(&self, node: &Node, dump: &str) -> Result<()> {
        tool::feed(&mut node.namespace().command("iptables-restore"), dump)
    }

    /// The text of the cluster file as the lab stands now.
    pub fn cluster_json(&self) -> String {
        let pods = self
            .pods
            .iter()
            .filter(|pod| self.announced.contains(&pod.key()));
        cluster_file::render(
            &self.nodes,
            pods,
            &self.pods,
            &self.crowd,
            &self.host_pods,
            &self.services,
        )
    }

    /// The uid of the Pod object `namespace/name`, by which its cgroup is called.
    pub fn pod_uid(&self, key: &str) -> Result<String> {
        let list: serde_json::Value = serde_json::from_str(&self.cluster_json())?;
        let items = list["items"].as_array().into_iter().flatten();
        let name = |item: &serde_json::Value| {
            let metadata = &item["metadata"];
            let part = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
            format!("{}/{}", part("namespace"), part("name"))
        };
        let mut pods = items.filter(|item| item["kind"] == "Pod");
        let pod = pods.find(|item| name(item) == key);
        let uid = pod.and_then(|pod| pod["metadata"]["uid"].as_str());
        let uid = uid.with_context(|| format!("no Pod object {key}"))?;
        Ok(uid.to_owned())
    }

    /// The API server that agents read.
    pub fn api(&mut self) -> Result<&mut ClusterApi> {
        let name = &self.name;
        let api = self.api.as_mut();
        api.with_context(|| format!("the agents of lab {name} read the cluster file"))
    }

    /// Tells whoever agents listen to what the cluster is now.
    fn publish(&mut self) -> Result<()> {
        self.write_cluster_file()?;
        let list = self.cluster_json();
        match &mut self.api {
            None => Ok(()),
            Some(api) => api.hold(&serde_json::from_str(&list)?),
        }
    }

    /// Writes the cluster file anew, in one step.
    pub fn write_cluster_file(&self) -> Result<()> {
        cluster_file::write(&self.cluster_file(), &self.cluster_json())
    }

    /// Leaves the lab standing when the value is dropped; [`crate::remove`] takes it down.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Takes the lab down and reports what could not be removed.
    pub fn end(mut self) -> Result<()> {
        self.keep = true;
        self.api = None;
        sweep::sweep(&self.name)
    }

    fn pod_at(&self, address: IpAddr) -> Option<&Pod> {
        self.pods
            .iter()
            .find(|pod| pod.every_address().contains(&address))
    }

    /// True for addresses whose packets enter the router over an uplink.
    fn is_inside(&self, address: IpAddr) -> bool {
        self.pod_at(address).is_some() || self.nodes.iter().any(|node| node.has(address))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // Its relays listen in the nodes' namespaces.
        self.api = None;
        if let Err(error) = sweep::sweep(&self.name)
            && !thread::panicking()
        {
            panic!("lab {} was not removed: {error:#}", self.name);
        }
    }
}
