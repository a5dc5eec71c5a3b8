//! The chart: what Helm and an API server say of every variant, and whether the agent counts when
//! it is started exactly as rendered, upgraded, and taken away again.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]
#![expect(
    clippy::print_stdout,
    reason = "how long it takes stands in docs/install.md"
)]

#[path = "chart/container.rs"]
mod container;
#[path = "chart/kubelet.rs"]
mod kubelet;
#[path = "chart/missing.rs"]
mod missing;
#[path = "chart/own_bytes.rs"]
mod own_bytes;
#[path = "chart/running.rs"]
mod running;
#[path = "chart/spec.rs"]
mod spec;
#[path = "chart/variants.rs"]
mod variants;
