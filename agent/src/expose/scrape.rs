//! `/metrics`.

use std::{fmt, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{exposition::Exposition, negotiation, packing::Chunks, prepared::Variant};

/// Scrapes at once; more wait. Two Prometheus servers and a curious person are served together,
/// and a flood of requests takes neither the node's memory nor its processors.
static SCRAPES: Semaphore = Semaphore::const_new(3);

/// Rendering and packing 10,000 series takes milliseconds: not on a thread that serves others.
pub(super) async fn metrics(State(state): State<super::State>, headers: HeaderMap) -> Response {
    let variant = Variant {
        format: negotiation::format(&headers),
        gzip: negotiation::gzip(&headers),
    };
    let permit = SCRAPES.acquire().await;
    let body = spawn_blocking(move || {
        // Held until the work is done, also for a scraper that has gone away meanwhile.
        let _permit = permit;
        body(&state, variant)
    });
    match body.await {
        Ok(Ok(body)) => respond(variant, body),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

/// The whole body: traffic from one snapshot, then the agent's own numbers.
fn body(state: &super::State, variant: Variant) -> anyhow::Result<Chunks> {
    let snapshot = Arc::clone(&state.snapshots.borrow());
    let traffic = state.prepared.get(variant, &snapshot)?;
    let mut own = Exposition::new(variant.format, variant.gzip);
    let ready = state.health.ready().ok;
    own.append_open_metrics(&state.metrics.open_metrics(ready)?);
    Ok(traffic.join(own.finish()?))
}

fn respond(variant: Variant, body: Chunks) -> Response {
    let mut response = Body::new(body).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(variant.format.content_type()),
    );
    headers.insert(
        header::VARY,
        HeaderValue::from_static("accept, accept-encoding"),
    );
    if variant.gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn failed(error: &dyn fmt::Display) -> Response {
    let text = format!("metrics could not be written: {error}\n");
    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}
