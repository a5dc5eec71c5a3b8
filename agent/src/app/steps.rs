//! The steps of the start, in their order.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use axum::Router;
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
};
use zonemeter_account::{Account, Settings};
use zonemeter_attach::{
    attachments::{Attachments, choose_mode},
    cgroups::{Hierarchy, link::Linker},
    hooks::watch::Watch,
    links::{InterfaceNames, Links},
};
use zonemeter_cluster::{Feed, Source};
use zonemeter_datapath::{Kernel, facts::Facts, object, pins::Pins};
use zonemeter_inspect::{
    debug::{
        self, Question, Standing,
        pairs::history::{self, History},
    },
    prices::Prices,
};
use zonemeter_metrics::{Health as _, SelfMetrics, prepared};
use zonemeter_model::{
    cluster::Change,
    interest::Interest,
    recent::Recent,
    snapshot::Snapshot,
    traffic::{BackendMethod, CgroupChange},
};
use zonemeter_naming::Networks;
use zonemeter_state::StateDir;

use crate::{
    attacher::{AttachEvent, Attacher},
    cgroups::{CgroupLoop, HostPods},
    config::Config,
    feeds,
    listen::{self, Audience, Limits, Listener},
    memory, memory_limit,
    pipeline::StateStore,
    predecessor,
    readiness::{Guard, Readiness},
    tasks::Tasks,
};

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

/// Runs what may wait for a disk on a thread of its own: HTTP and signals go on.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work).await.context("starting")?
}

/// The listen port and the debug port, in this order.
async fn bind(config: &Config) -> Result<[Listener; 2]> {
    let (address, debug_address) = (config.listen.clone(), config.debug_listen.clone());
    blocking(move || {
        Ok([
            listen::bind("--listen", &address)?,
            listen::bind("--debug-listen", &debug_address)?,
        ])
    })
    .await
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

/// What every step uses.
pub(super) struct Steps<'a> {
    pub(super) tasks: &'a mut Tasks,
    pub(super) metrics: SelfMetrics,
    pub(super) readiness: Readiness,
}

/// The pipeline's ends of what the ports show and ask.
pub(super) struct ListenerEnds {
    pub(super) snapshots: watch::Sender<Arc<Snapshot>>,
    pub(super) recent: watch::Sender<Arc<Recent>>,
    pub(super) watched: Interest,
    pub(super) prices: watch::Sender<Arc<Option<Prices>>>,
    pub(super) questions: mpsc::Receiver<Question>,
}

/// The other ends of what the loop that follows cgroups reads and writes.
pub(super) struct Cgroups {
    pub(super) uplinks: watch::Sender<usize>,
    pub(super) host_pods: watch::Sender<HostPods>,
    pub(super) changes: mpsc::UnboundedReceiver<CgroupChange>,
}

/// What the loop that attaches is made of, but for what it opens on its own thread.
pub(super) struct Attaching {
    pub(super) names: InterfaceNames,
    pub(super) attachments: Attachments,
    pub(super) uplinks: watch::Sender<usize>,
    /// Of [`Attacher::all_counted`] and [`Attacher::pinned`].
    pub(super) guards: [Guard; 2],
}

impl<'a> Steps<'a> {
    /// Nothing is known of the agent yet.
    pub(super) fn new(tasks: &'a mut Tasks, readiness: Readiness) -> Self {
        Self {
            tasks,
            metrics: SelfMetrics::default(),
            readiness,
        }
    }

    /// Binds both ports and answers at them, before there is anything to show.
    pub(super) async fn serve(&mut self, config: &Config) -> Result<ListenerEnds> {
        let plan = &config.kernel.plan;
        // Before anything that takes memory.
        if let Some(reason) = memory_limit::too_low(&Facts::read(), plan, config.max_series) {
            tracing::warn!("{reason}");
        }
        self.metrics
            .set_map_capacity(plan.capacity.flows().into(), plan.demand.total().0);
        let descriptors = listen::raise_file_limit();
        let [listener, debug_listener] = bind(config).await?;
        let snapshots = watch::Sender::new(Arc::new(Snapshot {
            restoring: config.state_dir.is_some(),
            ..Snapshot::default()
        }));
        let recent = watch::Sender::new(Arc::default());
        let watched = Interest::default();
        let (prices_in, prices) = watch::channel(Arc::default());
        let (questions_in, questions) = mpsc::channel(QUESTIONS_WAITING);
        let health = Arc::new(self.readiness.clone());
        let state =
            zonemeter_metrics::State::new(snapshots.subscribe(), self.metrics.clone(), health);
        let debug_state = debug::State {
            snapshots: snapshots.subscribe(),
            recent: recent.subscribe(),
            watched: watched.clone(),
            history: History::default(),
            prices,
            questions: questions_in,
            config: Arc::new(config.by_flag.clone()),
            standing: standing(self.readiness.clone(), self.metrics.clone()),
        };
        self.tasks
            .spawn_endless("scrapes", prepared::prepare(state.clone()));
        let pairs = history::follow(debug_state.clone());
        self.tasks.spawn_endless("pairs", pairs);
        let everybody = (Audience::Everybody, Limits::new(CONNECTIONS, descriptors));
        self.answer(
            "http",
            listener,
            zonemeter_metrics::router(state),
            everybody,
        );
        let limits = Limits::new(DEBUG_CONNECTIONS, descriptors);
        let loopback = (Audience::Loopback, limits);
        let router = debug::router(debug_state);
        self.answer("debug page", debug_listener, router, loopback);
        Ok(ListenerEnds {
            snapshots,
            recent,
            watched,
            prices: prices_in,
            questions,
        })
    }

    /// Answers at a port, as a task of this name.
    fn answer(
        &mut self,
        name: &'static str,
        listener: Listener,
        router: Router,
        audience: (Audience, Limits),
    ) {
        let (metrics, stop) = (self.metrics.clone(), self.tasks.stop());
        let http = listen::serve(listener, router, audience, metrics, stop);
        self.tasks.spawn(name, http);
    }

    /// Waits for an earlier agent to end, and goes on with its totals: they, who keeps them, and the
    /// pin directory.
    pub(super) async fn take_over(
        &mut self,
        config: &Config,
        counting: &Guard,
        shown: &ListenerEnds,
    ) -> Result<(Account, StateStore, Option<Arc<Pins>>)> {
        let pins = predecessor::pins(config.kernel.pin_dir.as_deref(), counting).await?;
        let mut account = Account::new(Settings {
            max_series: config.max_series,
            detail: config.detail,
            place_services: config.place_services,
            source_nat: config.source_nat.clone(),
            ..Settings::new(Arc::clone(&config.node_name))
        });
        let Some(path) = config.state_dir.clone() else {
            return Ok((account, StateStore::none(self.metrics.clone()), pins));
        };
        let directory = blocking(move || StateDir::open(&path)).await?;
        let (found, writer) = predecessor::totals(directory, &config.node_name, counting).await?;
        predecessor::go_on(found, &mut account, &self.metrics);
        shown.snapshots.send_replace(Arc::new(account.snapshot()));
        let (store, thread) = StateStore::new(writer, self.metrics.clone());
        let stop = self.tasks.stop();
        self.tasks
            .spawn_thread("state directory", move || thread.run(stop));
        Ok((account, store, pins))
    }

    /// Loads the programs, and says what they can do.
    pub(super) async fn load(
        &mut self,
        config: &Config,
        pins: Option<Arc<Pins>>,
    ) -> Result<(Kernel, Attachments, Linker)> {
        let mode = choose_mode(config.attach)?;
        let settings = config.kernel.clone();
        let (object, warnings) = blocking(move || object::load(&settings, pins)).await?;
        tracing::info!("map memory: {}", config.kernel.plan);
        for (method, enabled) in [
            (BackendMethod::Packet, object.reads_connections()),
            (BackendMethod::Table, config.kernel.methods.table),
            (BackendMethod::Endpoints, config.place_services),
        ] {
            self.metrics.set_backend_method(method, enabled);
        }
        config.cni.log();
        self.tasks.spawn_endless("program log", warnings.run());
        self.tasks.spawn_endless("memory", memory::give_back());
        let (kernel, attachable) = Kernel::new(object, config.kernel.methods, Instant::now())?;
        let may_add_clsact = config.cni.may_add_clsact();
        let (attachments, linker) = zonemeter_attach::prepare(attachable, mode, may_add_clsact)?;
        Ok((kernel, attachments, linker))
    }

    pub(super) fn follow_cluster(
        &mut self,
        source: Source,
        guard: Guard,
    ) -> mpsc::Receiver<Change> {
        let (changes_in, changes) = mpsc::channel(CHANGES_WAITING);
        let (feed, health) = Feed::new(source, changes_in);
        let feed = feeds::cluster(feed, health, guard, self.metrics.clone());
        self.tasks.spawn_endless("cluster feed", feed);
        changes
    }

    pub(super) fn follow_networks(
        &mut self,
        file: (Option<PathBuf>, Duration),
        guard: Guard,
    ) -> watch::Receiver<Arc<Networks>> {
        let (networks_in, networks) = watch::channel(Arc::default());
        let feed = feeds::networks(file, networks_in, guard, self.metrics.clone());
        self.tasks.spawn_endless("networks file", feed);
        networks
    }

    pub(super) fn follow_prices(
        &mut self,
        path: Option<PathBuf>,
        prices: watch::Sender<Arc<Option<Prices>>>,
    ) {
        let feed = feeds::prices(path, prices, self.metrics.clone());
        self.tasks.spawn_endless("prices file", feed);
    }

    pub(super) fn follow_cgroups(
        &mut self,
        hierarchy: Hierarchy,
        linker: Linker,
        told_apart: Guard,
    ) -> Cgroups {
        let (uplinks, uplinks_out) = watch::channel(0);
        let (host_pods, host_pods_out) = watch::channel(HostPods::default());
        let (changes_in, changes) = mpsc::unbounded_channel();
        let following = CgroupLoop {
            hierarchy,
            linker,
            uplinks: uplinks_out,
            host_pods: host_pods_out,
            changes: changes_in,
            metrics: self.metrics.clone(),
            told_apart,
            pulse: self.readiness.pulse("cgroups", ATTACH_DEADLINE),
        };
        let stop = self.tasks.stop();
        self.tasks
            .spawn_thread("cgroups", move || following.run(stop));
        Cgroups {
            uplinks,
            host_pods,
            changes,
        }
    }

    /// Starts the loop that attaches; what it does comes out of the channel.
    pub(super) fn attach(&mut self, attaching: Attaching) -> mpsc::UnboundedReceiver<AttachEvent> {
        let (events, attached) = mpsc::unbounded_channel();
        let stop = self.tasks.stop();
        let pulse = self.readiness.pulse("attaching", ATTACH_DEADLINE);
        let metrics = self.metrics.clone();
        let [all_counted, pinned] = attaching.guards;
        self.tasks.spawn_thread("attaching", move || async move {
            let attacher = Attacher {
                uncounted: HashMap::new(),
                asked_for: attaching.names.asked_for(),
                links: Links::subscribe(attaching.names)?,
                hooks: Watch::open(attaching.attachments.mode())?,
                attachments: attaching.attachments,
                events,
                metrics,
                all_counted,
                pinned,
                uplinks: attaching.uplinks,
                pulse,
            };
            attacher.run(stop).await
        });
        attached
    }
}
