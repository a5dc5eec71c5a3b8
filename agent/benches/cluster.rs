//! What a large cluster costs: the feed by itself, then the whole agent. Time until it is listed,
//! bytes from the API server, memory. Against a real API server, with pods of the size that they have in production.
//!
//! `cargo bench --package zonemeter-agent --bench cluster [-- PODS/NODES ...] [--write]`, as root.
//! `--write` records the agent's figures in `docs/live-cluster.md`; `ZONEMETER_BIN` names another
//! executable than the one just built.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by a panic")]
#![expect(clippy::print_stdout, reason = "its result is what it prints")]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use zonemeter_lab::control_plane::ControlPlane;

#[path = "cluster/agent.rs"]
mod agent;
#[path = "cluster/etcd.rs"]
mod etcd;
#[path = "cluster/feed.rs"]
mod feed;
#[path = "cluster/populate.rs"]
mod populate;
#[path = "../tests/live_cluster/relay.rs"]
#[expect(dead_code, reason = "tests cut and stall, the benchmark counts")]
mod relay;
#[path = "cluster/report.rs"]
mod report;

use populate::Size;
use relay::Relay;

/// Says to the same executable that it is the one to be measured.
const FEED: &str = "--feed";
/// Records the result.
const WRITE: &str = "--write";

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [feed, kubeconfig] if feed == FEED => feed::measure(Path::new(kubeconfig)),
        sizes => compare(sizes),
    }
}

/// The size of the cluster that the project's first users run, and the next one.
const SIZES: [&str; 2] = ["5500/110", "10000/200"];

/// Where lists come from, and the API server's feature gates for it. Off for both is what the
/// server reads for itself, whoever asks: the comparison of its watch cache with etcd (every
/// list) and its estimate of sizes (the current version, once a minute for each kind).
type Lists = (&'static str, &'static str);
const LISTS: [Lists; 2] = [
    (
        "streamed",
        "--feature-gates=DetectCacheInconsistency=false,SizeBasedListCostEstimate=false",
    ),
    (
        WATCH_CACHE,
        "--feature-gates=DetectCacheInconsistency=false,SizeBasedListCostEstimate=false,WatchList=false",
    ),
];
const WATCH_CACHE: &str = "watch cache";
/// Without it the server asks etcd once a minute for the number of objects of each kind.
const NO_COUNTS: &str = "--etcd-count-metric-poll-period=0s";

fn compare(arguments: &[String]) {
    // `cargo bench` adds its own flag.
    let mut sizes: Vec<_> = arguments
        .iter()
        .filter(|a| !a.starts_with('-'))
        .map(String::as_str)
        .collect();
    if sizes.is_empty() {
        sizes.extend(SIZES);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut rows = Vec::new();
    for size in sizes {
        let (pods, nodes) = size.split_once('/').expect("PODS/NODES");
        let size = Size {
            pods: pods.parse().unwrap(),
            nodes: nodes.parse().unwrap(),
        };
        for lists in LISTS {
            rows.push(runtime.block_on(one(size, lists)));
        }
    }
    let table = report::table(&rows);
    println!("\n{table}");
    if arguments.iter().any(|argument| argument == WRITE) {
        report::write(&table);
    }
}

/// Both measurements of one cluster; the agent's line of the table.
async fn one(size: Size, (lists, gates): Lists) -> String {
    let plane = move || ControlPlane::start(&[gates, NO_COUNTS]).unwrap();
    let plane = tokio::task::spawn_blocking(plane).await.unwrap();
    let started = std::time::Instant::now();
    let pod_bytes = populate::write(&plane.admin_kubeconfig().unwrap(), size).await;
    println!(
        "\n{} pods of {pod_bytes} B on {} nodes, lists: {lists} (written in {:.0?})",
        size.pods,
        size.nodes,
        started.elapsed()
    );
    feed(&plane).await;
    let (relay, kubeconfig) = way_to(&plane).await;
    tokio::task::block_in_place(|| {
        let before = etcd::reads(&plane);
        assert!(
            before.values().any(|count| *count > 0),
            "writing pods reads, or the metric has another name"
        );
        let measured = agent::measure(&kubeconfig, &relay, size);
        let reads = etcd::between(&before, &etcd::reads(&plane));
        assert!(
            lists != WATCH_CACHE || reads == 0,
            "{reads} reads from etcd, where lists come from the watch cache"
        );
        report::row(size, lists, pod_bytes, &measured, reads)
    })
}

/// The feed by itself, in a process of its own.
async fn feed(plane: &ControlPlane) {
    let (relay, kubeconfig) = way_to(plane).await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(FEED)
        .arg(kubeconfig)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    tokio::task::block_in_place(|| lines.for_each(|line| println!("  {}", line.unwrap())));
    assert!(child.wait().unwrap().success());
    println!(
        "  received from the API server: {:.1} MB",
        relay.received() as f64 / 1e6
    );
}

/// A relay that has counted nothing yet, and a kubeconfig that leads through it.
async fn way_to(plane: &ControlPlane) -> (Relay, PathBuf) {
    let relay = Relay::start(plane.address()).await;
    let token = plane.folder().join("admin.token");
    let kubeconfig = plane.kubeconfig("relay", relay.address(), &token).unwrap();
    (relay, kubeconfig)
}
