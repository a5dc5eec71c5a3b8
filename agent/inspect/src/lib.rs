//! Looks into a running agent: the [`debug`] page and its JSON, and the commands that read them,
//! [`top`] and [`explain`], through [`client`]. [`prices`] turns bytes into dollars.

pub mod client;
pub mod debug;
pub mod explain;
pub mod prices;
pub mod serve;
pub mod store;
pub mod top;
pub mod view;
