//! Thousands of short connections per second from one node through one Service.

use std::{
    env, fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use zonemeter_lab::{
    Agent, Lab, Metrics, Namespace, NodePlan, Plan, Pod, PodPlan, ServicePlan, Transport, Zone,
    agent_binary,
};

use crate::{
    connections::{self, Payload, Rate, Reached, SOON},
    document,
};

const CLIENTS: usize = 10;
const BACKENDS: usize = 20;
const NODES: [(&str, Zone); 4] = [
    ("a1", Zone::A),
    ("a2", Zone::A),
    ("b1", Zone::B),
    ("c1", Zone::C),
];
const PER_SECOND: u32 = 5000;
/// Seconds of load; `docs/services.md` is written from a run of 60.
const SECONDS: &str = "ZONEMETER_LOAD_SECONDS";
const ASKED: ([u8; 4], u16) = ([10, 100, 0, 40], 80);
const TARGET: u16 = 8080;
/// Each connection is two flows of a drain, and by default there is room for 80,000.
const INTERVAL: &str = "1s";
/// More than the layer-3 bytes of one connection.
const MOST_OF_ONE: u64 = 2_500;
const PAYLOAD: Payload = Payload {
    request: 200,
    answer: 1000,
};

/// Nothing is lost, and at least 99.9 % of the bytes are named by what conntrack says: by the
/// backend that got them, but for connections on a port that was used again before a drain.
#[test]
fn short_connections_through_a_service_are_all_named_by_conntrack() {
    let seconds: Option<u64> = env::var(SECONDS).ok().map(|text| text.parse().unwrap());
    let rate = Rate {
        per_second: PER_SECOND,
        duration: Duration::from_secs(seconds.unwrap_or(10)),
    };
    let lab = raise();
    let [clients, backends] = ["c", "s"].map(|kind| pods(&lab, kind));
    let agent = lab.agent("a1").unwrap().flag("--interval", INTERVAL);
    let mut agent = agent.start_ready().unwrap();
    let before = agent.scrape().unwrap();
    let reached = load(&clients, &backends, rate);
    let (metrics, misnamed) = stand_still(&mut agent, &lab, &clients, &backends);
    assert!(
        misnamed <= MOST_OF_ONE * reached.reused,
        "{misnamed} bytes are another backend's, {reached:?}"
    );
    assert_eq!(
        metrics.sum("zonemeter_unattributed_bytes_total", &[]),
        before.sum("zonemeter_unattributed_bytes_total", &[]),
        "nothing is without a name"
    );
    let cost = Cost::of(&before, &metrics);
    assert_eq!(cost.service_bytes, wire_total(&lab, &clients, &backends));
    let text = cost.text(rate, reached, misnamed);
    assert!(cost.by_conntrack() >= 0.999, "{text}");
    document::update("load", &text);
}

fn raise() -> Lab {
    // More connections than the sets of the truth by ports have room for.
    let mut plan = Plan::empty("services-load").without_flow_truth();
    for (name, zone) in NODES {
        plan = plan.node(NodePlan::new(name, zone));
    }
    for number in 0..CLIENTS {
        plan = plan.pod(PodPlan::new("default", &format!("c{number}"), "a1"));
    }
    for number in 0..BACKENDS {
        let (node, _) = NODES[1 + number % 3];
        plan = plan.pod(PodPlan::new("default", &format!("s{number}"), node));
    }
    let mut lab = Lab::raise(plan).unwrap();
    let (address, port) = ASKED;
    let service = ServicePlan::new("default", "busy", address.into());
    let service = service.port(Transport::Tcp, port, TARGET);
    let backends = pods(&lab, "s").into_iter().map(|pod| pod.address());
    let service = backends.fold(service, ServicePlan::backend);
    lab.add_service(service).unwrap();
    lab
}

/// The pods whose names begin so, in the order of their numbers.
fn pods(lab: &Lab, kind: &str) -> Vec<Pod> {
    let all = lab.pods().iter();
    all.filter(|pod| pod.name().starts_with(kind))
        .cloned()
        .collect()
}

fn load(clients: &[Pod], backends: &[Pod], rate: Rate) -> Reached {
    let serve = |pod: &Pod| connections::serve(pod.namespace(), TARGET, PAYLOAD).unwrap();
    let _servers: Vec<_> = backends.iter().map(serve).collect();
    let clients: Vec<Namespace> = clients.iter().map(|pod| pod.namespace().clone()).collect();
    connections::make(&clients, SocketAddr::from(ASKED), PAYLOAD, rate).unwrap()
}

/// Waits until the agent shows for all backends what went over the wire, twice in a row. Returns
/// how much of it is shown at another backend than its own.
fn stand_still(agent: &mut Agent, lab: &Lab, clients: &[Pod], backends: &[Pod]) -> (Metrics, u64) {
    let total =
        |bytes: &[[u64; 2]]| [0, 1].map(|way| bytes.iter().map(|both| both[way]).sum::<u64>());
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut fitted = None;
    loop {
        let wire = wire(lab, clients, backends);
        let metrics = agent.settled().unwrap();
        let shown: Vec<_> = backends.iter().map(|pod| shown(&metrics, pod)).collect();
        let fits = total(&shown) == total(&wire);
        if fits && fitted.as_ref() == Some(&wire) {
            assert!(wire.iter().all(|[up, down]| *up > 0 && *down > 0));
            let (wire, shown) = (wire.as_flattened(), shown.as_flattened());
            let more = wire
                .iter()
                .zip(shown)
                .map(|(wire, shown)| shown.saturating_sub(*wire));
            return (metrics, more.sum());
        }
        assert!(
            Instant::now() < deadline,
            "wire {wire:?}, metrics {shown:?}, {}",
            about_itself(&metrics)
        );
        fitted = fits.then_some(wire);
    }
}

/// What the agent says of its own work.
fn about_itself(metrics: &Metrics) -> String {
    let samples = metrics.samples().iter();
    let said = [
        "unattributed",
        "service_bytes",
        "questions",
        "drain_",
        "flow",
    ];
    let told = samples.filter(|sample| said.iter().any(|part| sample.name.contains(part)));
    told.map(|sample| format!("{sample}\n")).collect()
}

/// Bytes of all clients with each backend: there, and back, as they left the sender's node.
fn wire(lab: &Lab, clients: &[Pod], backends: &[Pod]) -> Vec<[u64; 2]> {
    let truth = lab.uplink_truth().unwrap();
    let with = |backend: &Pod| {
        let [mut up, mut down] = [0, 0];
        for client in clients {
            up += truth.arrived(client.address(), backend.address()).bytes;
            down += truth.arrived(backend.address(), client.address()).bytes;
        }
        [up, down]
    };
    backends.iter().map(with).collect()
}

fn wire_total(lab: &Lab, clients: &[Pod], backends: &[Pod]) -> u64 {
    wire(lab, clients, backends).as_flattened().iter().sum()
}

fn shown(metrics: &Metrics, backend: &Pod) -> [u64; 2] {
    let zone = backend.node().zone();
    let scope = match zone {
        Zone::A => "intra_zone",
        Zone::B | Zone::C => "cross_zone",
    };
    ["transmit", "receive"].map(|direction| {
        let labels = [
            ("direction", direction),
            ("scope", scope),
            ("peer_zone", zone.name()),
            ("peer_workload", backend.name()),
        ];
        metrics.sum("zonemeter_workload_bytes_total", &labels)
    })
}

/// What naming took.
struct Cost {
    service_bytes: u64,
    packet: u64,
    table: u64,
    questions: u64,
    cpu_seconds: f64,
    drains: f64,
    drain_seconds: f64,
}

impl Cost {
    fn of(before: &Metrics, after: &Metrics) -> Self {
        let more = |name: &str, labels: &[(&str, &str)]| {
            after.sum(name, labels) - before.sum(name, labels)
        };
        let exact = |name: &str| {
            let value = |metrics: &Metrics| metrics.value(name, &[]).unwrap();
            value(after) - value(before)
        };
        let by = |method| more("zonemeter_service_bytes_total", &[("method", method)]);
        Self {
            service_bytes: more("zonemeter_service_bytes_total", &[]),
            packet: by("packet"),
            table: by("conntrack_table"),
            questions: more(
                "zonemeter_conntrack_lookups_total",
                &[("result", "answered")],
            ),
            cpu_seconds: exact("process_cpu_seconds_total"),
            drains: exact("zonemeter_drain_duration_seconds_count"),
            drain_seconds: exact("zonemeter_drain_duration_seconds_sum"),
        }
    }

    /// The share of bytes that conntrack named.
    fn by_conntrack(&self) -> f64 {
        (self.packet + self.table) as f64 / self.service_bytes as f64
    }

    fn text(&self, rate: Rate, reached: Reached, misnamed: u64) -> String {
        let percent = |bytes: u64| 100.0 * bytes as f64 / self.service_bytes as f64;
        let rows = [
            format!(
                "connections asked for | {}/s for {:?}",
                rate.per_second, rate.duration
            ),
            format!(
                "connections made | {} ({:.0}/s)",
                reached.connections,
                reached.per_second()
            ),
            format!("`--interval` | {INTERVAL}"),
            format!("bytes to and from the Service | {}", self.service_bytes),
            format!("named by `packet` | {:.4} %", percent(self.packet)),
            format!("named by `conntrack_table` | {:.4} %", percent(self.table)),
            "bytes without a name | 0".to_owned(),
            format!(
                "connections on a port used less than {SOON:?} before | {}",
                reached.reused
            ),
            format!("bytes at another backend than their own | {misnamed}"),
            format!("questions to the connection table | {}", self.questions),
            format!(
                "CPU time of the agent ({} build) | {:.2} s",
                build(),
                self.cpu_seconds
            ),
            format!(
                "mean drain | {:.1} ms",
                1000.0 * self.drain_seconds / self.drains
            ),
            format!("load of the machine at the end | {}", machine()),
        ];
        let rows = rows.map(|row| format!("| {row} |\n"));
        format!("| what | figure |\n|---|---|\n{}", rows.concat())
    }
}

/// The mean number of those who wanted a processor in the last minute, and of processors.
fn machine() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    let load = load.split_whitespace().next().unwrap();
    let processors = std::thread::available_parallelism().unwrap();
    format!("{load} on {processors} processors")
}

/// `debug` or `release`, by the folder that the binary is in.
fn build() -> String {
    let binary = agent_binary().unwrap();
    let folder = binary.parent().and_then(std::path::Path::file_name);
    folder.unwrap().to_string_lossy().into_owned()
}
