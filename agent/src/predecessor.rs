//! The agent before this one: waiting for its end, and going on where it stopped.
//!
//! Both directories are used on threads of their own: a disk or a mount that does not answer holds
//! up neither signals nor `/livez`.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tokio::task::spawn_blocking;
use zonemeter_account::Account;
use zonemeter_datapath::pins::{InUse, Pins};
use zonemeter_metrics::SelfMetrics;
use zonemeter_state::{Found, StateDir, Writer};

use crate::readiness::Guard;

/// How often a lock is tried.
const RETRY: Duration = Duration::from_millis(500);

/// The pin directory, once no other agent uses it: two would drain each other's maps.
pub async fn pins(directory: Option<&Path>, counting: &Guard) -> Result<Option<Arc<Pins>>> {
    let Some(directory) = directory else {
        return Ok(None);
    };
    let path = directory.to_owned();
    let pins = until_free(directory, counting, move || {
        Ok(match Pins::lock(&path)? {
            Ok(pins) => Some(Arc::new(pins)),
            Err(InUse) => None,
        })
    });
    pins.await.map(Some)
}

/// What the state directory holds, once no other agent uses it: two would write over each other's
/// totals.
pub async fn totals(directory: StateDir, node: &str, counting: &Guard) -> Result<(Found, Writer)> {
    let locking = directory.clone();
    until_free(directory.path(), counting, move || {
        Ok(locking.try_lock()?.then_some(()))
    })
    .await?;
    counting.missing(format!("reading {}", directory.path().display()));
    let node = node.to_owned();
    spawn_blocking(move || directory.restore(&node))
        .await
        .context("reading totals")?
}

async fn until_free<T: Send + 'static>(
    directory: &Path,
    counting: &Guard,
    lock: impl Fn() -> Result<Option<T>> + Send + Sync + 'static,
) -> Result<T> {
    let mut said = false;
    let lock = Arc::new(lock);
    counting.missing(format!("opening {}", directory.display()));
    loop {
        let locking = Arc::clone(&lock);
        let locked = spawn_blocking(move || locking()).await;
        if let Some(locked) = locked.context("locking a directory")?? {
            return Ok(locked);
        }
        let waiting = format!("waiting for another agent to leave {}", directory.display());
        if !std::mem::replace(&mut said, true) {
            tracing::warn!("{waiting}");
        }
        counting.missing(waiting);
        tokio::time::sleep(RETRY).await;
    }
}

/// Takes up what an earlier agent kept.
pub fn go_on(found: Found, account: &mut Account, metrics: &SelfMetrics) {
    match found {
        Found::Nothing => {}
        Found::Refused => metrics.set_state_refused(),
        Found::Totals { kept, same_boot } => account.restore(&kept, same_boot, Instant::now()),
    }
}
