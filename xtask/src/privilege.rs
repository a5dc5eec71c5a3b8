//! How this process may act as root.

use std::ffi::{OsStr, OsString};

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
        if rustix::process::geteuid().is_root() {
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
            Self::Sudo => {
                let mut path = OsString::from("PATH=");
                path.push(exec::search_path());
                let sudo = Cmd::new("sudo").args(["-n", "-E", "env"]);
                sudo.arg(path).arg(program)
            }
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
            let again = privilege.command(&program.to_string_lossy());
            exec::run(again.args(arguments))
        }
        Privilege::Absent => {
            bail!("network namespaces and kernel programs need root or passwordless sudo")
        }
    }
}
