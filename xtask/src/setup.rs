//! `cargo xtask setup`: installs what is missing, looks rather than remembers, and is done in
//! under a second when nothing is. Every other command calls it first.

use anyhow::{Result, bail};

use crate::{privilege::Privilege, progress};

mod bpffs;
mod linker;
mod packages;
pub(crate) mod toolchain;

use packages::Packages;
use toolchain::Toolchain;

/// The command: [`ensure`], and a word about what was found.
pub(crate) fn run() -> Result<()> {
    let toolchain = ensure()?;
    progress::say(&format!(
        "ready: rustc with LLVM {}, bpf-linker, and every tool of the lab",
        toolchain.llvm_major
    ));
    Ok(())
}

/// Makes sure that kernels can be fetched and booted in an emulator.
///
/// # Errors
/// As [`ensure`].
pub(crate) fn ensure_for_kernels() -> Result<()> {
    ensure()?;
    Packages::of_kernels().install(Privilege::find())
}

/// Makes sure that building, testing and the lab find what they need.
///
/// # Errors
/// What cannot be installed here is named in one list, with the command that installs it.
pub(crate) fn ensure() -> Result<Toolchain> {
    if !cfg!(target_os = "linux") {
        bail!("zonemeter builds and runs on Linux only: it counts in the Linux kernel");
    }
    let toolchain = Toolchain::active()?;
    toolchain::ensure_components(&toolchain)?;
    let linker = linker::State::look();
    let privilege = Privilege::find();
    Packages::missing(&linker, &toolchain).install(privilege)?;
    linker.ensure(&toolchain)?;
    bpffs::ensure(privilege)?;
    Ok(toolchain)
}
