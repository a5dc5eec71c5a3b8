//! One start of one test program: as whom, with which arguments, how long at most.

use std::{io::Read, path::PathBuf, process::Child, time::Instant};

use anyhow::{Context, Result};

use super::{
    executables::{Executable, Tier},
    others,
    outcome::Outcome,
};
use crate::{
    exec::{self, Cmd},
    go::Recipe,
    privilege::Privilege,
    progress,
};

/// A program that has not ended by then hangs.
const DEADLINE: &str = "1200";
/// Tests at a time of a program that runs beside others.
const THREADS: usize = 3;

/// A run, ready to start.
pub(crate) struct Run {
    pub(super) title: String,
    executable: Executable,
    arguments: Vec<String>,
    privilege: Option<Privilege>,
    environment: Vec<(&'static str, PathBuf)>,
    pub(super) needs: &'static [&'static Recipe],
    /// Whether nothing runs beside it.
    pub(super) is_alone: bool,
}

impl Run {
    /// The unit tests of all programs; none where the filter leaves nothing. They fill the machine
    /// by themselves.
    pub(super) fn units(all: &[Executable], filter: Option<&str>) -> Result<Vec<Self>> {
        let units = all.iter().filter(|one| one.tier == Tier::Unit);
        let arguments: Vec<String> = filter.map(str::to_owned).into_iter().collect();
        let run = |one| Self::unless_empty(one, arguments.clone(), None);
        units.filter_map(|one| run(one).transpose()).collect()
    }

    /// What all programs have for root.
    pub(super) fn all_as_root(
        all: &[Executable],
        filter: Option<&str>,
        privilege: Privilege,
    ) -> Result<Vec<Self>> {
        let filters: Vec<&str> = filter.into_iter().collect();
        let run = |one| Self::as_root(one, &filters, privilege);
        all.iter().filter_map(|one| run(one).transpose()).collect()
    }

    /// What a program has for root: all of it, or the unit tests that it marks; of that, where
    /// there are `filters`, the tests whose names contain one.
    pub(crate) fn as_root(
        executable: &Executable,
        filters: &[&str],
        privilege: Privilege,
    ) -> Result<Option<Self>> {
        let mut arguments: Vec<String> = filters.iter().map(ToString::to_string).collect();
        let threads = if executable.is_alone() { 1 } else { THREADS };
        arguments.push(format!("--test-threads={threads}"));
        if executable.tier == Tier::Unit {
            arguments.push("--ignored".to_owned());
        }
        Self::unless_empty(executable, arguments, Some(privilege))
    }

    fn unless_empty(
        executable: &Executable,
        arguments: Vec<String>,
        privilege: Option<Privilege>,
    ) -> Result<Option<Self>> {
        if executable.list(&arguments)?.is_empty() {
            return Ok(None);
        }
        let (what, needs) = match privilege {
            Some(_) => ("tests as root", others::needs(&executable.name)),
            None => ("unit tests", others::needs("")),
        };
        Ok(Some(Self {
            title: format!("{} ({what})", executable.name),
            is_alone: privilege.is_none() || executable.is_alone(),
            executable: executable.clone(),
            arguments,
            privilege,
            environment: Vec::new(),
            needs,
        }))
    }

    /// Runs it, shows what it prints as it prints it, and reads the result from that.
    pub(crate) fn execute(&self) -> Result<Outcome> {
        let (shown, mut child) = exec::start_piped(self.command())?;
        let printed = show_and_keep(&mut child).with_context(|| format!("reading `{shown}`"))?;
        let status = child.wait()?;
        if !status.success() {
            progress::fail(&format!("`{shown}` ended with {status}"));
        }
        Ok(Outcome::read(&self.title, &printed, status.success()))
    }

    /// Runs it beside others: shows what it printed when it has ended.
    pub(super) fn execute_beside(&self) -> Result<Outcome> {
        let started = Instant::now();
        let (shown, child) = exec::start_piped(self.command())?;
        let done = child.wait_with_output()?;
        let printed = String::from_utf8_lossy(&done.stdout);
        progress::put(&format!("==> {}\n{printed}", self.title));
        if !done.status.success() {
            progress::fail(&format!("`{shown}` ended with {}", done.status));
        }
        let outcome = Outcome::read(&self.title, &printed, done.status.success());
        progress::say(&progress::end(&self.title, started, outcome.failed == 0));
        Ok(outcome)
    }

    /// Whether its tests start containers of the agent's image.
    pub(super) fn needs_image(&self) -> bool {
        self.executable.name == "tests: chart"
    }

    /// About how long a fresh machine builds what it needs.
    pub(super) fn minutes_of_builds(&self) -> u8 {
        let minutes = self.needs.iter().map(|need| need.minutes);
        minutes.max().unwrap_or_default()
    }

    /// Sets an environment variable.
    pub(super) fn set_env(&mut self, name: &'static str, value: PathBuf) {
        self.environment.push((name, value));
    }

    /// As [`Self::set_env`].
    pub(crate) fn env(mut self, name: &'static str, value: PathBuf) -> Self {
        self.set_env(name, value);
        self
    }

    fn command(&self) -> Cmd {
        let timeout = match self.privilege {
            Some(privilege) => privilege.command("timeout"),
            None => Cmd::new("timeout"),
        };
        let command = timeout
            .args(["--foreground", "--kill-after=10", DEADLINE])
            .arg(&self.executable.file)
            .args(&self.arguments)
            .current_dir(&self.executable.folder)
            .env("CARGO_MANIFEST_DIR", &self.executable.folder);
        let set = |command: Cmd, (name, value): &(&str, PathBuf)| command.env(name, value);
        self.environment.iter().fold(command, set)
    }
}

/// In pieces, not in lines: a test's name stands there while it runs.
fn show_and_keep(child: &mut Child) -> Result<String> {
    let mut output = child.stdout.take().context("the program's output")?;
    let mut kept = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match output.read(&mut piece)? {
            0 => return Ok(String::from_utf8_lossy(&kept).into_owned()),
            length => {
                kept.extend_from_slice(&piece[..length]);
                progress::put(&String::from_utf8_lossy(&piece[..length]));
            }
        }
    }
}
