//! The agent of zonemeter, as a library so that its rooms can be tested one by one.
//!
//! Read it in the order of the data: [`kernel`] counts, [`cluster`] names, [`account`] puts both
//! together, [`state`] keeps the sums over restarts, [`expose`] shows them, and [`pipeline`] is the
//! only corridor between them. [`model`] holds the plain data that passes through it; [`app`] starts
//! everything.

pub mod account;
pub mod app;
pub mod args;
pub mod attacher;
pub mod check;
pub mod client;
pub mod cluster;
pub mod cni;
pub mod config;
pub mod explain;
pub mod expose;
pub mod feeds;
pub mod files;
pub mod kernel;
pub mod listen;
pub mod logging;
pub mod memory;
pub mod model;
pub mod networks;
pub mod objects;
pub mod output;
pub mod pipeline;
pub mod predecessor;
pub mod prices;
pub mod readiness;
pub mod remove;
pub mod reread;
pub mod signals;
pub mod state;
pub mod syntax;
pub mod tasks;
pub mod top;
