//! The page and its JSON for the whole cluster, out of a store.
//!
//! | route | what |
//! |---|---|
//! | `/` and what is below `/page/` | the page |
//! | `/api/pairs?window=5m\|1h\|1d&sort=&scope=&namespace=&search=&limit=` | pairs, as an agent has them, with the month to date and the same time a week ago |
//! | `/api/zones` | bytes of the last day by zone, peer zone and scope |
//! | `/api/workloads` | bytes of the last day by workload and scope |
//! | `/api/flows` | none: connections are known to the agents alone |
//! | `/api/health` | null: an agent's health is its own; by that the page knows that it shows a cluster |
//! | `/livez`, `/readyz` | 200; 503 with a line while the store does not answer |

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use clap::ValueEnum;
use serde_json::json;
use zonemeter_model::snapshot::Scope;

use crate::{
    debug::{
        answer::{Flows, Refusal, Workloads, Zones},
        page,
        pairs::answer::Pairs,
        query::Parameters,
    },
    store::Store,
    view::{Group, Question, Sort, Window},
};

const DEFAULT_LIMIT: usize = 100;
const MOST: usize = 10_000;

/// The routes of `zonemeter serve`.
pub fn router(store: Store) -> Router {
    Router::new()
        .merge(page::routes())
        .route("/api/pairs", get(pairs))
        .route("/api/zones", get(zones))
        .route("/api/workloads", get(workloads))
        .route("/api/flows", get(flows))
        .route("/api/health", get(health))
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .fallback(no_such_path)
        .with_state(store)
}

async fn pairs(
    State(store): State<Store>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<Pairs>, Failure> {
    let question = question(parameters)?;
    let reading = store.read(&question).await?;
    Ok(Json(reading.document(question.limit)))
}

async fn zones(
    State(store): State<Store>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<Zones>, Failure> {
    Parameters::new(parameters, &[])?;
    Ok(Json(store.zones().await?))
}

async fn workloads(
    State(store): State<Store>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<Workloads>, Failure> {
    Parameters::new(parameters, &[])?;
    Ok(Json(store.workloads().await?))
}

/// The page asks for them beside pairs; a store has none.
async fn flows() -> Json<Flows> {
    Json(Flows {
        drained_unix_seconds: 0.0,
        seconds: 0.0,
        matched: 0,
        flows: Vec::new(),
    })
}

/// An agent's health is its own.
async fn health() -> Json<serde_json::Value> {
    Json(serde_json::Value::Null)
}

async fn ready(State(store): State<Store>) -> Response {
    match store.answers().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => {
            let line = format!("store: {error:#}\n");
            (StatusCode::SERVICE_UNAVAILABLE, line).into_response()
        }
    }
}

async fn no_such_path(uri: Uri) -> Refusal {
    let accepted = "/, /api/pairs, /api/zones or /api/workloads; connections, interfaces and \
                    explanations are known to the agents alone";
    Refusal::new(StatusCode::NOT_FOUND, "path", uri.path(), accepted)
}

/// The parameters of `/api/pairs`, checked.
fn question(pairs: Vec<(String, String)>) -> Result<Question, Refusal> {
    let known = ["window", "sort", "scope", "namespace", "search", "limit"];
    let parameters = Parameters::new(pairs, &known)?;
    let window = |text: &str| {
        let window = Window::from_str(text, false).ok();
        window.filter(|window| !matches!(window, Window::Minute | Window::Start))
    };
    let scope = |text: &str| Scope::ALL.into_iter().find(|scope| scope.name() == text);
    let scopes = format!("one of {}", Scope::ALL.map(Scope::name).join(", "));
    let limit = |text: &str| text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    let sorts = "dollars, total, transmit, receive or name";
    let scope = parameters.read("scope", &scopes, scope)?;
    Ok(Question {
        group: Group::Pair,
        window: parameters
            .read("window", "5m, 1h or 1d", window)?
            .unwrap_or(Window::FiveMinutes),
        sort: parameters
            .read("sort", sorts, |text| Sort::from_str(text, false).ok())?
            .unwrap_or(Sort::Total),
        scope: scope.map(|scope| scope.name().to_owned()),
        namespace: parameters.text("namespace").map(str::to_owned),
        search: parameters.text("search").unwrap_or_default().to_owned(),
        limit: parameters
            .read("limit", "a number from 1 to 10000", limit)?
            .unwrap_or(DEFAULT_LIMIT),
        unfolded: false,
    })
}

/// Why a question has no answer.
enum Failure {
    Refused(Refusal),
    /// The store has not what was asked for, or does not answer.
    Store(String),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        tracing::warn!("{error:#}");
        Self::Store(format!("{error:#}"))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => refusal.into_response(),
            Self::Store(error) => {
                (StatusCode::BAD_GATEWAY, Json(json!({ "error": error }))).into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &[(&str, &str)]) -> Result<Question, Refusal> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        question(query.iter().map(owned).collect())
    }

    #[test]
    fn parameters_are_those_of_an_agent() {
        let plain = asked(&[]).unwrap();
        assert_eq!((plain.window, plain.limit), (Window::FiveMinutes, 100));
        let all = asked(&[
            ("window", "1d"),
            ("sort", "dollars"),
            ("scope", "cross_zone"),
            ("namespace", "shop"),
            ("search", "web"),
            ("limit", "7"),
        ]);
        let all = all.unwrap();
        assert_eq!(
            (all.window, all.sort, all.limit),
            (Window::Day, Sort::Dollars, 7)
        );
        assert_eq!(all.scope.as_deref(), Some("cross_zone"));
        for (name, value, why) in [
            ("window", "1m", "accepted is 5m, 1h or 1d"),
            ("limit", "0", "accepted is a number from 1 to 10000"),
            (
                "pod",
                "x",
                "accepted is a parameter of window, sort, scope, namespace, search, limit",
            ),
        ] {
            assert_eq!(asked(&[(name, value)]).unwrap_err().why, why);
        }
    }
}
