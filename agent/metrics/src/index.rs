//! `/` of the listen port, and the answer to every path that is none.

use axum::http::{StatusCode, Uri};

const ROUTES: &str = "\
/metrics  traffic by pod, workload, zone and scope, and the agent's own numbers
/livez    200 while the agent's loops turn
/readyz   200 when everything needed is there, else what is missing
";

pub(super) async fn list() -> &'static str {
    ROUTES
}

pub(super) async fn no_such_path(uri: Uri) -> (StatusCode, String) {
    let path = uri.path();
    (
        StatusCode::NOT_FOUND,
        format!("no such path: {path}\n{ROUTES}"),
    )
}
