//! What is in force, by flag: `/api/config`.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::ValueEnum;
use glob::Pattern;
use serde::Serializer;
use serde_json::{Value, json};

use super::AgentArgs;
use crate::config::DEFAULT_INTERFACES;

/// Every flag of `agent` without its dashes, and its value after environment and defaults; `null`
/// where there is none. `max_flows` is what follows from `--map-memory` where it is not given.
///
/// # Errors
/// When a flag cannot be written as JSON.
pub fn by_flag(args: &AgentArgs, node_name: &str, max_flows: u32) -> anyhow::Result<Value> {
    let mut flags = serde_json::to_value(args).context("writing the flags")?;
    flags["node-name"] = node_name.into();
    flags["max-flows"] = max_flows.into();
    if args.interfaces.is_empty() {
        flags["interface"] = json!(DEFAULT_INTERFACES);
    }
    Ok(flags)
}

pub(super) fn text<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

pub(super) fn path<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    text(&path.display(), to)
}

pub(super) fn path_if_given<S: Serializer>(
    given: &Option<PathBuf>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match given {
        Some(given) => path(given, to),
        None => to.serialize_none(),
    }
}

pub(super) fn duration<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    text(&humantime::format_duration(*value), to)
}

pub(super) fn patterns<S: Serializer>(patterns: &[Pattern], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(patterns.iter().map(Pattern::as_str))
}

pub(super) fn choice<S: Serializer>(value: &impl ValueEnum, to: S) -> Result<S::Ok, S::Error> {
    text(&name(value), to)
}

pub(super) fn choices<S: Serializer>(values: &[impl ValueEnum], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(values.iter().map(name))
}

/// As it is typed.
fn name(value: &impl ValueEnum) -> String {
    let shown = value.to_possible_value();
    shown.map_or(String::new(), |shown| shown.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn every_command_can_be_read() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_is_there_as_it_was_given() {
        let line = [
            "zonemeter",
            "agent",
            "--interval",
            "250ms",
            "--attach",
            "tc",
        ];
        let Command::Agent(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not the agent")
        };
        let shown = by_flag(&args, "node-1", 65_536).unwrap();
        let command = Cli::command();
        let agent = command.find_subcommand("agent").unwrap();
        let flags = agent
            .get_arguments()
            .filter_map(|argument| argument.get_long());
        for flag in flags.filter(|flag| !["help", "version"].contains(flag)) {
            assert!(shown.get(flag).is_some(), "{flag}");
        }
        assert_eq!(shown["node-name"], "node-1");
        assert_eq!(shown["interval"], "250ms");
        assert_eq!(shown["attach"], "tc");
        assert_eq!(shown["max-flows"], 65_536);
        assert_eq!(shown["map-memory"], "64MiB");
        assert_eq!(shown["cluster-file"], Value::Null);
        assert_eq!(shown["name-backends-by"][1], "conntrack-table");
    }
}
