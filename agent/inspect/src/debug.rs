//! The debug listener: a page for people and JSON for programs, read only, loopback only.
//!
//! | route | what |
//! |---|---|
//! | `/`, `/page/*` | the page |
//! | `/api/pairs?window=1m\|5m\|1h\|start&sort=dollars\|total\|transmit\|receive\|name&scope=&namespace=&search=&limit=` | who speaks with whom |
//! | `/api/flows?limit=&sort=transmit\|receive\|total&scope=&namespace=&pod=&peer=&search=` | conversations of the last drain, busiest first |
//! | `/api/zones` | totals by zone, peer zone and scope |
//! | `/api/workloads` | totals by workload and scope |
//! | `/api/interfaces` | counted interfaces |
//! | `/api/explain?address=` | why an address gets its scope |
//! | `/api/explain?what=` | the same for a pod, workload, Service, node or network by its name, or an address |
//! | `/api/health` | what is counted, whether the sums are equal, what is missing |
//! | `/api/config` | the configuration in force |
//!
//! Field names are stable, arrays are sorted. An error is one JSON line that names the
//! parameter, its value and what is accepted.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State as Extracted, middleware, routing::get};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use zonemeter_model::{
    interest::Interest,
    recent::{Answered, Asked, Recent},
    snapshot::Snapshot,
};

use self::pairs::history::History;
use crate::prices::Prices;

pub mod answer;
mod explain;
mod flows;
mod health;
mod host;
mod interfaces;
pub mod page;
pub mod pairs;
pub(crate) mod query;
#[cfg(test)]
mod tests;
mod workloads;
mod zones;

/// What the debug listener serves from.
#[derive(Clone)]
pub struct State {
    /// The latest drain's totals.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The latest drain's flows, while somebody looks.
    pub recent: watch::Receiver<Arc<Recent>>,
    /// Told when somebody looks at flows.
    pub watched: Interest,
    /// What pairs had carried earlier, while somebody looks.
    pub history: History,
    /// What a gigabyte costs, where a prices file is given.
    pub prices: watch::Receiver<Arc<Option<Prices>>>,
    /// Whoever owns the address book answers questions from here.
    pub questions: mpsc::Sender<Question>,
    /// The configuration in force, by flag.
    pub config: Arc<serde_json::Value>,
    /// How the agent stands now.
    pub standing: Arc<dyn Fn() -> Standing + Send + Sync>,
}

/// What the agent says of itself.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// As `/readyz` says.
    pub ready: bool,
    /// As `/livez` says.
    pub alive: bool,
    /// What is missing, one line each.
    pub missing: Vec<String>,
    /// Pods of this node with an address and no interface that is counted.
    pub uncounted_pods: u64,
}

/// How long an answer waits for a drain whose flows are written down.
const TIMEOUT: Duration = Duration::from_secs(8);

impl State {
    /// Serves these; nobody has looked yet, and there are no prices.
    pub fn new(
        snapshots: watch::Receiver<Arc<Snapshot>>,
        recent: watch::Receiver<Arc<Recent>>,
        questions: mpsc::Sender<Question>,
    ) -> Self {
        Self {
            snapshots,
            recent,
            watched: Interest::default(),
            history: History::default(),
            prices: watch::channel(Arc::default()).1,
            questions,
            config: Arc::default(),
            standing: Arc::new(Standing::default),
        }
    }

    /// The latest drain with its flows. Whoever looks first waits for the next one.
    async fn recorded(&self) -> Arc<Recent> {
        self.watched.asks(Instant::now());
        let mut recent = self.recent.clone();
        // The sender is gone, or drains are too far apart: what there is.
        let _ = timeout(TIMEOUT, recent.wait_for(|recent| recent.recorded)).await;
        Arc::clone(&recent.borrow())
    }
}

/// Asks why something gets its scope. Dropping `answer` says that there is no answer.
#[derive(Debug)]
pub struct Question {
    /// What is asked for.
    pub asked: Asked,
    /// Takes the answer.
    pub answer: oneshot::Sender<Answered>,
}

/// The routes of the debug listener.
pub fn router(state: State) -> Router {
    Router::new()
        .merge(page::routes())
        .route("/api/pairs", get(pairs::list))
        .route("/api/flows", get(flows::list))
        .route("/api/zones", get(zones::list))
        .route("/api/workloads", get(workloads::list))
        .route("/api/interfaces", get(interfaces::list))
        .route("/api/explain", get(explain::explain))
        .route("/api/health", get(health::show))
        .route("/api/config", get(config))
        .fallback(answer::no_such_path)
        .with_state(state)
        .layer(middleware::from_fn(host::refuse_names))
}

async fn config(Extracted(state): Extracted<State>) -> Json<Arc<serde_json::Value>> {
    Json(state.config)
}
