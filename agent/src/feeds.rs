//! What comes from outside and is read again when it changes: the cluster and the networks file.
//! Each feed's state goes to its readiness guard and its metrics.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use tokio::{sync::watch, time::MissedTickBehavior};

use crate::{
    account::Networks,
    cluster::{Feed, Health},
    expose::{SelfMetrics, self_metrics::ConfigFile},
    model::cluster::Kind,
    readiness::Guard,
    reread::Reread,
};

/// How often what is missing is shown anew.
const REFRESH: Duration = Duration::from_secs(1);

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

/// Follows the networks file; a bad one leaves the last good one in force.
pub async fn networks(
    path: Option<PathBuf>,
    networks: watch::Sender<Arc<Networks>>,
    guard: Guard,
    metrics: SelfMetrics,
) -> Result<()> {
    let Some(path) = path else {
        guard.met();
        return std::future::pending().await;
    };
    let mut file = Reread::new(&path);
    loop {
        let read = file
            .changed()
            .await
            .map_err(anyhow::Error::from)
            .and_then(parse);
        match read.with_context(|| format!("networks file {}", path.display())) {
            Ok(read) => {
                tracing::info!(path = %path.display(), networks = read.len(), "networks file");
                networks.send_replace(Arc::new(read));
                guard.met();
            }
            Err(error) => refuse(&path, &error, &guard, &metrics),
        }
    }
}

fn parse(mut file: std::fs::File) -> Result<Networks> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(Networks::parse(&text)?)
}

fn refuse(path: &Path, error: &anyhow::Error, guard: &Guard, metrics: &SelfMetrics) {
    metrics.reload_failed(ConfigFile::Networks);
    guard.missing(format!("{error:#}"));
    tracing::error!(path = %path.display(), "the last good file stays in force: {error:#}");
}
