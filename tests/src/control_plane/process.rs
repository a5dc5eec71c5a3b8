//! A child that never outlives its owner.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};

/// A running child; dropped, it is killed and waited for.
#[derive(Debug)]
pub(super) struct Process(Child);

impl Process {
    /// Starts it with all its output going to `log`.
    pub(super) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self(child))
    }

    /// Whether it ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which is what was wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
