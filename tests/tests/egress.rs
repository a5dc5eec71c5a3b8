//! By what traffic leaves the VPC: the label `via`, against the wire at a NAT gateway in another
//! zone, at a gateway endpoint and at the internet's own link.
//!
//! The VPC of these tests has three subnets in zone A, as a networks file of its own tells and as the
//! lab's router routes: nodes, pods (custom networking), and IPv6.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use zonemeter_lab::{
    Agent, Count, Family, Lab, Metrics, NatGateway, Plan, Pod, PodPlan, Space, Zone,
    traffic::{self, Datagrams},
};

/// The ENIs of zone A's nodes, and what is left of its subnet: the addresses of their pods.
const NODES: &str = "192.168.0.0/21";
const PODS: &str = "192.168.8.0/21";
const INTERNET: &str = "35.92.124.0/24";
/// The hosts of the internet from number 22 on stand for S3.
const S3: &str = "35.92.124.32/28";
const FIRST_OF_S3: usize = 22;

/// `pod direction scope via peer_zone`
type Series = (String, String, String, String, String);
type Traffic = BTreeMap<Series, Count>;

struct Cluster {
    lab: Lab,
    nat: NatGateway,
    agents: Vec<Agent>,
    expected: Traffic,
}

impl Cluster {
    /// Agents that read this networks file. Nodes' packets to the internet go to a NAT gateway in
    /// zone B and those to S3 do not; of pods' own packets it is the other way round.
    fn raise(plan: Plan, networks: &str, source_nat: Option<&Value>) -> Self {
        let plan = plan
            .pod(PodPlan::new("default", "a", "a1"))
            .pod(PodPlan::new("default", "b", "a1"));
        let lab = Lab::raise(plan).unwrap();
        let nat = lab.add_nat_gateway(Zone::B).unwrap();
        lab.route_directly(NODES, S3, 10).unwrap();
        lab.route_by(Zone::B, NODES, INTERNET, 11).unwrap();
        lab.route_by(Zone::B, PODS, S3, 12).unwrap();
        fs::write(lab.networks_file(), networks).unwrap();
        if let Some(environment) = source_nat {
            announce_cni(&lab, environment);
        }
        let agents = lab.start_agents(|agent| agent.flag("--interval", "100ms"));
        Self {
            agents: agents.unwrap(),
            lab,
            nat,
            expected: Traffic::new(),
        }
    }

    fn pod(&self, name: &str) -> Pod {
        self.lab.pod(&format!("default/{name}")).unwrap()
    }

    /// Payload in both directions between the pod and an address that nobody else talks to.
    fn exchange(&self, pod: &Pod, address: IpAddr) {
        let server = self.lab.internet();
        let inside = pod.namespace();
        traffic::tcp_transfer(inside, server, address, 0, 1_000_000).unwrap();
        let http = traffic::http_server(server, 0, Duration::from_secs(30)).unwrap();
        traffic::http_get(inside, SocketAddr::new(address, http.port), 1_000_000).unwrap();
        let to = SocketAddr::new(address, 7000);
        traffic::udp_send(inside, server, to, Datagrams::new(50, 1000)).unwrap();
    }

    /// The pod's packets to the address arrive at the NAT gateway from `source`, and its answers
    /// leave there for it.
    fn by_nat(&mut self, pod: &Pod, source: IpAddr, address: IpAddr, scope: &str) {
        self.exchange(pod, address);
        settle();
        let truth = self.nat.truth().unwrap();
        let sent = truth.arrived(source, address);
        let got = truth.delivered(address, source);
        // Not one of them took another way.
        let uplinks = self.lab.uplink_truth().unwrap();
        assert_eq!(uplinks.arrived(source, address), sent);
        self.expect(pod, [sent, got], scope, "nat", "us-east-2b");
    }

    /// They pass the NAT gateway by.
    fn directly(&mut self, pod: &Pod, source: IpAddr, address: IpAddr, labels: [&str; 2]) {
        self.exchange(pod, address);
        settle();
        let truth = self.nat.truth().unwrap();
        assert_eq!(truth.arrived(source, address), Count::default());
        let uplinks = self.lab.uplink_truth().unwrap();
        let sent = uplinks.arrived(source, address);
        let got = uplinks.delivered(address, source);
        let [scope, via] = labels;
        self.expect(pod, [sent, got], scope, via, "");
    }

    fn expect(&mut self, pod: &Pod, counts: [Count; 2], scope: &str, via: &str, zone: &str) {
        for (direction, count) in ["transmit", "receive"].into_iter().zip(counts) {
            assert!(
                count.bytes > 1_000_000,
                "{direction} {scope} {via}: {count:?}"
            );
            let words = [pod.name(), direction, scope, via, zone].map(str::to_owned);
            let entry = self.expected.entry(words.into()).or_default();
            *entry = *entry + count;
        }
    }

    /// All series of all pods but for background are the expected ones, and no other: each byte once.
    fn check(mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let mut found = Traffic::new();
            for metrics in Agent::all_settled(&mut self.agents).unwrap() {
                found.extend(shown(&metrics));
            }
            if found == self.expected {
                return;
            }
            let wanted = &self.expected;
            assert!(
                Instant::now() < deadline,
                "metrics {found:#?}, wire {wanted:#?}"
            );
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Until the last packets of closed connections are through.
fn settle() {
    thread::sleep(zonemeter_lab::SILENCE);
}

fn shown(metrics: &Metrics) -> Traffic {
    let mut traffic = Traffic::new();
    let families = ["zonemeter_pod_bytes_total", "zonemeter_pod_packets_total"];
    for (family, is_bytes) in families.into_iter().zip([true, false]) {
        for sample in metrics.select(family, &[]) {
            let labels = ["pod", "direction", "scope", "via", "peer_zone"];
            let words = labels.map(|label| sample.label(label).to_owned());
            let entry = traffic.entry(words.into()).or_default();
            match is_bytes {
                true => entry.bytes += sample.value as u64,
                false => entry.packets += sample.value as u64,
            }
        }
    }
    traffic.retain(|series, count| *count != Count::default() && series.2 != "link_local");
    traffic
}

/// The CNI's own pod on each node, with the environment that tells what it does.
fn announce_cni(lab: &Lab, environment: &Value) {
    let mut list: Value = serde_json::from_str(&lab.cluster_json()).unwrap();
    let pods: Vec<Value> = lab
        .nodes()
        .iter()
        .map(|node| {
            let name = format!("aws-node-{}", node.name());
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": "kube-system", "uid": name},
                "spec": {"nodeName": node.object_name(), "hostNetwork": true, "containers": [
                    {"name": "aws-node", "env": environment},
                ]},
                "status": {"phase": "Running", "podIP": node.address(),
                    "podIPs": [{"ip": node.address()}]},
            })
        })
        .collect();
    list["items"].as_array_mut().unwrap().extend(pods);
    fs::write(lab.cluster_file(), list.to_string()).unwrap();
}

/// The file as `zonemeter networks` would write it for this VPC.
fn networks(vpc_v6: &str, subnet_v6: &str) -> String {
    format!(
        "vpc: [192.168.0.0/16, \"{vpc_v6}\"]\n\
         networks:\n\
         - {{ cidr: {NODES}, zone: us-east-2a, name: nodes, internet: nat, natZone: us-east-2b, \
         awsServices: {{ s3: gateway_endpoint }} }}\n\
         - {{ cidr: {PODS}, zone: us-east-2a, name: pods, internet: igw, natZone: us-east-2b, \
         awsServices: {{ s3: nat }} }}\n\
         - {{ cidr: \"{subnet_v6}\", zone: us-east-2a, name: nodes, internet: egress_only, \
         natZone: us-east-2b }}\n\
         - {{ cidr: 192.168.32.0/19, zone: us-east-2b, name: public, internet: igw }}\n\
         - {{ cidr: {S3}, scope: aws_service, name: s3 }}\n"
    )
}

fn networks_v4() -> String {
    networks("fd5a:6f6e::/56", "fd5a:6f6e::/64")
}

/// The CNI's default: packets have the node's address where they leave, so its subnet decides, whatever
/// subnet the pods are in.
#[test]
fn translated_packets_go_the_way_of_the_nodes_subnet() {
    let mut cluster = Cluster::raise(Plan::new("via-snat"), &networks_v4(), None);
    let node = cluster.lab.node("a1").unwrap().address();
    for (index, name) in ["a", "b"].into_iter().enumerate() {
        let pod = cluster.pod(name);
        let [internet, s3] = [index, FIRST_OF_S3 + index].map(|n| cluster.lab.internet_host(n));
        cluster.by_nat(&pod, node, internet, "internet");
        cluster.directly(&pod, node, s3, ["aws_service", "gateway_endpoint"]);
    }
    cluster.check();
}

/// Without translation the subnet of the pods' own addresses decides: custom networking.
#[test]
fn packets_that_keep_their_source_go_the_way_of_the_pods_subnet() {
    let external = json!([{"name": "AWS_VPC_K8S_CNI_EXTERNALSNAT", "value": "true"}]);
    let plan = Plan::new("via-external");
    let mut cluster = Cluster::raise(plan, &networks_v4(), Some(&external));
    let node = cluster.lab.node("a1").unwrap();
    cluster.lab.load_iptables(&node, "*nat\nCOMMIT\n").unwrap();
    for (index, name) in ["a", "b"].into_iter().enumerate() {
        let pod = cluster.pod(name);
        let [internet, s3] = [index, FIRST_OF_S3 + index].map(|n| cluster.lab.internet_host(n));
        let own = pod.address();
        cluster.directly(&pod, own, internet, ["internet", "igw"]);
        cluster.by_nat(&pod, own, s3, "aws_service");
    }
    cluster.check();
}

/// IPv6 leaves by an egress-only gateway, and by NAT64 for IPv4.
#[test]
fn ipv6_goes_by_its_own_gateway_and_nat64_by_the_nat_gateway() {
    let space = Space::Global;
    let networks = networks(space.vpc(), &Zone::A.subnet_v6(space));
    let plan = Plan::new("via-v6").family(Family::V6).space(space);
    let mut cluster = Cluster::raise(plan, &networks, None);
    for (index, name) in ["a", "b"].into_iter().enumerate() {
        let pod = cluster.pod(name);
        let host = cluster.lab.internet_host_v6(index);
        cluster.directly(&pod, pod.address(), host, ["internet", "egress_only"]);
        for (host, scope) in [(10 + index, "internet"), (32 + index, "aws_service")] {
            let behind: IpAddr = format!("64:ff9b::35.92.124.{host}").parse().unwrap();
            cluster.lab.nat64_host(behind).unwrap();
            cluster.by_nat(&pod, pod.address(), behind, scope);
        }
    }
    cluster.check();
}
