//! `/livez` and `/readyz`: the routes; what decides them is given by the wiring.

use axum::{extract::State, http::StatusCode};
use zonemeter_model::condition::Condition;

/// Decides whether the agent lives and is ready.
pub trait Health: Send + Sync + 'static {
    /// Whether every loop turns.
    fn live(&self) -> Verdict;
    /// Whether everything that is needed is there.
    fn ready(&self) -> Verdict;
    /// Which conditions hold in full.
    fn holds(&self) -> Vec<(Condition, bool)>;
}

/// An answer and its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// 200 if true, 503 if not.
    pub ok: bool,
    /// The body: one line for each thing worth saying, each ended by a newline.
    pub text: String,
}

pub(super) async fn livez(State(state): State<super::State>) -> (StatusCode, String) {
    respond(state.health.live())
}

pub(super) async fn readyz(State(state): State<super::State>) -> (StatusCode, String) {
    respond(state.health.ready())
}

fn respond(verdict: Verdict) -> (StatusCode, String) {
    let status = match verdict.ok {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, verdict.text)
}
