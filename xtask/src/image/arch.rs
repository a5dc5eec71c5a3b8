//! Architectures that the agent is built for.

use std::fmt;

use anyhow::{Result, bail};

/// By the name that container images and Debian have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Arch {
    /// x86-64.
    Amd64,
    /// AArch64, such as Graviton.
    Arm64,
}

impl Arch {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// The one of this machine.
    ///
    /// # Errors
    /// It is another one.
    pub(crate) fn of_this_machine() -> Result<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            other => bail!("zonemeter is built for amd64 and arm64, not on {other}"),
        }
    }

    /// In images and in Debian.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// In GNU's and Rust's names.
    pub(crate) const fn machine(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// Rust's name of the target.
    pub(crate) fn target(self) -> String {
        format!("{}-unknown-linux-gnu", self.machine())
    }

    /// A program of the compiler collection, such as `strip`, as it is called here.
    pub(crate) fn tool(self, name: &str) -> String {
        match self.is_here() {
            true => name.to_owned(),
            false => format!("{}-linux-gnu-{name}", self.machine()),
        }
    }

    /// The environment variable that tells cargo the linker.
    pub(crate) fn linker_variable(self) -> String {
        let target = self.target().to_uppercase().replace('-', "_");
        format!("CARGO_TARGET_{target}_LINKER")
    }

    /// Whether this machine is one.
    pub(crate) fn is_here(self) -> bool {
        self.machine() == std::env::consts::ARCH
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
