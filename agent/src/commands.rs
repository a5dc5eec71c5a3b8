//! Commands for people, in the agent's binary: none of them counts. `top` and `explain` are in
//! `zonemeter_inspect`.

pub mod check;
pub mod networks;
pub mod prices;
pub mod remove;
pub mod serve;
