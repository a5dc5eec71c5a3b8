//! The agent's wiring: what runs, and what is joined to what.

mod steps;

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};
use zonemeter_model::condition::Condition;

use self::steps::{Attaching, Steps, blocking};
use crate::{
    args::AgentArgs,
    config::Config,
    pipeline::{Pipeline, Progress},
    readiness::Readiness,
    signals::Signals,
    tasks::{Running, Tasks},
};

/// On top of three intervals: a drain waits for a grace period, which a busy kernel may stretch.
const PULSE_MARGIN: Duration = Duration::from_secs(10);

/// An agent that holds its ports and has loaded its programs, or was told to end before it had.
pub struct App {
    runtime: Runtime,
    tasks: Tasks,
    signals: Signals,
}

impl App {
    /// Binds, loads, and starts every task. A signal ends it at any point.
    ///
    /// # Errors
    /// One line for what this machine or its configuration does not allow.
    pub fn start(args: AgentArgs) -> Result<Self> {
        let running = Running::default();
        let mut signals = Signals::listen(running.clone())?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("runtime")?;
        let mut tasks = Tasks::new(running);
        let started = runtime.block_on(async {
            tokio::select! {
                started = start(args, &mut tasks) => started,
                () = signals.came() => Ok(()),
            }
        });
        match started {
            Ok(()) => Ok(Self {
                runtime,
                tasks,
                signals,
            }),
            Err(error) => {
                // Without waiting for what may hang.
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    /// Runs until a signal or until a task fails. The process is to end then: threads that did
    /// not stop in time still run.
    pub fn run(mut self) -> Result<()> {
        let ended = self.runtime.block_on(self.tasks.run(self.signals.came()));
        self.runtime.shutdown_background();
        ended
    }
}

async fn start(args: AgentArgs, tasks: &mut Tasks) -> Result<()> {
    let config = blocking(|| Config::new(args)).await?;
    let (
        readiness,
        [
            counting,
            cluster,
            networks,
            all_counted,
            own_node,
            pods_counted,
            pinned,
            told_apart,
        ],
    ) = Readiness::new(Condition::ALL);
    let mut steps = Steps::new(tasks, readiness);
    let shown = steps.serve(&config).await?;
    let (account, store, pins) = steps.take_over(&config, &counting, &shown).await?;
    let (kernel, attachments, linker) = steps.load(&config, pins).await?;
    let changes = steps.follow_cluster(config.cluster, cluster);
    steps.follow_prices(config.prices_file, shown.prices);
    let networks_file = (config.networks_file, config.networks_max_age);
    let networks = steps.follow_networks(networks_file, networks);
    let cgroups = steps.follow_cgroups(config.cgroups, linker, told_apart);
    let attached = steps.attach(Attaching {
        names: config.names,
        attachments,
        uplinks: cgroups.uplinks,
        guards: [all_counted, pinned],
    });
    let (metrics, readiness) = (steps.metrics, steps.readiness);
    let deadline = 3 * config.interval + PULSE_MARGIN;
    let stop = steps.tasks.stop();
    steps.tasks.spawn_thread("pipeline", move || async move {
        let pipeline = Pipeline {
            kernel,
            attached,
            cgroups: cgroups.changes,
            host_pods: cgroups.host_pods,
            account,
            store,
            progress: Progress::default(),
            changes,
            networks,
            snapshots: shown.snapshots,
            recent: shown.recent,
            watched: shown.watched,
            questions: shown.questions,
            metrics,
            counting,
            own_node,
            pods_counted,
            interval: config.interval,
            // The loop begins here: what it waited for before was not its own.
            pulse: readiness.pulse("pipeline", deadline),
        };
        pipeline.run(stop).await
    });
    Ok(())
}
