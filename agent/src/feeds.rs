//! What comes from outside and is read again when it changes: the cluster, the networks file and
//! the prices file.
//! Each feed's state goes to its readiness guard and its metrics.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use tokio::{sync::watch, time::MissedTickBehavior};
use zonemeter_cluster::{Feed, Health};
use zonemeter_inspect::prices::Prices;
use zonemeter_io::{
    files::{self, READ_WITHIN, ReaderThread},
    reread::Reread,
};
use zonemeter_metrics::{SelfMetrics, self_metrics::ConfigFile};
use zonemeter_model::{cluster::Kind, condition::Status};
use zonemeter_naming::Networks;

use crate::readiness::Guard;

/// How often what is missing is shown anew.
const REFRESH: Duration = Duration::from_secs(1);
/// How often the age of the networks file is looked at.
const AGEING: Duration = Duration::from_secs(60);
/// All ranges that AWS publishes are 3 MB.
const NETWORKS_BYTES: u64 = 64 << 20;
/// The shipped prices are 4 kB.
const PRICES_BYTES: u64 = 1 << 20;
/// What an agent does not know that was given no such file.
pub const WITHOUT_NETWORKS: &str = "no --networks-file: AWS services such as S3 count as internet, \
     addresses of the VPC that are no pods or nodes, such as RDS, have no name and no zone; \
     `zonemeter networks` writes the file";

/// Runs the cluster feed and shows its health.
pub async fn cluster(
    feed: Feed,
    mut health: watch::Receiver<Health>,
    guard: Guard,
    metrics: SelfMetrics,
) -> Result<()> {
    // What is missing says for how long.
    let mut refresh = tokio::time::interval(REFRESH);
    refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let running = feed.run();
    tokio::pin!(running);
    loop {
        let missing = show(&health.borrow_and_update(), &guard, &metrics);
        tokio::select! {
            ended = &mut running => return ended,
            changed = health.changed() => changed.context("the feed's health")?,
            _ = refresh.tick(), if missing => {}
        }
    }
}

/// True while something is missing.
fn show(health: &Health, guard: &Guard, metrics: &SelfMetrics) -> bool {
    for (kind, errors) in Kind::ALL.into_iter().zip(health.watch_errors) {
        metrics.set_watch_errors(kind, errors);
    }
    for (kind, fields) in Kind::ALL.into_iter().zip(health.unread_fields) {
        metrics.set_unread_fields(kind, fields);
    }
    metrics.set_reload_failures(ConfigFile::Cluster, health.reload_failures);
    for part in &health.parts {
        metrics.set_cluster_missing_since(part.name, part.missing_since());
    }
    let missing = health.missing(SystemTime::now());
    match missing.is_empty() {
        true => guard.met(),
        false => guard.missing(missing.join("; ")),
    }
    !missing.is_empty()
}

/// Follows the networks file; a bad one leaves the last good one in force, and one that says that it
/// was written longer ago than `max_age` stays in force and is said to be old.
pub async fn networks(
    (path, max_age): (Option<PathBuf>, Duration),
    networks: watch::Sender<Arc<Networks>>,
    guard: Guard,
    metrics: SelfMetrics,
) -> Result<()> {
    let Some(path) = path else {
        guard.report(Status::InPart(WITHOUT_NETWORKS.to_owned()));
        return std::future::pending().await;
    };
    let mut file = Reread::new(&path, NETWORKS_BYTES);
    let apart = ReaderThread::default();
    let mut ageing = tokio::time::interval(AGEING);
    let mut is_refused = false;
    loop {
        let changed = tokio::select! {
            changed = file.changed() => changed,
            _ = ageing.tick(), if !is_refused => {
                let as_of = networks.borrow().as_of();
                if let Some(old) = as_of.and_then(|as_of| too_old(as_of, max_age)) {
                    guard.report(old);
                }
                continue;
            }
        };
        let read = parsed(changed, &mut file, &apart, parse).await;
        is_refused = read.is_err();
        match read.with_context(|| format!("networks file {}", path.display())) {
            Ok(read) => {
                tracing::info!(path = %path.display(), networks = read.len(), "networks file");
                let old = read.as_of().and_then(|as_of| too_old(as_of, max_age));
                networks.send_replace(Arc::new(read));
                guard.report(old.unwrap_or(Status::Holds));
            }
            Err(error) => {
                refuse(&path, &error, ConfigFile::Networks, &metrics);
                guard.missing(format!("{error:#}"));
            }
        }
    }
}

/// Follows the prices file; a bad one leaves the last good one in force. Without prices there are
/// no dollars, and everything is counted all the same.
pub async fn prices(
    path: Option<PathBuf>,
    prices: watch::Sender<Arc<Option<Prices>>>,
    metrics: SelfMetrics,
) -> Result<()> {
    let Some(path) = path else {
        return std::future::pending().await;
    };
    let parse = |file| Prices::parse(&files::read_open(file, PRICES_BYTES)?);
    let mut file = Reread::new(&path, PRICES_BYTES);
    let apart = ReaderThread::default();
    loop {
        let changed = file.changed().await;
        match parsed(changed, &mut file, &apart, parse).await {
            Ok(read) => {
                tracing::info!(path = %path.display(), dates = ?read.dates(), "prices file");
                prices.send_replace(Arc::new(Some(read)));
            }
            Err(error) => refuse(&path, &error, ConfigFile::Prices, &metrics),
        }
    }
}

/// Reads what a file has become, where a slow disk holds up nobody.
async fn parsed<T: Send + 'static>(
    changed: io::Result<File>,
    file: &mut Reread,
    apart: &ReaderThread,
    parse: impl FnOnce(File) -> Result<T> + Send + 'static,
) -> Result<T> {
    let opened = changed?;
    match apart.run(READ_WITHIN, move || parse(opened)).await {
        Ok(parsed) => parsed,
        Err(stuck) => {
            file.unread();
            Err(stuck.into())
        }
    }
}

/// What to say of a file that was written so long ago.
fn too_old(as_of: SystemTime, max_age: Duration) -> Option<Status> {
    // A clock that is behind the writer's makes a file young.
    let age = SystemTime::now().duration_since(as_of).unwrap_or_default();
    let line = || {
        let (as_of, max_age) = (
            humantime::format_rfc3339_seconds(as_of),
            humantime::format_duration(max_age),
        );
        format!(
            "the networks file is of {as_of}, longer ago than --networks-max-age {max_age}: its \
             subnets, routes and endpoints may be others by now; does the job that writes it still run?"
        )
    };
    (age > max_age).then(|| Status::InPart(line()))
}

/// Reads a networks file as the agent does when it starts.
///
/// # Errors
/// One line with the path, the fault and the remedy.
pub fn read_networks(path: &Path) -> Result<Networks> {
    let read = files::open(path).map_err(Into::into).and_then(parse);
    read.with_context(|| format!("networks file {}", path.display()))
}

/// A file that names nothing is no reason to forget what the last good one named.
fn parse(file: File) -> Result<Networks> {
    let networks = Networks::parse(&files::read_open(file, NETWORKS_BYTES)?)?;
    ensure!(
        !networks.is_empty(),
        "it names no network and no VPC range: write it with `zonemeter networks`, or leave out \
         --networks-file"
    );
    Ok(networks)
}

fn refuse(path: &Path, error: &anyhow::Error, file: ConfigFile, metrics: &SelfMetrics) {
    metrics.reload_failed(file);
    tracing::error!(path = %path.display(), "the last good file stays in force: {error:#}");
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use zonemeter_cluster::{Part, PartFailure};
    use zonemeter_model::condition::Condition;

    use super::*;
    use crate::readiness::Readiness;

    fn part(name: &'static str, failing: Option<PartFailure>) -> Part {
        Part {
            name,
            began: SystemTime::UNIX_EPOCH,
            listed: true,
            failing,
        }
    }

    /// What a scraper or a probe gets.
    async fn get(metrics: &SelfMetrics, readiness: &Readiness, path: &str) -> String {
        let snapshots = watch::channel(Arc::default()).1;
        let health = Arc::new(readiness.clone());
        let state = zonemeter_metrics::State::new(snapshots, metrics.clone(), health);
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = zonemeter_metrics::router(state)
            .oneshot(request)
            .await
            .unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    fn since_when(metrics: &str, part: &str) -> String {
        let name = "zonemeter_cluster_missing_since_timestamp_seconds";
        let name = format!("{name}{{part=\"{part}\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
        value.unwrap().to_owned()
    }

    #[test]
    fn a_networks_file_that_names_nothing_is_refused() {
        let parsed = |text: &str| {
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
            std::io::Seek::rewind(&mut file).unwrap();
            parse(file).map(|networks| networks.len())
        };
        for empty in ["vpc: []\nnetworks: []\n", "vpc: []\n"] {
            let told = parsed(empty).unwrap_err().to_string();
            assert!(told.starts_with("it names no network"), "{told}");
        }
        assert_eq!(parsed("vpc: [10.0.0.0/16]\n").unwrap(), 1);
    }

    /// Said, and no reason to be unready.
    #[tokio::test(start_paused = true)]
    async fn no_networks_file_is_shown_with_what_it_costs() {
        let metrics = SelfMetrics::default();
        let (readiness, [guard]) = Readiness::new([Condition::NetworksFile]);
        let sender = watch::Sender::new(Arc::default());
        let running = networks((None, Duration::MAX), sender, guard, metrics.clone());
        let ended = tokio::time::timeout(Duration::from_secs(1), running).await;
        assert!(ended.is_err(), "it goes on");
        let text = get(&metrics, &readiness, "/readyz").await;
        assert!(
            text.starts_with("ready\nnetworks_file: no --networks-file: "),
            "{text}"
        );
        assert!(text.contains("S3 count as internet"), "{text}");
        let text = get(&metrics, &readiness, "/metrics").await;
        let gauge = "zonemeter_condition{condition=\"networks_file\"} 0\n";
        assert!(text.contains(gauge), "{text}");
    }

    const TIMEOUT: Duration = Duration::from_secs(20);
    const OLD: &str = "longer ago than --networks-max-age 1day";

    /// Waits until it says so in the list of conditions.
    async fn shows(metrics: &SelfMetrics, readiness: &Readiness, wanted: &str) {
        let shown = async || {
            while !get(metrics, readiness, "/readyz").await.contains(wanted) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, shown()).await.unwrap();
    }

    /// What is wrong with the file stays shown while the last good one becomes older.
    #[tokio::test]
    async fn a_refused_file_is_not_covered_by_the_age_of_the_last_good_one() {
        let metrics = SelfMetrics::default();
        let (readiness, [guard]) = Readiness::new([Condition::NetworksFile]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("networks.yaml");
        let day = Duration::from_secs(86_400);
        let good = "vpc: [10.0.0.0/16]\nasOf: 2026-01-01T00:00:00Z\n";
        std::fs::write(&path, good).unwrap();
        let sender = watch::Sender::new(Arc::default());
        let follow = networks((Some(path.clone()), day), sender, guard, metrics.clone());
        let following = tokio::spawn(follow);
        shows(&metrics, &readiness, OLD).await;
        std::fs::write(&path, "vpc: [10.0.0.1/16]\n").unwrap();
        let refusal = "has host bits set";
        shows(&metrics, &readiness, refusal).await;
        tokio::time::pause();
        tokio::time::advance(2 * AGEING).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        tokio::time::resume();
        let text = get(&metrics, &readiness, "/readyz").await;
        assert!(text.contains(refusal) && !text.contains(OLD), "{text}");
        following.abort();
    }

    /// In force, and said to be old; the next one is not.
    #[tokio::test]
    async fn a_file_of_long_ago_is_shown_with_its_age() {
        let metrics = SelfMetrics::default();
        let (readiness, [guard]) = Readiness::new([Condition::NetworksFile]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("networks.yaml");
        let write = |as_of: SystemTime| {
            let as_of = humantime::format_rfc3339_seconds(as_of);
            std::fs::write(&path, format!("vpc: [10.0.0.0/16]\nasOf: {as_of}\n")).unwrap();
        };
        let (sender, mut receiver) = watch::channel(Arc::default());
        let day = Duration::from_secs(86_400);
        write(SystemTime::now() - 2 * day);
        let follow = networks((Some(path.clone()), day), sender, guard, metrics.clone());
        let following = tokio::spawn(follow);
        receiver.changed().await.unwrap();
        assert_eq!(receiver.borrow_and_update().len(), 1);
        shows(&metrics, &readiness, OLD).await;
        let text = get(&metrics, &readiness, "/readyz").await;
        assert!(
            text.starts_with("ready\nnetworks_file: the networks file is of 2"),
            "{text}"
        );
        write(SystemTime::now());
        receiver.changed().await.unwrap();
        let ready = async || {
            while get(&metrics, &readiness, "/readyz").await != "ready\n" {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, ready()).await.unwrap();
        following.abort();
    }

    /// One part fails, one works, and then both do.
    #[tokio::test]
    async fn what_is_missing_is_shown_by_readyz_and_by_a_metric() {
        let metrics = SelfMetrics::default();
        let (readiness, [guard]) = Readiness::new([Condition::Cluster]);
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let line = "missing RBAC: list services".to_owned();
        let failing = PartFailure { since, line };
        let mut health = Health {
            parts: vec![part("nodes", None), part("services", Some(failing))],
            ..Health::default()
        };
        assert!(show(&health, &guard, &metrics));
        let text = get(&metrics, &readiness, "/metrics").await;
        assert_eq!(since_when(&text, "nodes"), "0.0");
        assert_eq!(since_when(&text, "services"), "1700000000.0");
        let text = get(&metrics, &readiness, "/readyz").await;
        let named = "cluster: services: missing RBAC: list services (for ";
        assert!(text.starts_with(named), "{text}");

        health.parts[1].failing = None;
        assert!(!show(&health, &guard, &metrics));
        let text = get(&metrics, &readiness, "/metrics").await;
        assert_eq!(since_when(&text, "services"), "0.0");
        assert_eq!(get(&metrics, &readiness, "/readyz").await, "ready\n");
    }
}
