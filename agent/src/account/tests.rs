//! The account from the outside: changes, drains and times in, a snapshot out.

mod conservation;
mod naming;
mod scenario;
mod scopes;
mod series;
mod waiting;
