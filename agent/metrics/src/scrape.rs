//! `/metrics`.

use std::{fmt, sync::Arc};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use tokio::task::spawn_blocking;

use super::{
    Peer, exposition::Exposition, negotiation, packing::Chunks, prepared::Variant, process,
    self_metrics::Refused,
};

/// Rendering and packing 10,000 series takes milliseconds: not on a thread that serves others.
pub(super) async fn metrics(
    State(state): State<super::State>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Response {
    let variant = Variant {
        format: negotiation::format(&headers),
        gzip: negotiation::gzip(&headers),
    };
    let peer = peer.map(|Extension(peer)| peer).unwrap_or_default();
    let Some(place) = state.scrapes.enter(peer) else {
        state.metrics.refused(Refused::Scrapes);
        return busy();
    };
    let permit = place.turn().await;
    let body = spawn_blocking(move || {
        // Held until the work is done, also for a scraper that has gone away meanwhile.
        let _held = (permit, place);
        body(&state, variant)
    });
    match body.await {
        Ok(Ok(body)) => respond(variant, body),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

fn busy() -> Response {
    let again = [(header::RETRY_AFTER, "1")];
    let text = "too many scrapes at once: try again\n";
    (StatusCode::SERVICE_UNAVAILABLE, again, text).into_response()
}

/// The whole body: traffic from one snapshot, then the agent's own numbers.
fn body(state: &super::State, variant: Variant) -> anyhow::Result<Chunks> {
    let snapshot = Arc::clone(&state.snapshots.borrow());
    let traffic = state.prepared.get(variant, &snapshot)?;
    let mut own = Exposition::new(variant.format, variant.gzip);
    let (ready, conditions) = (state.health.ready().ok, state.health.holds());
    state.metrics.write(&mut own, ready, &conditions);
    process::write(&mut own);
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
