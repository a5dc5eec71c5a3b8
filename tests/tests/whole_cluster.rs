//! `top --prometheus` and `serve --prometheus` over a real Prometheus with the series of a cluster
//! of 110 nodes and 5,500 pods, whose sums are known.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "whole_cluster/history.rs"]
mod history;
#[path = "whole_cluster/page.rs"]
mod page;
#[path = "whole_cluster/proxy.rs"]
mod proxy;
#[path = "whole_cluster/thanos.rs"]
mod thanos;
#[path = "whole_cluster/victoria_metrics.rs"]
mod victoria_metrics;

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use history::{Conversation, PODS, STEP, WORKLOADS, conversations, dearest, month_start, workload};
use serde_json::Value;
use zonemeter_lab::{agent_binary, http_get, prometheus::Prometheus, until};

const PATIENCE: Duration = Duration::from_secs(30);
/// What a person waits for without wondering.
const QUICK: Duration = Duration::from_secs(2);
/// An agent without optimisation, beside other work.
const UNOPTIMISED: Duration = Duration::from_secs(6);

fn top(url: &str, arguments: &[&str]) -> (Value, Duration) {
    let mut command = Command::new(agent_binary().unwrap());
    command
        .args(["top", "--prometheus", url, "--json"])
        .args(arguments);
    let began = Instant::now();
    let output = command.output().unwrap();
    let took = began.elapsed();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    (serde_json::from_slice(&output.stdout).unwrap(), took)
}

/// A process until the value is dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address that nobody listens on yet.
fn free() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// `zonemeter serve` until the value is dropped.
struct Served {
    _running: Running,
    address: SocketAddr,
}

impl Served {
    fn start(url: &str, arguments: &[&str]) -> Self {
        let address = free();
        let mut command = Command::new(agent_binary().unwrap());
        command
            .args(["serve", "--prometheus", url])
            .args(["--listen", &address.to_string()])
            .args(arguments);
        let served = Self {
            _running: Running::start(&mut command),
            address,
        };
        until(PATIENCE, "serve to be ready", || {
            http_get(address, "/readyz")
                .ok()
                .filter(|answer| answer.status == 200)
        })
        .unwrap();
        served
    }

    fn json(&self, path: &str) -> (Value, Duration) {
        let began = Instant::now();
        let answer = http_get(self.address, path).unwrap();
        let took = began.elapsed();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        (serde_json::from_str(&answer.body).unwrap(), took)
    }
}

fn each(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["pairs"].as_array().unwrap().iter()
}

fn is_close(found: &Value, expected: f64) -> bool {
    found
        .as_f64()
        .is_some_and(|found| (found / expected - 1.0).abs() < 1e-6)
}

fn scope<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let scopes = answer["scopes"].as_array().unwrap();
    scopes.iter().find(|sum| sum["scope"] == name).unwrap()
}

#[test]
fn a_cluster_of_110_nodes_and_5500_pods_is_answered_within_two_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let (all, now) = (conversations(), history::now());
    let prometheus = filled(folder.path(), &all, now);
    let served = Served::start(&prometheus.url(), &[]);
    let times = is_answered(&prometheus.url(), &served, &all, now);
    page::shows_it(&prometheus, &served);
    proxy::is_no_hindrance(&prometheus, &served);
    let is_measured = env::var_os("ZONEMETER_FULL_SIZE").is_some();
    let limit = if is_measured { QUICK } else { UNOPTIMISED };
    assert!(times.iter().all(|(_, took)| *took < limit), "{times:?}");
    if is_measured && env::var_os("ZONEMETER_UPDATE_DOCS").is_some() {
        record(&times);
    }
}

/// What each answer took goes to the row of its question.
fn record(times: &[(String, Duration)]) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/read-the-numbers.md");
    let mut document = fs::read_to_string(file).unwrap();
    for (asked, took) in times {
        let begin = format!("| `{asked}` |");
        let is_it = |line: &&str| line.starts_with(&begin);
        let old = document.lines().find(is_it).unwrap().to_owned();
        document = document.replace(&old, &format!("{begin} {:.2} s |", took.as_secs_f64()));
    }
    fs::write(file, document).unwrap();
}

/// A Prometheus with what the conversations were until `now`.
fn filled(folder: &Path, all: &[Conversation], now: u64) -> Prometheus {
    let files = history::write(folder, all, now);
    let prometheus = Prometheus::with_samples(folder, &files).unwrap();
    files.iter().for_each(|file| fs::remove_file(file).unwrap());
    prometheus
}

/// Everything that is asked of a store, and how long each answer takes.
fn is_answered(
    url: &str,
    served: &Served,
    all: &[Conversation],
    now: u64,
) -> Vec<(String, Duration)> {
    let mut times = Vec::new();
    let mut listed = |arguments: &str| {
        let words: Vec<_> = arguments.split(' ').collect();
        let (answer, took) = top(url, &words);
        times.push((format!("top {arguments}"), took));
        answer
    };
    let pairs = listed("--sort dollars --limit 20");
    assert_eq!(pairs["total"], all.len());
    sums_are_known(&pairs, all);
    dollars_are_known(&pairs, all, now);
    listed("--window 1h");
    listed("--group workload");
    let pods = listed("--group pod --limit 10");
    let busiest = &pods["pairs"][0]["local"]["workload"];
    assert_eq!(
        *busiest,
        format!("{}-{}", workload((PODS - 1) % WORKLOADS), PODS - 1)
    );

    let mut asked = |path: &str| {
        let (answer, took) = served.json(path);
        times.push((format!("serve {path}"), took));
        answer
    };
    let shown = asked("/api/pairs?sort=dollars&limit=20");
    for field in ["total", "zones"] {
        assert_eq!(shown[field], pairs[field], "{field}");
    }
    for (shown, listed) in each(&shown).zip(each(&pairs)) {
        for field in ["local", "peer", "transmit", "receive", "dollars_per_month"] {
            assert_eq!(shown[field], listed[field], "{field}");
        }
    }
    for path in [
        "/api/zones",
        "/api/workloads",
        "/api/pairs?search=service-017",
        // As many as the page asks for.
        "/api/pairs?sort=dollars&limit=200",
    ] {
        asked(path);
    }
    times
}

fn sums_are_known(pairs: &Value, all: &[Conversation]) {
    let expected: f64 = all.iter().map(Conversation::dollars_per_month).sum();
    let across = scope(pairs, "cross_zone");
    assert!(
        is_close(&across["dollars_per_month"], expected),
        "{expected}: {across:#}"
    );
    let crossing = || all.iter().filter(|one| one.scope() == "cross_zone");
    let rate: f64 = crossing().flat_map(|one| one.rates).sum();
    let of = |sum: &Value, direction: &str| sum[direction]["bytes_per_second"].as_f64().unwrap();
    let found = of(across, "transmit") + of(across, "receive");
    assert!((found / rate - 1.0).abs() < 1e-9, "{rate}: {across:#}");
    assert!(
        is_close(&across["bytes_per_second_week_ago"], rate / 2.0),
        "{across:#}"
    );
}

fn dollars_are_known(pairs: &Value, all: &[Conversation], now: u64) {
    let dearest = dearest(all);
    // The month goes on while this is asked.
    let steps = [now, history::now()].map(|now| (now - month_start(now)) / STEP);
    for (found, expected) in each(pairs).zip(&dearest) {
        let month = expected.dollars_per_month();
        assert!(
            is_close(&found["dollars_per_month"], month),
            "{month}: {found:#}"
        );
        let step = month / 730.0 / 12.0;
        let steps = steps[0]..=steps[1];
        let is_spent = |steps| is_close(&found["month_to_date_dollars"], step * steps as f64);
        assert!(
            steps.clone().any(is_spent),
            "{steps:?} of {step}: {found:#}"
        );
    }
}
