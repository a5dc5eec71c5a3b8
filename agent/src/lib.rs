//! The agent of zonemeter, as a library so that its rooms can be tested one by one.
//!
//! Read it in the order of the data: [`kernel`] counts, [`cluster`] names, [`account`] puts both
//! together, [`expose`] shows. [`model`] holds the plain data that passes between them.

pub mod account;
pub mod client;
pub mod cluster;
pub mod explain;
pub mod expose;
pub mod kernel;
pub mod model;
pub mod readiness;
pub mod reread;
pub mod top;
