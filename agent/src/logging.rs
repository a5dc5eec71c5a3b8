//! Where log lines go: standard error, one line each, structured fields as `name=value`.
//!
//! Levels: `error` something is not counted or not shown; `warn` something may become so, or
//! detail is lost; `info` what a person wants to see once; `debug` the rest.

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// kube says everything that the cluster room says in one line once more, with a debug dump.
const QUIET: &str = "info,kube_client=error,kube_runtime=error";

/// Starts logging at `info`, or as `ZONEMETER_LOG` says (`debug`, `zonemeter=debug,kube=info`).
pub fn start() {
    let filter = std::env::var("ZONEMETER_LOG").unwrap_or_else(|_| QUIET.to_owned());
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse_lossy(filter);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
