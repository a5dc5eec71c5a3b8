//! The agent's wiring, and the commands of its binary. What it joins are packages of their own below
//! `agent/`, in the order of the data: `zonemeter_datapath` counts, `zonemeter_attach` attaches, `zonemeter_cluster` and
//! `zonemeter_naming` name, `zonemeter_account` adds up, `zonemeter_state` keeps the sums over
//! restarts, `zonemeter_metrics` and `zonemeter_inspect` show them. `zonemeter_model` holds the plain
//! data that passes between them. [`app`] starts everything, [`pipeline`] is the way of a drain.

pub mod app;
pub mod args;
pub mod attacher;
pub mod cgroups;
pub mod cni;
pub mod commands;
pub mod config;
pub mod feeds;
pub mod listen;
pub mod logging;
pub mod memory;
pub mod memory_limit;
pub mod pipeline;
pub mod predecessor;
pub mod readiness;
pub mod signals;
pub mod tasks;
