//! The agent's wiring: what runs, and what is joined to what.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use axum::Router;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
    task::spawn_blocking,
};
use zonemeter_account::{Account, Settings};
use zonemeter_cluster::Feed;
use zonemeter_datapath::{Kernel, hooks::watch::Watch, links::Links, object};
use zonemeter_inspect::debug::{
    self, Standing,
    pairs::history::{self, History},
};
use zonemeter_metrics::{Health as _, SelfMetrics, prepared};
use zonemeter_model::{
    condition::Condition, interest::Interest, snapshot::Snapshot, traffic::BackendMethod,
};
use zonemeter_state::StateDir;

use crate::{
    args::AgentArgs,
    attacher::Attacher,
    cgroups::{CgroupLoop, HostPods},
    config::Config,
    feeds,
    listen::{self, Audience, Limits, Listener},
    memory,
    pipeline::{Keeper, Pipeline, Progress},
    predecessor,
    readiness::Readiness,
    signals::Signals,
    tasks::{Running, Tasks},
};

/// On top of three intervals: a drain waits for a grace period, which a busy kernel may stretch.
const PULSE_MARGIN: Duration = Duration::from_secs(10);
/// Within which the loop that attaches must turn: it waits for the kernel's lock of all links
/// (rtnl), and for a grace period at each attachment of its first list.
const ATTACH_DEADLINE: Duration = Duration::from_secs(60);
/// Changes of the cluster that may wait for the pipeline.
const CHANGES_WAITING: usize = 1024;
/// Connections to `--listen`: some tens of kilobytes each.
const CONNECTIONS: usize = 512;
/// Connections to `--debug-listen`.
const DEBUG_CONNECTIONS: usize = 64;
/// Questions about addresses that may wait for the pipeline.
const QUESTIONS_WAITING: usize = 16;

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

/// Runs what may wait for a disk on a thread of its own: HTTP and signals go on.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.context("starting")?
}

async fn start(args: AgentArgs, tasks: &mut Tasks) -> Result<()> {
    let config = apart(|| Config::new(args)).await?;
    let descriptors = listen::raise_file_limit();
    let listen = [config.listen.clone(), config.debug_listen.clone()];
    let listeners = apart(move || {
        let [listen, debug_listen] = &listen;
        Ok([
            listen::bind("--listen", listen)?,
            listen::bind("--debug-listen", debug_listen)?,
        ])
    })
    .await?;
    let metrics = SelfMetrics::default();
    let plan = &config.kernel.plan;
    metrics.set_map_capacity(plan.capacity.flows.into(), plan.demand.total().0);
    let (readiness, guards) = Readiness::new(Condition::ALL);
    let [
        counting,
        cluster,
        networks,
        all_counted,
        own_node,
        pods_counted,
        pinned,
        told_apart,
    ] = guards;
    let (changes_in, changes) = mpsc::channel(CHANGES_WAITING);
    let (feed, health) = Feed::new(config.cluster, changes_in);
    let (networks_in, networks_out) = watch::channel(Arc::default());
    let snapshots = watch::Sender::new(Arc::new(Snapshot {
        restoring: config.state_dir.is_some(),
        ..Snapshot::default()
    }));
    let recent = watch::Sender::new(Arc::default());
    let watched = Interest::default();
    let (prices_in, prices) = watch::channel(Arc::default());
    let (questions_in, questions) = mpsc::channel(QUESTIONS_WAITING);

    let state = zonemeter_metrics::State::new(
        snapshots.subscribe(),
        metrics.clone(),
        Arc::new(readiness.clone()),
    );
    let debug_state = debug::State {
        snapshots: snapshots.subscribe(),
        recent: recent.subscribe(),
        watched: watched.clone(),
        history: History::default(),
        prices,
        questions: questions_in,
        config: Arc::new(config.by_flag),
        standing: standing(readiness.clone(), metrics.clone()),
    };
    let mut account = Account::new(Settings {
        max_series: config.max_series,
        detail: config.detail,
        place_services: config.place_services,
        source_nat: config.source_nat,
        ..Settings::new(Arc::clone(&config.node_name))
    });

    let stop = tasks.stop();
    tasks.spawn_endless("scrapes", prepared::prepare(state.clone()));
    tasks.spawn_endless("pairs", history::follow(debug_state.clone()));
    serve(
        tasks,
        listeners,
        [zonemeter_metrics::router(state), debug::router(debug_state)],
        &metrics,
        descriptors,
    );
    let pins = predecessor::pins(config.kernel.pin_dir.as_deref(), &counting).await?;
    let writer = match config.state_dir {
        Some(path) => {
            let directory = apart(move || StateDir::open(&path)).await?;
            let (found, writer) =
                predecessor::totals(directory, &config.node_name, &counting).await?;
            predecessor::go_on(found, &mut account, &metrics);
            snapshots.send_replace(Arc::new(account.snapshot()));
            Some(writer)
        }
        None => None,
    };
    let keeper = match writer {
        Some(writer) => {
            let (keeper, thread) = Keeper::new(writer, metrics.clone());
            let stop = tasks.stop();
            tasks.spawn_thread("state directory", move || thread.run(stop));
            keeper
        }
        None => Keeper::none(metrics.clone()),
    };
    let settings = config.kernel.clone();
    let (object, warnings) = apart(move || object::load(&settings, pins)).await?;
    tracing::info!("map memory: {}", config.kernel.plan);
    for (method, enabled) in [
        (BackendMethod::Packet, object.reads_connections()),
        (BackendMethod::Table, config.kernel.methods.table),
        (BackendMethod::Endpoints, config.place_services),
    ] {
        metrics.set_backend_method(method, enabled);
    }
    config.cni.log();
    let (kernel, attachments, linker) = Kernel::new(object, config.kernel.methods, Instant::now())?;
    let (events, attached) = mpsc::unbounded_channel();
    let (uplinks, uplinks_out) = watch::channel(0);
    let (host_pods, host_pods_out) = watch::channel(HostPods::default());
    let (cgroups_in, cgroups) = mpsc::unbounded_channel();
    let following = CgroupLoop {
        hierarchy: config.cgroups,
        linker,
        uplinks: uplinks_out,
        host_pods: host_pods_out,
        changes: cgroups_in,
        metrics: metrics.clone(),
        told_apart,
        pulse: readiness.pulse("cgroups", ATTACH_DEADLINE),
    };
    let following_stop = stop.clone();
    tasks.spawn_thread("cgroups", move || following.run(following_stop));
    tasks.spawn_endless("memory", memory::give_back());
    tasks.spawn_endless("program log", warnings.run());
    tasks.spawn_endless(
        "cluster feed",
        feeds::cluster(feed, health, cluster, metrics.clone()),
    );
    let networks_feed = feeds::networks(
        (config.networks_file, config.networks_max_age),
        networks_in,
        networks,
        metrics.clone(),
    );
    tasks.spawn_endless("networks file", networks_feed);
    let prices_feed = feeds::prices(config.prices_file, prices_in, metrics.clone());
    tasks.spawn_endless("prices file", prices_feed);
    let attaching = readiness.pulse("attaching", ATTACH_DEADLINE);
    let (attach_stop, attach_metrics) = (stop.clone(), metrics.clone());
    tasks.spawn_thread("attaching", move || async move {
        let attacher = Attacher {
            uncounted: HashMap::new(),
            asked_for: config.names.asked_for(),
            links: Links::subscribe(config.names)?,
            hooks: Watch::open(attachments.mode())?,
            attachments,
            events,
            metrics: attach_metrics,
            all_counted,
            pinned,
            uplinks,
            pulse: attaching,
        };
        attacher.run(attach_stop).await
    });
    let deadline = 3 * config.interval + PULSE_MARGIN;
    tasks.spawn_thread("pipeline", move || async move {
        let pipeline = Pipeline {
            kernel,
            attached,
            cgroups,
            host_pods,
            account,
            keeper,
            progress: Progress::default(),
            changes,
            networks: networks_out,
            snapshots,
            recent,
            watched,
            questions,
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

/// What the page says of the agent.
fn standing(readiness: Readiness, metrics: SelfMetrics) -> Arc<dyn Fn() -> Standing + Send + Sync> {
    Arc::new(move || {
        let (ready, live) = (readiness.ready(), readiness.live());
        let missing = ready.text.lines().filter(|line| *line != "ready");
        let stalled = live.text.lines().filter(|_| !live.ok);
        Standing {
            ready: ready.ok,
            alive: live.ok,
            missing: missing.chain(stalled).map(str::to_owned).collect(),
            uncounted_pods: metrics.uncounted_pods(),
        }
    })
}

/// The listen port and the debug port, in this order.
fn serve(
    tasks: &mut Tasks,
    [listener, debug_listener]: [Listener; 2],
    [router, debug_router]: [Router; 2],
    metrics: &SelfMetrics,
    descriptors: u64,
) {
    let everybody = (Audience::Everybody, Limits::new(CONNECTIONS, descriptors));
    let http = listen::serve(listener, router, everybody, metrics.clone(), tasks.stop());
    tasks.spawn("http", http);
    let loopback = (
        Audience::Loopback,
        Limits::new(DEBUG_CONNECTIONS, descriptors),
    );
    let debug = listen::serve(
        debug_listener,
        debug_router,
        loopback,
        metrics.clone(),
        tasks.stop(),
    );
    tasks.spawn("debug page", debug);
}
