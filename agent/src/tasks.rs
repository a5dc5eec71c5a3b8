//! Every task of the process has a name. The first one that ends, ends the process; the rest get
//! one budget to stop, and then the process ends without them.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use tokio::{
    sync::watch,
    task::{AbortHandle, Id, JoinError, JoinSet},
};

/// How long tasks may take to stop, together: the process ends within 5 s of a signal.
pub const BUDGET: Duration = Duration::from_secs(4);

/// The names of tasks that have not ended. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<Mutex<BTreeMap<Id, &'static str>>>);

impl Running {
    /// All of them in one line.
    pub fn names(&self) -> String {
        let names: Vec<_> = self.tasks().values().copied().collect();
        match names.is_empty() {
            true => "nothing that has a name".to_owned(),
            false => names.join(", "),
        }
    }

    fn began(&self, task: &AbortHandle, name: &'static str) {
        self.tasks().insert(task.id(), name);
    }

    fn ended(&self, task: Id) -> &'static str {
        self.tasks().remove(&task).unwrap_or("a task")
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<Id, &'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Named tasks and the signal that stops them.
pub struct Tasks {
    set: JoinSet<Result<()>>,
    running: Running,
    stop: watch::Sender<bool>,
}

impl Tasks {
    /// None yet; `running` is told of those that come.
    pub fn new(running: Running) -> Self {
        Self {
            set: JoinSet::new(),
            running,
            stop: watch::Sender::new(false),
        }
    }

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
        self.running.began(&self.set.spawn(task), name);
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
        let task = self.set.spawn_blocking(move || on_this_thread(make));
        self.running.began(&task, name);
    }

    /// Waits until `shutdown` or until a task ends, then stops all. Tasks that have not ended
    /// within [`BUDGET`] are named in one line and left to themselves: the caller ends the process.
    ///
    /// # Errors
    /// That of the first task that failed; a task that ended by itself is one, too.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let first = tokio::select! {
            biased;
            () = shutdown => Ok(()),
            Some(ended) = self.set.join_next_with_id() => Err(match self.named(ended) {
                (name, Ok(())) => anyhow!("{name} ended by itself"),
                (name, Err(error)) => error.context(name),
            }),
        };
        self.stop.send_replace(true);
        let Ok(rest) = tokio::time::timeout(BUDGET, self.join()).await else {
            let names = self.running.names();
            tracing::warn!("not stopped within {BUDGET:?}, ended as by a kill: {names}");
            return first;
        };
        first.and(rest)
    }

    async fn join(&mut self) -> Result<()> {
        let mut result = Ok(());
        while let Some(ended) = self.set.join_next_with_id().await {
            let (name, ended) = self.named(ended);
            result = result.and(ended.context(name));
        }
        result
    }

    fn named(&self, ended: Result<(Id, Result<()>), JoinError>) -> (&'static str, Result<()>) {
        match ended {
            Ok((task, ended)) => (self.running.ended(task), ended),
            Err(error) => {
                let name = self.running.ended(error.id());
                (name, Err(anyhow!("it panicked: {error}")))
            }
        }
    }
}

fn on_this_thread<F: Future<Output = Result<()>>>(make: impl FnOnce() -> F) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move { make().await })
}

#[cfg(test)]
mod tests {
    use std::{future, sync::mpsc, time::Instant};

    use super::*;

    #[test]
    fn a_thread_that_hangs_is_named_and_left_behind() {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let (release, released) = mpsc::channel::<()>();
        let running = Running::default();
        let began = Instant::now();
        let ended = runtime.block_on(async {
            let mut tasks = Tasks::new(running.clone());
            tasks.spawn_thread("hung", move || async move { Ok(released.recv()?) });
            let mut stop = tasks.stop();
            tasks.spawn("good", async move { Ok(stop.changed().await?) });
            tasks.spawn_endless("endless", future::pending());
            tasks.run(future::ready(())).await
        });
        runtime.shutdown_background();
        ended.unwrap();
        assert_eq!(running.names(), "hung");
        let took = began.elapsed();
        assert!(
            took >= BUDGET && took < BUDGET + Duration::from_secs(1),
            "{took:?}"
        );
        drop(release);
    }

    #[tokio::test]
    async fn a_task_that_fails_or_panics_ends_all_and_is_named() {
        for (name, panics) in [("failing", false), ("panicking", true)] {
            let mut tasks = Tasks::new(Running::default());
            tasks.spawn(name, async move {
                assert!(!panics);
                Err(anyhow!("broken"))
            });
            tasks.spawn_endless("endless", future::pending());
            let error = tasks.run(future::pending()).await.unwrap_err();
            assert!(format!("{error:#}").starts_with(name), "{error:#}");
        }
    }
}
