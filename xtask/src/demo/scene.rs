//! What plays: the nodes, the pods and what they send each other.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use zonemeter_lab::{
    Count, HostGroups, Lab, Namespace, Owner, Plan, Pod, PodPlan, Record, ServicePlan, Transport,
    Way, Zone,
};

use super::part::Part;
use crate::repository;

/// Out of the range that EKS gives to Services.
const SERVICE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 100, 27, 14));
const SERVERS: [&str; 2] = [
    "default/server-dep-797d-b9jf8",
    "default/server-dep-797d-8m6hx",
];
const HTTP_PORT: u16 = 8080;
const IPERF_PORT: u16 = 5201;
/// Enough to be seen, and leaves the machine usable.
const IPERF_BITRATE: &str = "400M";
const PAGE_BYTES: u64 = 20_000;
const DOWNLOAD_BYTES: u64 = 20_000_000;
const DOWNLOAD_RATE: &str = "4M";
/// The node that pulls images, and the unit that does it there.
pub(super) const PULLING: &str = "a1";
const CONTAINERD: &str = "system.slice/containerd.service";

/// A client that loops over a Service with two servers in two zones, two iperf3 pods on one node,
/// a pod that downloads from the internet, and two that read from what stands for S3: one by a NAT
/// gateway in another zone, one by a gateway endpoint. The containerd of a node pulls an image from
/// what stands for a registry.
pub(super) fn plan(name: &str) -> Plan {
    let deployed = |name: &str, hash: &str, node: &str| {
        PodPlan::new("default", &format!("{name}-{hash}"), node)
            .owner(Owner::Deployment(name.to_owned()))
    };
    Plan::new(name)
        .pod(deployed("client-dep", "6c8f-x2v7p", "a1"))
        .pod(deployed("server-dep", "797d-b9jf8", "a2").app("server"))
        .pod(deployed("server-dep", "797d-8m6hx", "b1").app("server"))
        .pod(PodPlan::new("iperf3", "client", "b1"))
        .pod(PodPlan::new("iperf3", "server", "b1"))
        .pod(deployed("updater", "5b4d-tq9wl", "a2"))
        .pod(deployed("reports", "7c9f-m2k8d", "b1"))
        .pod(deployed("archive", "6d9c-p4w7z", "a1"))
}

/// Zone B has no way out but a NAT gateway in zone A; zone A has an internet gateway, and a gateway
/// endpoint for S3. The networks file says so, and which host of the internet is S3's.
pub(super) fn name_networks(lab: &Lab) -> Result<()> {
    let (by_nat, s3) = (Zone::B.subnet_v4(), format!("{}/32", s3(lab)));
    lab.add_nat_gateway(Zone::A)?;
    lab.route_by(Zone::A, &by_nat, &s3, 10)?;
    let mut text = fs::read_to_string(lab.networks_file()).context("the networks file")?;
    for (zone, ways) in [
        (
            Zone::A,
            "internet: igw, awsServices: { s3: gateway_endpoint }",
        ),
        (Zone::B, "internet: nat, natZone: us-east-2a"),
    ] {
        let cidr = format!("{{ cidr: \"{}\",", zone.subnet_v4());
        text = text.replace(&cidr, &format!("{cidr} {ways},"));
    }
    text += &format!("  - {{ cidr: {s3}, scope: aws_service, name: s3 }}\n");
    let registry = registry(lab);
    text += &format!("  - {{ cidr: {registry}/32, scope: aws_service, name: ecr }}\n");
    fs::write(lab.networks_file(), text).context("the networks file")
}

fn s3(lab: &Lab) -> IpAddr {
    lab.internet_host(1)
}

fn registry(lab: &Lab) -> IpAddr {
    lab.internet_host(2)
}

/// The cgroups of the node that pulls images: what its agent is given as `--cgroup-dir`.
pub(super) fn groups(lab: &str) -> Result<HostGroups> {
    let groups = HostGroups::new(lab)?;
    groups.add(CONTAINERD)?;
    Ok(groups)
}

/// The Service in front of both servers.
pub(super) fn add_service(lab: &mut Lab) -> Result<()> {
    let mut service =
        ServicePlan::new("default", "server", SERVICE_ADDRESS).port(Transport::Tcp, 80, HTTP_PORT);
    for server in SERVERS {
        service = service.backend(lab.pod(server)?.address());
    }
    lab.add_service(service)
}

/// The running senders and servers. Dropped, they are killed; the lab's end would do it too.
pub(super) struct Traffic {
    children: Vec<Child>,
    keep: bool,
}

impl Traffic {
    /// Starts everything that [`plan`] has pods for.
    pub(super) fn start(lab: &Lab, groups: &HostGroups) -> Result<Self> {
        let mut traffic = Self {
            children: Vec::new(),
            keep: false,
        };
        let pod = |key: &str| lab.pod(&format!("default/{key}"));
        for server in SERVERS {
            traffic.add(http_server(lab.pod(server)?.namespace()))?;
        }
        traffic.add(http_server(lab.internet()))?;
        traffic.add(client(&pod("client-dep-6c8f-x2v7p")?))?;
        traffic.add(download(&pod("updater-5b4d-tq9wl")?, lab.internet_host(0)))?;
        traffic.add(download(&pod("reports-7c9f-m2k8d")?, s3(lab)))?;
        traffic.add(download(&pod("archive-6d9c-p4w7z")?, s3(lab)))?;
        let node = lab.node(PULLING)?;
        traffic.add(pull(node.namespace(), groups, registry(lab)))?;
        let (sender, receiver) = (lab.pod("iperf3/client")?, lab.pod("iperf3/server")?);
        traffic.add(iperf_server(&receiver))?;
        traffic.add(iperf_client(&sender, receiver.address()))?;
        Ok(traffic)
    }

    /// Ends every sender and server; what they had sent stays counted.
    pub(super) fn stop(&mut self) -> Result<()> {
        for child in &mut self.children {
            let group = -i32::try_from(child.id()).context("a process id")?;
            // SAFETY: kill takes no pointers; the child is not waited for yet, so the group is
            // its own.
            unsafe { libc::kill(group, libc::SIGKILL) };
            child.wait().context("waiting for the traffic to end")?;
        }
        self.children.clear();
        Ok(())
    }

    /// Leaves them running when the value is dropped.
    pub(super) fn keep(&mut self) {
        self.keep = true;
    }

    /// In a process group of its own: a shell's loop ends together with what it runs.
    fn add(&mut self, mut command: Command) -> Result<()> {
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        self.children.push(child);
        Ok(())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        if !self.keep {
            let _ = self.stop();
        }
    }
}

/// This program again, inside the namespace.
fn http_server(on: &Namespace) -> Command {
    let mut command = on.command(repository::own_program());
    command.args(Part::HttpServer.arguments(on.name(), HTTP_PORT));
    command
}

/// A loop over HTTP, as the application has it: each request is a connection of its own, and
/// kube-proxy's rules choose the server.
fn client(from: &Pod) -> Command {
    let get = format!(
        "curl --silent --output /dev/null --max-time 5 http://{SERVICE_ADDRESS}/{PAGE_BYTES}"
    );
    shell_loop(from, &get, "0.03")
}

fn download(from: &Pod, host: IpAddr) -> Command {
    shell_loop(from, &get(host), "0.5")
}

/// A process of the node itself, in the cgroup of containerd.
fn pull(node: &Namespace, groups: &HostGroups, host: IpAddr) -> Command {
    let mut command = node.command("sh");
    let join = format!("echo $$ > {}", groups.processes(CONTAINERD).display());
    let pull = get(host);
    command.args([
        "-c",
        &format!("{join}; while :; do {pull}; sleep 0.5; done"),
    ]);
    command
}

fn get(host: IpAddr) -> String {
    let server = SocketAddr::new(host, HTTP_PORT);
    format!(
        "curl --silent --output /dev/null --limit-rate {DOWNLOAD_RATE} http://{server}/{DOWNLOAD_BYTES}"
    )
}

fn shell_loop(from: &Pod, body: &str, pause_s: &str) -> Command {
    let mut command = from.namespace().command("sh");
    command.args(["-c", &format!("while :; do {body}; sleep {pause_s}; done")]);
    command
}

fn iperf_server(on: &Pod) -> Command {
    let mut command = on.namespace().command("iperf3");
    command.args(["--server", "--port", &IPERF_PORT.to_string()]);
    command
}

/// Starts anew until its server listens, and goes on until it is ended.
fn iperf_client(from: &Pod, server: IpAddr) -> Command {
    let run =
        format!("iperf3 --client {server} --port {IPERF_PORT} --time 0 --bitrate {IPERF_BITRATE}");
    shell_loop(from, &run, "0.2")
}

/// What counters apart from the agents saw: of all pods what they sent and received, of the nodes what
/// they sent, counted where packets arrive, as they are on the wire.
pub(super) struct WireTruth {
    pub(super) transmit: Count,
    pub(super) receive: Count,
    pub(super) sent_by_nodes: Count,
}

/// Reads those counters. What a pod sends is counted at the far end of its node's uplink, or at
/// the receiving pod when that is on the same node; what it receives, inside the pod. The scene
/// speaks IPv4; what the kernel says in IPv6 of its own accord stays on each link.
pub(super) fn wire_truth(lab: &Lab) -> Result<WireTruth> {
    let arrived = |record: &&Record| record.way == Way::Arrived && record.source.is_ipv4();
    let uplinks = lab.uplink_truth()?;
    // Only the node speaks with the registry. Its address alone would not tell: pods leave by it, too.
    let is_pull = |record: &&Record| record.destination == registry(lab);
    let sent = || uplinks.pairs.iter().filter(arrived);
    let sent_by_nodes = zonemeter_lab::count(sent().filter(is_pull));
    let mut transmit = zonemeter_lab::count(sent().filter(|record| !is_pull(record)));
    let mut receive = Count::default();
    for pod in lab.pods() {
        let truth = lab.pod_truth(pod)?;
        let is_neighbour = |address: IpAddr| {
            let mut pods = lab.pods().iter();
            pods.any(|other| other.address() == address && other.node().name() == pod.node().name())
        };
        let records = || truth.pairs.iter().filter(arrived);
        receive = receive + zonemeter_lab::count(records());
        transmit =
            transmit + zonemeter_lab::count(records().filter(|record| is_neighbour(record.source)));
    }
    Ok(WireTruth {
        transmit,
        receive,
        sent_by_nodes,
    })
}
