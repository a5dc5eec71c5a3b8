//! Every task of the process has a name. The first one that ends, ends the process; the rest get
//! one budget to stop.

use std::{future::Future, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use tokio::{sync::watch, task::JoinSet};

/// How long tasks may take to stop, together.
const BUDGET: Duration = Duration::from_secs(5);

/// Named tasks and the signal that stops them.
pub struct Tasks {
    running: JoinSet<(&'static str, Result<()>)>,
    stop: watch::Sender<bool>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            running: JoinSet::new(),
            stop: watch::Sender::new(false),
        }
    }
}

impl Tasks {
    /// Changes once, when it is time to stop.
    pub fn stop(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Runs `task` under `name`.
    pub fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        self.running.spawn(async move { (name, task.await) });
    }

    /// Runs `task` under `name` and drops it where it stands when it is time to stop: it has
    /// nothing to bring to an end.
    pub fn spawn_endless(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        let mut stop = self.stop();
        self.spawn(name, async move {
            tokio::select! {
                ended = task => ended,
                _ = stop.changed() => Ok(()),
            }
        });
    }

    /// Runs `task` on a thread and a runtime of its own, so that its system calls hold up nobody
    /// else. `make` builds the task on that thread.
    pub fn spawn_thread<F>(&mut self, name: &'static str, make: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = Result<()>>,
    {
        self.running
            .spawn_blocking(move || (name, on_this_thread(make)));
    }

    /// Waits until `shutdown` or until a task ends, then stops all.
    ///
    /// # Errors
    /// That of the first task that failed; a task that ended by itself is one, too.
    pub async fn run(mut self, shutdown: impl Future<Output = Result<()>>) -> Result<()> {
        let first = tokio::select! {
            asked = shutdown => asked,
            Some(ended) = self.running.join_next() => Err(match ended {
                Ok((name, Ok(()))) => anyhow!("{name} ended by itself"),
                Ok((name, Err(error))) => error.context(name),
                Err(error) => anyhow!("a task panicked: {error}"),
            }),
        };
        self.stop.send_replace(true);
        let rest = tokio::time::timeout(BUDGET, self.join()).await;
        first.and(rest.with_context(|| format!("tasks still running after {BUDGET:?}"))?)
    }

    async fn join(&mut self) -> Result<()> {
        let mut result = Ok(());
        while let Some(ended) = self.running.join_next().await {
            let ended = match ended {
                Ok((name, ended)) => ended.context(name),
                Err(error) => Err(anyhow!("a task panicked: {error}")),
            };
            result = result.and(ended);
        }
        result
    }
}

fn on_this_thread<F: Future<Output = Result<()>>>(make: impl FnOnce() -> F) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move { make().await })
}
