//! The page: built into the binary, from this origin only. The same for one node's agent and for a
//! whole cluster; it shows what `/api/*` beside it answers.

use axum::{
    Router,
    http::{HeaderName, header},
    routing::get,
};

/// Path, content type, content.
type Asset = (&'static str, &'static str, &'static str);

const SCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: [Asset; 12] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("page/index.html"),
    ),
    (
        "/page/icon.svg",
        "image/svg+xml",
        include_str!("page/icon.svg"),
    ),
    (
        "/page/page.css",
        "text/css; charset=utf-8",
        include_str!("page/page.css"),
    ),
    ("/page/main.js", SCRIPT, include_str!("page/main.js")),
    ("/page/format.js", SCRIPT, include_str!("page/format.js")),
    (
        "/page/overview.js",
        SCRIPT,
        include_str!("page/overview.js"),
    ),
    ("/page/pairs.js", SCRIPT, include_str!("page/pairs.js")),
    ("/page/state.js", SCRIPT, include_str!("page/state.js")),
    ("/page/tabs.js", SCRIPT, include_str!("page/tabs.js")),
    ("/page/why.js", SCRIPT, include_str!("page/why.js")),
    (
        "/page/vendor/htm-preact.js",
        SCRIPT,
        include_str!("page/vendor/htm-preact.js"),
    ),
    (
        "/page/vendor/README.md",
        "text/plain; charset=utf-8",
        include_str!("page/vendor/README.md"),
    ),
];

/// Nothing from elsewhere, nothing inline.
const POLICY: &str = "default-src 'none'; connect-src 'self'; img-src 'self'; script-src 'self'; \
                      style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of the page.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.into_iter().fold(Router::new(), |router, asset| {
        router.route(asset.0, get(move || async move { respond(asset) }))
    })
}

fn respond((_, kind, body): Asset) -> ([(HeaderName, &'static str); 4], &'static str) {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Another version of the agent brings another page.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, body)
}
