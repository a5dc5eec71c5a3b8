//! Questions that people had of real clusters, each answered on the page within a minute while the
//! pods talk.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use zonemeter_lab::{
    Agent, Count, DEBUG_PORT, Lab, NatGateway, Owner, Plan, Pod, PodPlan, ServicePlan, Transport,
    Zone, browser::Browser, traffic,
};

use super::{CLUSTER_IP, PATIENCE, json, number, rate, scratch};

/// This number of the internet's hosts stands for S3.
const S3: usize = 22;
const A_MINUTE: f64 = 60.0;

/// One node's pods: a client of a Service with a server in each zone, a log shipper that talks to
/// port 443 outside, two iperf3 pods, and one that reads from S3. Zone A leaves the VPC by a NAT gateway
/// in zone B.
struct Scene {
    lab: Lab,
    nat: NatGateway,
    agent: Agent,
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
        .pod(PodPlan::new("amazon-cloudwatch", "fluent-bit-7tq5c", "a1").owner(shipper))
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
    let plan = lab.agent("a1").unwrap().flag("--interval", "1s");
    let agent = plan.flag("--prices-file", prices).start_ready().unwrap();
    Scene { lab, nat, agent }
}

impl Scene {
    fn pod(&self, key: &str) -> Pod {
        self.lab.pod(key).unwrap()
    }

    /// Lets the pods talk for as long as `watch` takes.
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
        let asked: [(&str, IpAddr, u16, usize); 4] = [
            (
                "default/client-dep-6c8f-x2v7p",
                CLUSTER_IP.parse().unwrap(),
                80,
                20_000,
            ),
            ("default/reports-7c9f-m2k8d", outside(S3), 8080, 200_000),
            ("amazon-cloudwatch/fluent-bit-7tq5c", outside(0), 443, 5_000),
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

/// Who it is, by what it goes, and what says so.
fn port_443(saw: &Value, host: IpAddr) {
    let rows = saw["shown"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0][0], "amazon-cloudwatch/fluent-bit");
    assert_eq!(rows[0][3], "internet by nat");
    says(&saw["addresses"], &[&host.to_string()]);
    says(
        &saw["connections"],
        &["fluent-bit-7tq5c", &format!("{host}:443")],
    );
    says(
        &saw["why"],
        &["Why internet?", "in no special-purpose range", "by nat"],
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
    let sum =
        number(&own["transmit"]["bytes_per_second"]) + number(&own["receive"]["bytes_per_second"]);
    assert!(!saw["before"].as_str().unwrap().contains(&rate(sum)));
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
    let both = number(&pair["transmit"]["bytes_per_second"])
        + number(&pair["receive"]["bytes_per_second"]);
    assert_eq!(card[0], rate(both));
    // $0.045 for each GB and $0.01 for crossing, for 730 hours.
    let month = both / 1e9 * 0.055 * 3600.0 * 730.0;
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
    let bytes = |local: &str, scope: &str| -> u64 {
        let pairs = answer["pairs"].as_array().unwrap().iter();
        let of = pairs.filter(|pair| pair["local"]["workload"] == local && pair["scope"] == scope);
        of.map(|pair| {
            pair["transmit"]["bytes"].as_u64().unwrap() + pair["receive"]["bytes"].as_u64().unwrap()
        })
        .sum()
    };
    let sum = |counts: [Count; 2]| counts[0].bytes + counts[1].bytes;
    let address = |key: &str| scene.pod(key).address();
    let between = |one, other| {
        let way = |from, to| scene.lab.between(from, to).unwrap();
        sum([way(one, other), way(other, one)])
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
        sum([truth.arrived(node, host), truth.delivered(host, node)])
    };
    assert_eq!(bytes("fluent-bit", "internet"), by_gateway(0));
    assert_eq!(bytes("reports", "aws_service"), by_gateway(S3));
}
