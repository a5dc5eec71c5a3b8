//! Questions that people had of real clusters, each answered on the page within a minute while the
//! pods talk.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use zonemeter_lab::{
    Agent, DEBUG_PORT, HostGroups, Lab, NatGateway, Owner, Plan, Pod, PodPlan, ServicePlan,
    Transport, Zone, browser::Browser, traffic,
};

use super::{CLUSTER_IP, PATIENCE, both, json, number, rate, scratch};

/// This number of the internet's hosts stands for S3.
const S3: usize = 22;
const A_MINUTE: f64 = 60.0;
/// A pod of its node's network, as the CloudWatch add-on has it.
const SHIPPER: &str = "amazon-cloudwatch/fluent-bit-7tq5c";
const UNIT: &str = "system.slice/amazon-ssm-agent.service";
/// Bytes of the acknowledgements that come after a connection's end: they have no socket any more
/// and are the kernel's.
const MOST_AFTER_THE_END: u64 = 8 * 72;

/// One node: a client of a Service with a server in each zone, two iperf3 pods, and a pod that reads from
/// S3; of the node itself a log shipper and a unit of systemd that talk to port 443 outside. Zone A leaves
/// the VPC by a NAT gateway in zone B.
struct Scene {
    lab: Lab,
    nat: NatGateway,
    groups: HostGroups,
    agent: Agent,
    /// What the node itself has opened to each of the two.
    connections: AtomicU64,
}

fn raise() -> Scene {
    let deployed = |name: &str, pod: &str, node: &str| {
        let owner = Owner::Deployment(name.to_owned());
        PodPlan::new("default", pod, node).owner(owner)
    };
    let shipper = Owner::DaemonSet("fluent-bit".to_owned());
    let plan = Plan::new("walks")
        .pod(deployed("client-dep", "client-dep-6c8f-x2v7p", "a1"))
        .pod(deployed("server-dep", "server-dep-797d-b9jf8", "a2"))
        .pod(deployed("server-dep", "server-dep-797d-8m6hx", "b1"))
        .pod(deployed("reports", "reports-7c9f-m2k8d", "a1"))
        .host_pod(PodPlan::new("amazon-cloudwatch", "fluent-bit-7tq5c", "a1").owner(shipper))
        .pod(PodPlan::new("iperf3", "iperf3-client", "a1"))
        .pod(PodPlan::new("iperf3", "iperf3-server", "a1"));
    let mut lab = Lab::raise(plan).unwrap();
    let mut service = ServicePlan::new("default", "server", CLUSTER_IP.parse().unwrap()).port(
        Transport::Tcp,
        80,
        8080,
    );
    for pod in ["server-dep-797d-b9jf8", "server-dep-797d-8m6hx"] {
        service = service.backend(lab.pod(&format!("default/{pod}")).unwrap().address());
    }
    lab.add_service(service).unwrap();
    let nat = lab.add_nat_gateway(Zone::B).unwrap();
    let subnet = Zone::A.subnet_v4();
    lab.route_by(Zone::B, &subnet, "35.92.124.0/24", 10)
        .unwrap();
    let text = fs::read_to_string(lab.networks_file()).unwrap();
    let cidr = format!("{{ cidr: \"{subnet}\",");
    assert!(text.contains(&cidr), "{text}");
    let ways = format!("{cidr} internet: nat, natZone: us-east-2b,");
    let s3 = lab.internet_host(S3);
    let s3 = format!("  - {{ cidr: {s3}/32, scope: aws_service, name: s3 }}\n");
    fs::write(lab.networks_file(), text.replace(&cidr, &ways) + &s3).unwrap();
    let prices =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/zonemeter.prices.yaml");
    let groups = HostGroups::new(&lab.name()).unwrap();
    for path in [UNIT, &container_of(&lab)] {
        groups.add(path).unwrap();
    }
    let plan = lab.agent("a1").unwrap().flag("--interval", "1s");
    let plan = plan.flag("--prices-file", prices).flag("--uplink", "eth*");
    let plan = plan.flag("--cgroup-dir", groups.directory());
    let mut agent = plan.start_ready().unwrap();
    agent
        .wait_until(PATIENCE, |metrics| {
            metrics.sum("zonemeter_host_cgroups", &[("state", "linked")]) >= 2
                && metrics.sum("zonemeter_uplinks", &[]) == 2
        })
        .unwrap();
    Scene {
        lab,
        nat,
        groups,
        agent,
        connections: AtomicU64::new(0),
    }
}

/// The cgroup of the log shipper's container.
fn container_of(lab: &Lab) -> String {
    let uid = lab.pod_uid(SHIPPER).unwrap().replace('-', "_");
    format!(
        "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid}.slice/cri-0a.scope"
    )
}

impl Scene {
    fn pod(&self, key: &str) -> Pod {
        self.lab.pod(key).unwrap()
    }

    /// A process of the node itself, in its cgroup, gets something from port 443 of the internet.
    fn get_on_node(&self, group: &str, host: usize, bytes: usize) {
        let url = format!("http://{}:443/{bytes}", self.lab.internet_host(host));
        let mut curl = self.agent.node().namespace().command("sh");
        curl.args([
            "-c",
            r#"echo $$ > "$0"; exec curl --silent --fail --output /dev/null "$1""#,
        ]);
        let status = curl.arg(self.groups.processes(group)).arg(url).status();
        assert!(status.unwrap().success(), "{group}");
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets them talk for as long as `watch` takes.
    fn talk<T>(&self, watch: impl FnOnce() -> T) -> T {
        let servers = [
            "default/server-dep-797d-b9jf8",
            "default/server-dep-797d-8m6hx",
        ];
        let listen = |key: &str| (self.pod(key).namespace().clone(), 8080);
        let mut listening: Vec<_> = servers.map(listen).into();
        listening.push(listen("iperf3/iperf3-server"));
        listening.extend([8080, 443].map(|port| (self.lab.internet().clone(), port)));
        let _servers: Vec<_> = listening
            .iter()
            .map(|(on, port)| traffic::http_server(on, *port, 4 * PATIENCE).unwrap())
            .collect();
        let outside = |host| self.lab.internet_host(host);
        let iperf = self.pod("iperf3/iperf3-server").address();
        let asked: [(&str, IpAddr, u16, usize); 3] = [
            (
                "default/client-dep-6c8f-x2v7p",
                CLUSTER_IP.parse().unwrap(),
                80,
                20_000,
            ),
            ("default/reports-7c9f-m2k8d", outside(S3), 8080, 200_000),
            ("iperf3/iperf3-client", iperf, 8080, 5_000_000),
        ];
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for (key, address, port, bytes) in asked {
                let (pod, over) = (self.pod(key), &over);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let server = SocketAddr::new(address, port);
                        traffic::http_get(pod.namespace(), server, bytes).unwrap();
                        thread::sleep(Duration::from_millis(100));
                    }
                });
            }
            let of_node = [
                (container_of(&self.lab), 0, 5_000),
                (UNIT.to_owned(), 1, 2_000),
            ];
            for (group, host, bytes) in of_node {
                let over = &over;
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        self.get_on_node(&group, host, bytes);
                        thread::sleep(Duration::from_millis(100));
                    }
                });
            }
            // Ended by a panic, too, or the scope waits for ever.
            let _end = End(&over);
            watch()
        })
    }
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn the_page_answers_each_question_within_a_minute() {
    let mut scene = raise();
    let browser = Browser::find().unwrap();
    let url = format!("http://127.0.0.1:{DEBUG_PORT}");
    let inside = scene.agent.node().namespace();
    let saw = scene.talk(|| {
        browser
            .look(Some(inside), "walks.mjs", &url, &scratch())
            .unwrap()
    });
    assert_eq!(saw["console"], json!([]));
    across_zones(&saw["zones"]);
    port_443(&saw["outside"], scene.lab.internet_host(0));
    inside_a_node(&saw["inside"]);
    by_nat(&saw["nat"]);
    for name in ["zones", "outside", "inside", "nat"] {
        let seconds = number(&saw[name]["seconds"]);
        assert!(seconds < A_MINUTE, "{name} took {seconds} s");
    }
    scene.agent.settled().unwrap();
    the_wire_agrees(&scene);
}

fn says(text: &Value, parts: &[&str]) {
    let text = text.as_str().unwrap();
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// The one row is the answer: both workloads, the Service, both zones, dollars.
fn across_zones(saw: &Value) {
    let rows = saw["shown"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0][0], "default/client-dep");
    says(
        &rows[0][1],
        &["default/server-dep by Service default/server"],
    );
    assert_eq!(rows[0][2], "us-east-2a – us-east-2b");
    says(&rows[0][8], &["$"]);
    says(
        &saw["why"],
        &[
            "server-dep-797d-8m6hx",
            "another than this node's",
            "both ends pay",
        ],
    );
}

/// Who of the node itself it is, by what it goes, and what says so; each number is the JSON's.
fn port_443(saw: &Value, host: IpAddr) {
    let rows = saw["shown"]["rows"].as_array().unwrap();
    let pairs = saw["answer"]["pairs"].as_array().unwrap();
    assert_eq!(rows.len(), pairs.len(), "{rows:?}");
    for (row, pair) in rows.iter().zip(pairs) {
        assert_eq!(pair["host"], true, "{pair}");
        assert_eq!(row[3], "internet by nat");
        for (column, direction) in [(4, "transmit"), (5, "receive")] {
            let shown = rate(number(&pair[direction]["bytes_per_second"]));
            assert_eq!(row[column], shown, "{direction}: {row}");
        }
    }
    assert_eq!(rows[0][0], "amazon-cloudwatch/fluent-bit of the node");
    assert_eq!(rows[1][0], "amazon-ssm-agent.service of the node");
    says(&saw["addresses"], &[&host.to_string()]);
    says(
        &saw["connections"],
        &["fluent-bit-7tq5c", &format!("{host}:443")],
    );
    says(
        &saw["why"],
        &[
            "Why internet?",
            "in no special-purpose range",
            "by nat",
            "cgroup: sockets of",
            "another zone than the node's",
        ],
    );
}

/// What stays inside the node is left out until it is asked for, and then it is nearly all there is.
fn inside_a_node(saw: &Value) {
    let busiest = &saw["shown"]["rows"][0];
    assert_eq!(busiest[0], "iperf3/iperf3-client");
    assert_eq!(busiest[3], "intra_node");
    let zones = saw["answer"]["zones"].as_array().unwrap();
    let own = zones
        .iter()
        .find(|row| row["scope"] == "intra_node")
        .unwrap();
    assert!(!saw["before"].as_str().unwrap().contains(&rate(both(own))));
    let cells = saw["shown"]["matrix"].as_array().unwrap();
    let within = cells.iter().find(|cell| cell[0] == cell[1]).unwrap();
    assert_ne!(within[2], "–", "{cells:?}");
}

/// The card, the row and its why: the gateway's zone, and both prices.
fn by_nat(saw: &Value) {
    let card = &saw["shown"]["cards"]["card-nat"];
    says(&card[2], &["/s to a gateway in another zone"]);
    let rows = saw["shown"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0][2], "us-east-2a – NAT in us-east-2b");
    assert_eq!(rows[0][3], "aws_service by nat");
    let pair = &saw["answer"]["pairs"][0];
    assert_eq!(card[0], rate(both(pair)));
    // $0.045 for each GB and $0.01 for crossing, for 730 hours.
    let month = both(pair) / 1e9 * 0.055 * 3600.0 * 730.0;
    let found = number(&pair["dollars_per_month"]);
    assert!((found / month - 1.0).abs() < 1e-6, "{found} of {month}");
    says(
        &saw["why"],
        &[
            "NAT gatewayin us-east-2b, another zone than the pod's",
            "$0.045 each way by nat, $0.01 each way for crossing to the NAT gateway in us-east-2b (prices of 2026-05)",
            "this end pays",
        ],
    );
}

/// What the page's rows are made of is what went over the wire, to the byte.
fn the_wire_agrees(scene: &Scene) {
    let answer = json(&scene.agent, "/api/pairs?window=start");
    let pairs = answer["pairs"].as_array().unwrap();
    let bytes = |local: &str, scope: &str| -> [u64; 2] {
        let of = |pair: &&Value| pair["local"]["workload"] == local && pair["scope"] == scope;
        ["transmit", "receive"].map(|direction| {
            let of = pairs.iter().filter(of);
            of.map(|pair| pair[direction]["bytes"].as_u64().unwrap())
                .sum()
        })
    };
    let address = |key: &str| scene.pod(key).address();
    let between = |one, other| {
        [(one, other), (other, one)].map(|(from, to)| scene.lab.between(from, to).unwrap().bytes)
    };
    let (client, server) = (
        address("default/client-dep-6c8f-x2v7p"),
        address("default/server-dep-797d-8m6hx"),
    );
    assert_eq!(bytes("client-dep", "cross_zone"), between(client, server));
    let (client, server) = (
        address("iperf3/iperf3-client"),
        address("iperf3/iperf3-server"),
    );
    assert_eq!(
        bytes("iperf3-client", "intra_node"),
        between(client, server)
    );
    let truth = scene.nat.truth().unwrap();
    let node = scene.agent.node().address();
    let by_gateway = |host| {
        let host = scene.lab.internet_host(host);
        [truth.arrived(node, host), truth.delivered(host, node)].map(|count| count.bytes)
    };
    assert_eq!(bytes("reports", "aws_service"), by_gateway(S3));
    let [shipper, unit, kernel] =
        ["fluent-bit", "amazon-ssm-agent.service", "kernel"].map(|who| bytes(who, "internet"));
    let wire = [by_gateway(0), by_gateway(1)];
    assert_eq!(shipper[0] + unit[0] + kernel[0], wire[0][0] + wire[1][0]);
    let after_the_end = scene.connections.load(Ordering::Relaxed) * MOST_AFTER_THE_END;
    for (shown, wire) in [shipper, unit].iter().flatten().zip(wire.iter().flatten()) {
        assert!(
            shown <= wire && shown + after_the_end >= *wire,
            "{shown} of {wire}"
        );
    }
}
