//! Many pairs: 50 pods of a node that each talk to 500 others, and to ten times as many. The
//! ceiling of series holds, and no byte leaves the sums.
//!
//! With `ZONEMETER_UPDATE_DOCS=1` the test writes what it measured to `docs/series.md`;
//! `cargo xtask bench series` does that with a release build.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    path::Path,
    slice, thread,
    time::{Duration, Instant},
};

use zonemeter_lab::{
    Agent, Lab, Metrics, Owner, Plan, Pod, PodPlan,
    prometheus::{Prometheus, Settings},
};

const PODS: usize = 50;
/// IP and UDP header and a payload of 64 bytes.
const DATAGRAM: u64 = 20 + 8 + 64;
/// The documented default of `--max-series`.
const CEILING: usize = 20_000;
const SCRAPES: usize = 500;
const TEXT: &str = "text/plain; version=0.0.4";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";
/// 50 × 196 of workloads, and 16 of each pod, most of them at 0.
const ABOUT_10_000_SERIES: usize = 196;
const AGENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);
/// Where the others are: a range of the VPC that the lab does not use.
const OTHERS: [u8; 2] = [192, 168];

#[test]
fn fifty_pods_with_up_to_5000_peers_each_stay_under_the_ceiling() {
    let mut lab = Lab::raise(plan()).unwrap();
    if env::var_os("ZONEMETER_UPDATE_DOCS").is_none() {
        // Once of each format: what a scrape says is checked here, how long it takes is not.
        for peers in [500, 5_000] {
            measure(&mut lab, peers, 1);
        }
    } else {
        let rows = [ABOUT_10_000_SERIES, 500, 5_000].map(|peers| measure(&mut lab, peers, SCRAPES));
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/series.md");
        fs::write(file, document(&rows)).unwrap();
    }
}

/// What an agent with so many pairs looks like.
struct Row {
    peers: usize,
    series: usize,
    folded: u64,
    resident: u64,
    kernel: u64,
    scrapes: [Scrape; 3],
    stored: Option<Stored>,
}

/// What it takes in a Prometheus that scrapes nothing else.
struct Stored {
    series: u64,
    resident: u64,
}

/// One format of `/metrics`.
struct Scrape {
    bytes: usize,
    p50: Duration,
    p99: Duration,
}

fn plan() -> Plan {
    let pod = |n: usize| {
        PodPlan::new("default", &format!("local-{n:02}"), "a1")
            .owner(Owner::Deployment(format!("local-{n:02}")))
    };
    (0..PODS).fold(Plan::new("pairs"), |plan, n| plan.pod(pod(n)))
}

fn measure(lab: &mut Lab, peers: usize, scrapes: usize) -> Row {
    lab.crowd((0..peers).map(|n| other(n).into())).unwrap();
    // What is sent goes no further than the node: neither the wire nor conntrack is asked here.
    let node = lab.node("a1").unwrap();
    let range = format!("{}.{}.192.0/18", OTHERS[0], OTHERS[1]);
    let route = ["route", "replace", "blackhole", &range];
    let done = node.namespace().command("ip").args(route).status().unwrap();
    assert!(done.success());
    let mut agent = lab
        .agent("a1")
        .unwrap()
        .flag("--interval", interval(peers))
        .without("--state-dir")
        .start_ready()
        .unwrap();
    send(lab.pods(), peers);
    let mut row = check(&mut agent, peers, scrapes);
    if scrapes > 1 {
        row.stored = Some(stored(lab, &agent));
    }
    assert!(agent.stop().unwrap().success());
    row
}

/// The documented default, as long as the flows of one interval fit into `--map-memory`.
fn interval(peers: usize) -> &'static str {
    if PODS * peers < 65_536 { "5s" } else { "1s" }
}

fn other(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(
        OTHERS[0],
        OTHERS[1],
        192 + (n / 250) as u8,
        (n % 250) as u8 + 1,
    )
}

/// One datagram from each pod to each of the others.
fn send(pods: &[Pod], peers: usize) {
    for pod in pods {
        let sent = pod.namespace().run(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 40_000))?;
            for n in 0..peers {
                socket.send_to(&[0x5a; 64], SocketAddr::new(IpAddr::V4(other(n)), 9_000))?;
                // Queues of a thousand packets never overflow.
                if n % 64 == 63 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            std::io::Result::Ok(())
        });
        sent.unwrap().unwrap();
    }
}

fn check(agent: &mut Agent, peers: usize, scrapes: usize) -> Row {
    let all = (PODS * peers) as u64 * DATAGRAM;
    let to_others = |metrics: &Metrics, name: &str| {
        let scopes = ["intra_zone", "cross_zone"];
        let of = |scope: &&str| metrics.sum(name, &[("direction", "transmit"), ("scope", scope)]);
        scopes.iter().map(of).sum::<u64>()
    };
    let full = |metrics: &Metrics| {
        let labels = [("direction", "transmit")];
        metrics.sum("zonemeter_flow_overflow_bytes_total", &labels)
    };
    let metrics = agent
        .wait_until(Duration::from_secs(60), |metrics| {
            to_others(metrics, "zonemeter_pod_bytes_total") + full(metrics) >= all
        })
        .unwrap();
    // Half a second of datagrams fits into the flow map many times over.
    assert_eq!(full(&metrics), 0);
    for family in [
        "zonemeter_pod_bytes_total",
        "zonemeter_workload_bytes_total",
    ] {
        assert_eq!(to_others(&metrics, family), all, "{family}");
    }
    let series = traffic_series(&metrics);
    assert!(series <= CEILING, "{series} series");
    let folded = metrics.sum("zonemeter_series_folded_total", &[]);
    assert_eq!(folded > 0, PODS * peers > CEILING, "{folded} folded");
    Row {
        peers,
        series,
        folded,
        resident: metrics.sum("process_resident_memory_bytes", &[]),
        kernel: kernel_memory(agent.pid()),
        scrapes: [
            (TEXT, "identity"),
            (OPEN_METRICS, "identity"),
            (OPEN_METRICS, "gzip"),
        ]
        .map(|(accept, encoding)| scrape(agent, accept, encoding, scrapes)),
        stored: None,
    }
}

/// After 30 scrapes, with the project's recording rules and alerts.
fn stored(lab: &Lab, agent: &Agent) -> Stored {
    let settings = Settings::new("pairs");
    let prometheus = Prometheus::start(lab, slice::from_ref(agent), &settings).unwrap();
    let scraped = "sum(count_over_time(up[10m])) >= 30";
    let patience = Duration::from_secs(180);
    let is_there = |found: &[_]| !found.is_empty();
    prometheus.query_until(scraped, patience, is_there).unwrap();
    let url = prometheus.url();
    let address = url.strip_prefix("http://").unwrap().parse().unwrap();
    let (_, body) = answer(address, "GET /metrics HTTP/1.0\r\n\r\n");
    let text = String::from_utf8(body).unwrap();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse::<f64>().unwrap() as u64
    };
    let stored = Stored {
        series: value("prometheus_tsdb_head_series "),
        resident: value("process_resident_memory_bytes "),
    };
    // The next one would read what this one has written.
    let folder = prometheus.folder().to_owned();
    drop(prometheus);
    fs::remove_dir_all(folder).unwrap();
    stored
}

fn traffic_series(metrics: &Metrics) -> usize {
    let families = [
        "zonemeter_pod_bytes_total",
        "zonemeter_pod_packets_total",
        "zonemeter_workload_bytes_total",
    ];
    families
        .iter()
        .map(|name| metrics.select(name, &[]).count())
        .sum()
}

/// What the agent's maps take in the kernel, by the descriptors that it holds
/// (`map_memlock` in kernel/bpf/syscall.c).
fn kernel_memory(pid: u32) -> u64 {
    let mut maps = std::collections::BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap() {
        let Ok(text) = fs::read_to_string(entry.unwrap().path()) else {
            continue;
        };
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse::<u64>().ok()
        };
        if let (Some(id), Some(bytes)) = (field("map_id:"), field("memlock:")) {
            maps.insert(id, bytes);
        }
    }
    maps.values().sum()
}

fn scrape(agent: &Agent, accept: &str, encoding: &str, scrapes: usize) -> Scrape {
    let request = format!(
        "GET /metrics HTTP/1.0\r\nHost: a1\r\nAccept: {accept}\r\nAccept-Encoding: {encoding}\r\n\r\n"
    );
    let answers = agent.node().namespace().run(|| {
        let answers: Vec<_> = (0..scrapes).map(|_| answer(AGENT, &request)).collect();
        answers
    });
    let mut answers = answers.unwrap();
    let (_, body) = answers[0].clone();
    let is_gzip = body.starts_with(&[0x1f, 0x8b]);
    assert_eq!(is_gzip, encoding == "gzip");
    answers.sort();
    Scrape {
        bytes: body.len(),
        p50: answers[scrapes / 2].0,
        p99: answers[scrapes * 99 / 100].0,
    }
}

fn answer(address: SocketAddr, request: &str) -> (Duration, Vec<u8>) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let took = began.elapsed();
    assert!(answer.starts_with(b"HTTP/1.0 200"));
    let body = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    (took, answer[body..].to_vec())
}

fn document(rows: &[Row]) -> String {
    let row = |row: &Row| {
        let scrape = |scrape: &Scrape| {
            format!(
                "{:.1} ms, {:.1} ms, {} kB",
                scrape.p50.as_secs_f64() * 1e3,
                scrape.p99.as_secs_f64() * 1e3,
                scrape.bytes / 1000
            )
        };
        let [text, open, gzip] = row.scrapes.each_ref().map(scrape);
        let stored = row.stored.as_ref().unwrap();
        let stored = format!("{}, {:.0} MB", stored.series, stored.resident as f64 / 1e6);
        format!(
            "| {PODS} × {} | {} | {} | {:.1} MB | {:.1} MB | {text} | {open} | {gzip} | {stored} |\n",
            row.peers,
            row.series,
            row.folded,
            row.resident as f64 / 1e6,
            row.kernel as f64 / 1e6,
        )
    };
    format!(
        "# Many pairs\n\n\
         {PODS} pods of one node, each a Deployment of its own, and as many others as the table \
         says, each a Deployment of its own too, half of them in the node's zone. Every pod sends \
         one datagram to every other. Sums over the pod family and over the workload family are \
         equal to what was sent, to the byte; what has no series of its own is in `other`. Flags \
         are the defaults (`--max-series {CEILING}`), except for `--interval 1s` in the last row, \
         whose flows would not fit into the map for longer. Scrapes over \
         HTTP, {SCRAPES} of each format one after the other: p50, p99, size. *In Prometheus*: series in \
         the head and resident memory of one that scrapes this agent alone, after 30 scrapes, with the \
         project's rules. *Agent, resident* has the flow tables in it, which the agent maps and which \
         are a part of *its maps in the kernel*; a memory limit counts them once.\n\n\
         Written by `cargo xtask bench series --write`, with a release build, on a machine with \
         {} CPUs; `cargo xtask test cardinality` checks the sums and the ceiling.\n\n\
         | pairs | series | increments folded | agent, resident | its maps in the kernel | text | OpenMetrics | OpenMetrics, gzip | in Prometheus |\n\
         |---|---|---|---|---|---|---|---|---|\n{}",
        thread::available_parallelism().unwrap(),
        rows.iter().map(row).collect::<String>()
    )
}
