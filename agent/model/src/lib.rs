//! Plain data that passes between the parts of the agent. No behaviour beyond
//! reading a value, no IO, no clock.
//!
//! In the order of the flow: [`cluster`] (what a feed says), [`traffic`] (what a drain brings),
//! [`snapshot`] (what a scrape shows), [`kept`] (what outlives the process), [`recent`] (what the
//! debug listener shows), [`interest`] (whether somebody looks at it), [`condition`] (what must hold
//! for numbers to be whole). What all of them
//! share: [`address`] (how addresses are read), [`text`] (how others' text is shown), [`syntax`]
//! (what is wrong with a JSON or YAML text) and [`strings`] (one copy of what recurs). [`networks_file`] is the schema of that file.

#![cfg_attr(
    test,
    expect(
        clippy::disallowed_methods,
        reason = "a test has no other way to come by an instant"
    )
)]

pub mod address;
pub mod cgroup;
pub mod cluster;
pub mod condition;
pub mod interest;
pub mod kept;
pub mod networks_file;
pub mod recent;
pub mod snapshot;
pub mod strings;
pub mod syntax;
pub mod text;
pub mod traffic;
