//! The debug listener: a page for people and JSON for programs, read only, loopback only.
//!
//! | route | what |
//! |---|---|
//! | `/` | page with a live table |
//! | `/api/flows?limit=&sort=transmit\|receive\|total&scope=&namespace=&pod=&peer=` | conversations of the last drain, busiest first |
//! | `/api/zones` | totals by zone, peer zone and scope |
//! | `/api/workloads` | totals by workload and scope |
//! | `/api/interfaces` | counted interfaces |
//! | `/api/explain?address=` | why an address gets its scope |
//! | `/api/config` | the configuration in force |
//!
//! Field names are stable, arrays are sorted. An error is one JSON line that names the
//! parameter, its value and what is accepted.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State as Extracted,
    http::{HeaderName, header},
    middleware,
    response::IntoResponse,
    routing::get,
};
use tokio::sync::{mpsc, oneshot, watch};
use zonemeter_model::{
    recent::{Explanation, Recent},
    snapshot::Snapshot,
};

pub mod answer;
mod explain;
mod flows;
mod host;
mod interfaces;
mod query;
#[cfg(test)]
mod tests;
mod workloads;
mod zones;

/// What the debug listener serves from.
#[derive(Clone, Debug)]
pub struct State {
    /// The latest drain's totals.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The latest drain's flows.
    pub recent: watch::Receiver<Arc<Recent>>,
    /// Whoever owns the address book answers questions from here.
    pub questions: mpsc::Sender<Question>,
    /// The configuration in force, by flag.
    pub config: Arc<serde_json::Value>,
}

/// Asks why an address gets its scope. Dropping `answer` says that there is no answer.
#[derive(Debug)]
pub struct Question {
    /// The address.
    pub address: IpAddr,
    /// Takes the answer.
    pub answer: oneshot::Sender<Explanation>,
}

/// The routes of the debug listener.
pub fn router(state: State) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/api/flows", get(flows::list))
        .route("/api/zones", get(zones::list))
        .route("/api/workloads", get(workloads::list))
        .route("/api/interfaces", get(interfaces::list))
        .route("/api/explain", get(explain::explain))
        .route("/api/config", get(config))
        .fallback(answer::no_such_path)
        .with_state(state)
        .layer(middleware::from_fn(host::refuse_names))
}

/// Only its own script and style run on the page, and it speaks to nobody else.
const PAGE_HEADERS: [(HeaderName, &str); 2] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; \
         style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
];

async fn page() -> impl IntoResponse {
    (PAGE_HEADERS, include_str!("debug/page.html"))
}

async fn config(Extracted(state): Extracted<State>) -> Json<Arc<serde_json::Value>> {
    Json(state.config)
}
