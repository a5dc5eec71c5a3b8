//! One start of one test program: as whom, with which arguments, how long at most.

use std::{io::Read, path::PathBuf, process::Child};

use anyhow::{Context, Result};

use super::{
    executables::{self, Executable, Tier},
    others::Need,
    outcome::Outcome,
};
use crate::{
    exec::{self, Cmd},
    privilege::Privilege,
    progress,
};

/// A program that has not ended by then hangs.
const DEADLINE: &str = "1200";

/// A run, ready to start.
pub(crate) struct Run {
    pub(super) title: String,
    program: String,
    arguments: Vec<String>,
    executable: Option<Executable>,
    privilege: Option<Privilege>,
    environment: Vec<(&'static str, PathBuf)>,
    pub(super) needs: &'static [Need],
}

impl Run {
    /// The unit tests of a program; none when the filter leaves nothing.
    pub(super) fn units(executable: &Executable, filter: Option<&str>) -> Result<Option<Self>> {
        let arguments: Vec<String> = filter.map(str::to_owned).into_iter().collect();
        Ok(Self::unless_empty(executable, arguments, None)?.map(|run| run.titled("unit tests")))
    }

    /// What a program has for root: all of it, or the unit tests that it marks; of that, where
    /// there are `filters`, the tests whose names contain one. So many `threads` at a time.
    pub(crate) fn as_root(
        executable: &Executable,
        filters: &[&str],
        threads: usize,
        privilege: Privilege,
    ) -> Result<Option<Self>> {
        let mut arguments: Vec<String> = filters.iter().map(ToString::to_string).collect();
        arguments.push(format!("--test-threads={threads}"));
        if executable.tier == Tier::Unit {
            arguments.push("--ignored".to_owned());
        }
        let run = Self::unless_empty(executable, arguments, Some(privilege))?;
        Ok(run.map(|run| Self {
            needs: Need::of(&executable.name),
            ..run.titled("tests as root")
        }))
    }

    /// The examples in the documentation.
    pub(super) fn documentation() -> Self {
        let arguments = [
            "test",
            "--locked",
            "--quiet",
            "--doc",
            "--workspace",
            "--exclude",
            "zonemeter-ebpf",
        ];
        Self {
            title: "examples in the documentation".to_owned(),
            program: std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()),
            arguments: arguments.map(str::to_owned).to_vec(),
            executable: None,
            privilege: None,
            environment: Vec::new(),
            needs: &[],
        }
    }

    /// Runs it, shows what it prints as it prints it, and reads the result from that.
    pub(crate) fn execute(&self) -> Result<Outcome> {
        let (shown, mut child) = exec::start_piped(self.command())?;
        let printed = show_and_keep(&mut child).with_context(|| format!("reading `{shown}`"))?;
        let status = child
            .wait()
            .with_context(|| format!("waiting for `{shown}`"))?;
        if !status.success() {
            progress::fail(&format!("`{shown}` ended with {status}"));
        }
        Ok(Outcome::read(&self.title, &printed, status.success()))
    }

    /// Runs it beside others: shows what it printed when it has ended.
    pub(super) fn execute_beside(&self) -> Result<Outcome> {
        let (shown, child) = exec::start_piped(self.command())?;
        let done = child
            .wait_with_output()
            .with_context(|| format!("waiting for `{shown}`"))?;
        let printed = String::from_utf8_lossy(&done.stdout);
        progress::put(&printed);
        if !done.status.success() {
            progress::fail(&format!("`{shown}` ended with {}", done.status));
        }
        Ok(Outcome::read(&self.title, &printed, done.status.success()))
    }

    fn unless_empty(
        executable: &Executable,
        arguments: Vec<String>,
        privilege: Option<Privilege>,
    ) -> Result<Option<Self>> {
        if executables::list(executable, &arguments)?.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            title: executable.name.clone(),
            program: executable.file.display().to_string(),
            arguments,
            executable: Some(executable.clone()),
            privilege,
            environment: Vec::new(),
            needs: &[],
        }))
    }

    /// Whether its tests start containers of the agent's image.
    pub(super) fn needs_image(&self) -> bool {
        let name = self.executable.as_ref().map(|executable| &executable.name);
        name.is_some_and(|name| Need::is_image_of(name))
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &'static str, value: PathBuf) -> Self {
        self.environment.push((name, value));
        self
    }

    fn titled(mut self, what: &str) -> Self {
        self.title = format!("{} ({what})", self.title);
        self
    }

    fn command(&self) -> Cmd {
        let timeout = match self.privilege {
            Some(privilege) => privilege.command("timeout"),
            None => Cmd::new("timeout"),
        };
        let command = timeout
            .args(["--foreground", "--kill-after=10", DEADLINE])
            .arg(&self.program)
            .args(&self.arguments);
        let set = |command: Cmd, (name, value): &(&str, PathBuf)| command.env(name, value);
        let command = self.environment.iter().fold(command, set);
        match &self.executable {
            Some(executable) => command
                .current_dir(&executable.folder)
                .env("CARGO_MANIFEST_DIR", &executable.folder),
            None => command
                .current_dir(crate::repository::root())
                .apart_from_cargo_run(),
        }
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
