//! How this process may act as root.

use std::{
    ffi::{OsStr, OsString},
    fs,
};

use anyhow::{Result, bail};

use crate::{
    exec::{self, Cmd},
    repository,
};

/// By what means a command can run as root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// This process is root.
    Root,
    /// `sudo` answers without a password.
    Sudo,
    /// Not at all.
    Absent,
}

impl Privilege {
    /// Finds out; asks `sudo` without ever prompting.
    pub(crate) fn find() -> Self {
        if is_root() {
            return Self::Root;
        }
        match exec::run_quietly(Cmd::new("sudo").args(["-n", "true"])) {
            Ok(()) => Self::Sudo,
            Err(_) => Self::Absent,
        }
    }

    /// `program` so that it runs as root, with this process's environment.
    pub(crate) fn command(self, program: &str) -> Cmd {
        match self {
            Self::Root | Self::Absent => Cmd::new(program),
            Self::Sudo => Cmd::new("sudo")
                .args(["-n", "-E", "env"])
                .arg({
                    let mut path = OsString::from("PATH=");
                    path.push(exec::search_path());
                    path
                })
                .arg(program),
        }
    }
}

/// Does `work` as root: here when this process is root, else in this program started again by
/// sudo with `arguments`.
pub(crate) fn as_root<A: AsRef<OsStr>>(
    arguments: &[A],
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    match Privilege::find() {
        Privilege::Root => work(),
        privilege @ Privilege::Sudo => {
            let program = repository::own_program();
            exec::run(
                privilege
                    .command(&program.to_string_lossy())
                    .args(arguments),
            )
        }
        Privilege::Absent => {
            bail!("network namespaces and kernel programs need root or passwordless sudo")
        }
    }
}

/// The effective user id is the second number of `Uid:` (proc_pid_status(5)).
fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    effective_uid(&status) == Some("0")
}

fn effective_uid(status: &str) -> Option<&str> {
    status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))?
        .split_whitespace()
        .nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_user_counts() {
        let status = "Name:\tx\nUid:\t1000\t0\t0\t0\nGid:\t1000\t1000\t1000\t1000\n";
        assert_eq!(effective_uid(status), Some("0"));
        assert_eq!(effective_uid("Name:\tx\n"), None);
    }
}
