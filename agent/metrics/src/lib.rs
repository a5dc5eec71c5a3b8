//! Shows what was counted: `/metrics` and health on the listen port.
//!
//! | route | what |
//! |---|---|
//! | `/` | this list |
//! | `/metrics` | Prometheus text 0.0.4; OpenMetrics 1.0.0 and gzip on request |
//! | `/livez` | 200 while the loops turn, 503 naming the one that stalled |
//! | `/readyz` | 200, or 503 with one line for each thing that is missing |
//!
//! All traffic metrics of one scrape are rendered from one [`Snapshot`], so the sums of the
//! contract hold within a scrape.

use std::sync::Arc;

use axum::{Router, routing::get};
use tokio::sync::watch;
use zonemeter_model::snapshot::Snapshot;

use self::admission::Scrapes;

mod admission;
pub mod catalogue;
pub mod exposition;
pub mod health;
mod index;
mod negotiation;
mod packing;
mod peer;
pub mod prepared;
mod process;
mod reference;
mod scrape;
pub mod self_metrics;
mod traffic;

#[cfg(test)]
mod tests;

pub use health::{Health, Verdict};
pub use peer::Peer;
pub use prepared::Prepared;
pub use self_metrics::SelfMetrics;

/// What the listen port serves from.
#[derive(Clone)]
pub struct State {
    /// The latest drain's numbers; the sender replaces the whole `Arc`.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// What is rendered of the latest drain.
    pub prepared: Prepared,
    /// The agent's numbers about itself.
    pub metrics: SelfMetrics,
    /// Decides `/livez` and `/readyz`.
    pub health: Arc<dyn Health>,
    scrapes: Scrapes,
}

impl State {
    /// Serves these.
    pub fn new(
        snapshots: watch::Receiver<Arc<Snapshot>>,
        metrics: SelfMetrics,
        health: Arc<dyn Health>,
    ) -> Self {
        Self {
            snapshots,
            prepared: Prepared::default(),
            metrics,
            health,
            scrapes: Scrapes::default(),
        }
    }
}

/// The routes of the listen port.
pub fn router(state: State) -> Router {
    Router::new()
        .route("/", get(index::list))
        .route("/metrics", get(scrape::metrics))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .fallback(index::no_such_path)
        .with_state(state)
}
