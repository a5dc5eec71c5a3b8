//! The account from the outside: changes, drains and times in, a snapshot out.

mod backends;
mod before_attach;
mod beside;
mod conditions;
mod conservation;
mod descriptions;
mod detail;
mod evidence;
mod explain;
mod explain_hosts;
mod host_waiting;
mod hosts;
mod naming;
mod oracle;
mod restart;
mod scenario;
mod scopes;
mod series;
mod speed;
mod waiting;
mod ways;
