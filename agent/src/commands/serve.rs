//! `zonemeter serve`: the page and its JSON for the whole cluster, out of a store.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use tokio::runtime::Builder;
use zonemeter_inspect::{
    serve,
    store::{self, Access, Store},
};
use zonemeter_metrics::SelfMetrics;

use crate::{
    args::complaint,
    listen::{self, Address, Audience, Limits},
    signals::Signals,
    tasks::{Running, Tasks},
};

/// Connections that are open at once.
const CONNECTIONS: usize = 256;

/// Flags of `zonemeter serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Prometheus-compatible store of what all agents counted
    #[arg(long, env = "ZONEMETER_PROMETHEUS", value_name = "URL")]
    pub prometheus: store::Address,

    /// How to reach that store.
    #[command(flatten)]
    pub access: Access,

    /// Serves the page and its JSON to whoever reaches it: an address and port ([::] is IPv4
    /// too), or unix:/path
    #[arg(
        long,
        env = "ZONEMETER_LISTEN",
        value_name = "ADDR",
        default_value = "[::]:9466"
    )]
    pub listen: Address,
}

/// Serves until a signal.
pub fn run(args: &ServeArgs) -> ExitCode {
    let running = Running::default();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let started = Signals::listen(running.clone()).and_then(|signals| {
        let runtime = runtime.context("runtime")?;
        let tasks = runtime.block_on(async { start(args, running) })?;
        Ok((runtime, tasks, signals))
    });
    match started {
        Ok((runtime, tasks, mut signals)) => {
            complaint::ended(runtime.block_on(tasks.run(signals.came())))
        }
        Err(error) => complaint::refuse(&format!("{error:#}")),
    }
}

fn start(args: &ServeArgs, running: Running) -> Result<Tasks> {
    let mut tasks = Tasks::new(running);
    let store = Store::new(&args.prometheus, &args.access)?;
    let descriptors = listen::raise_file_limit();
    let listener = listen::bind("--listen", &args.listen)?;
    tracing::info!("the page is on {}", args.listen);
    let everybody = (Audience::Everybody, Limits::new(CONNECTIONS, descriptors));
    let metrics = SelfMetrics::default();
    let http = listen::serve(
        listener,
        serve::router(store),
        everybody,
        metrics,
        tasks.stop(),
    );
    tasks.spawn("http", http);
    Ok(tasks)
}
