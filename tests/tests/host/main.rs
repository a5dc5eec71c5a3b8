//! The node's own bytes: every byte on its uplinks is somebody's, by name where a process of the
//! node sent or received it, and equal to what the wire carried.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod branches;
mod churn;
mod echo;
mod exact;
mod names;
mod policy;
mod restarts;
mod scene;
mod unchanged;
mod uplinks;
