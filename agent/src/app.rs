//! The agent's wiring: what runs, and what is joined to what.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use axum::Router;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
};

use crate::{
    account::{Account, Settings},
    cluster::Feed,
    config::Config,
    expose::{self, Prepared, SelfMetrics, debug, prepared},
    feeds,
    kernel::{Kernel, hooks::watch::Watch, links::Links, object},
    memory,
    model::{snapshot::Snapshot, traffic::BackendMethod},
    pipeline::{Keeper, Pipeline},
    predecessor,
    readiness::{Need, Readiness},
    signals,
    state::StateDir,
    tasks::Tasks,
};

/// On top of three intervals: a drain waits for a grace period, which a busy kernel may stretch.
const PULSE_MARGIN: Duration = Duration::from_secs(10);
/// Changes of the cluster that may wait for the pipeline.
const CHANGES_WAITING: usize = 1024;
/// Questions about addresses that may wait for the pipeline.
const QUESTIONS_WAITING: usize = 16;

const COUNTING: Need = Need::always("counting", "the first drain is not through yet");
const CLUSTER: Need = Need::at_start("cluster", "not read yet");
const NETWORKS: Need = Need::at_start("networks file", "not read yet");
const INTERFACES: Need = Need::shown("interfaces");

/// An agent that holds its ports and has loaded its programs.
pub struct App {
    runtime: Runtime,
    tasks: Tasks,
}

impl App {
    /// Binds, loads, and starts every task.
    ///
    /// # Errors
    /// One line for what this machine or its configuration does not allow.
    pub fn start(config: Config) -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("runtime")?;
        let tasks = runtime.block_on(start(config))?;
        Ok(Self { runtime, tasks })
    }

    /// Runs until a signal or until a task fails.
    pub fn run(self) -> Result<()> {
        self.runtime.block_on(self.tasks.run(signals::shutdown()))
    }
}

async fn start(config: Config) -> Result<Tasks> {
    let state_dir = config
        .state_dir
        .as_deref()
        .map(StateDir::open)
        .transpose()?;
    let listener = bind("--listen", config.listen).await?;
    let debug_listener = bind("--debug-listen", config.debug_listen).await?;
    let metrics = SelfMetrics::default();
    metrics.set_flow_capacity(config.kernel.max_flows.into());
    let (readiness, [counting, cluster, networks, all_counted]) =
        Readiness::new([COUNTING, CLUSTER, NETWORKS, INTERFACES]);
    let (changes_in, changes) = mpsc::channel(CHANGES_WAITING);
    let (feed, health) = Feed::new(config.cluster, changes_in);
    let (networks_in, networks_out) = watch::channel(Arc::default());
    let snapshots = watch::Sender::new(Arc::new(Snapshot {
        restoring: state_dir.is_some(),
        ..Snapshot::default()
    }));
    let recent = watch::Sender::new(Arc::default());
    let (questions_in, questions) = mpsc::channel(QUESTIONS_WAITING);

    let state = expose::State {
        snapshots: snapshots.subscribe(),
        prepared: Prepared::default(),
        metrics: metrics.clone(),
        health: Arc::new(readiness.clone()),
    };
    let debug_state = debug::State {
        snapshots: snapshots.subscribe(),
        recent: recent.subscribe(),
        questions: questions_in,
        config: Arc::new(config.by_flag),
    };
    let pulse = readiness.pulse("pipeline", 3 * config.interval + PULSE_MARGIN);
    let mut account = Account::new(Settings {
        max_series: config.max_series,
        detail: config.detail,
        place_services: config.place_services,
        ..Settings::new(Arc::clone(&config.node_name))
    });

    let mut tasks = Tasks::default();
    let stop = tasks.stop();
    tasks.spawn_endless("scrapes", prepared::prepare(state.clone()));
    tasks.spawn("http", serve(listener, expose::router(state), tasks.stop()));
    let debug = serve(debug_listener, debug::router(debug_state), tasks.stop());
    tasks.spawn("debug page", debug);
    let pins = predecessor::pins(config.kernel.pin_dir.as_deref(), &counting).await?;
    let writer = match state_dir {
        Some(directory) => {
            let (found, writer) =
                predecessor::totals(directory, &config.node_name, &counting).await?;
            predecessor::go_on(found, &mut account, &metrics);
            snapshots.send_replace(Arc::new(account.snapshot()));
            Some(writer)
        }
        None => None,
    };
    let keeper = Keeper::new(writer, metrics.clone());
    let (object, warnings) = object::load(&config.kernel, pins)?;
    for (method, enabled) in [
        (BackendMethod::Packet, object.reads_connections()),
        (BackendMethod::Table, config.kernel.methods.table),
        (BackendMethod::Endpoints, config.place_services),
    ] {
        metrics.set_backend_method(method, enabled);
    }
    config.cni.log();
    let kernel = Kernel::new(object, config.kernel.methods, Instant::now())?;
    tasks.spawn_endless("memory", memory::give_back());
    tasks.spawn_endless("program log", warnings.run());
    tasks.spawn_endless(
        "cluster feed",
        feeds::cluster(feed, health, cluster, metrics.clone()),
    );
    let networks_feed =
        feeds::networks(config.networks_file, networks_in, networks, metrics.clone());
    tasks.spawn_endless("networks file", networks_feed);
    tasks.spawn_thread("pipeline", move || async move {
        let links = Links::subscribe(config.names)?;
        let hooks = Watch::open(kernel.mode())?;
        let pipeline = Pipeline {
            kernel,
            links,
            hooks,
            account,
            keeper,
            changes,
            networks: networks_out,
            snapshots,
            recent,
            questions,
            metrics,
            counting,
            all_counted,
            pulse,
        };
        pipeline.run(config.interval, stop).await
    });
    Ok(tasks)
}

async fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{flag}: cannot listen on {address}: choose another address or stop its owner")
    })
}

async fn serve(
    listener: TcpListener,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let stopped = async move {
        // An error means that the sender is gone, which is the same to us.
        let _ = stop.changed().await;
    };
    axum::serve(listener, router)
        .with_graceful_shutdown(stopped)
        .await
        .context("http")
}
