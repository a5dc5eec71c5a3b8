//! `/api/pairs`: who speaks with whom, both directions in one row, as a mean over a window.
//!
//! A pair is a workload of this node's pods, or of the node itself, and its peer in one scope, with
//! the zones of both ends: two series of the workload or of the host family, one for each direction. Two workloads that both have pods
//! on this node speak in `intra_node` in four series; they are one pair, seen from the end that
//! comes first by name. So bytes inside the node are listed once, all others as the metrics have
//! them.

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::{Query, State},
};
use tokio::task::spawn_blocking;

use self::{answer::Pairs, request::Request};
use super::answer::Refusal;

pub mod answer;
mod cost;
pub mod history;
mod request;
pub(super) mod search;
mod select;
#[cfg(test)]
mod tests;
mod totals;

pub(super) async fn list(
    State(state): State<super::State>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<Pairs>, Refusal> {
    let request = Request::new(pairs)?;
    let now = Instant::now();
    state.watched.asks(now);
    state.history.asks(now);
    // Thousands of pairs take milliseconds: not on the thread that serves others.
    let answered = spawn_blocking(move || {
        let snapshot = Arc::clone(&state.snapshots.borrow());
        let recent = Arc::clone(&state.recent.borrow());
        let prices = Arc::clone(&state.prices.borrow());
        state.history.note(&snapshot, &recent);
        select::select(
            &snapshot,
            &recent,
            &state.history,
            prices.as_ref().as_ref(),
            &request,
            now,
        )
    });
    answered
        .await
        .map(Json)
        .map_err(|_| super::answer::failed("/api/pairs"))
}
