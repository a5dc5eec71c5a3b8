//! `cargo xtask setup`: installs what is missing, looks rather than remembers, and is done in
//! under a second when nothing is. Every other command calls it first.

use anyhow::{Result, bail};

use crate::{image::arch::Arch, privilege::Privilege, progress};

mod bpffs;
mod linker;
mod packages;
pub(crate) mod toolchain;

use linker::Linker;
use packages::Packages;
use toolchain::pinned;

/// The command: [`ensure`], and a word about what was found.
pub(crate) fn run() -> Result<()> {
    ensure()?;
    progress::say(&format!(
        "ready: Rust {} and bpf-linker {} (LLVM {}) for the kernel programs, and every tool of the lab",
        pinned::RUST,
        pinned::LINKER,
        pinned::LLVM
    ));
    Ok(())
}

/// Makes sure that the agent can be built and linked for these architectures.
///
/// # Errors
/// As [`ensure`].
pub(crate) fn ensure_for_image(arches: &[Arch]) -> Result<()> {
    toolchain::ensure_pinned()?;
    let linker = Linker::look()?;
    Packages::of_image(&linker, arches).install(Privilege::find())?;
    linker.ensure()?;
    arches
        .iter()
        .try_for_each(|arch| toolchain::ensure_target(&arch.target()))
}

/// Makes sure that kernels of an architecture can be fetched and booted in an emulator, with tests built for it.
///
/// # Errors
/// As [`ensure`].
pub(crate) fn ensure_for_kernels(arch: Arch) -> Result<()> {
    ensure()?;
    if !arch.is_here() {
        ensure_for_image(&[arch])?;
    }
    Packages::of_kernels(arch).install(Privilege::find())
}

/// Makes sure that building, testing and the lab find what they need.
///
/// # Errors
/// What cannot be installed here is named in one list, with the command that installs it.
pub(crate) fn ensure() -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("zonemeter builds and runs on Linux only: it counts in the Linux kernel");
    }
    toolchain::ensure_components()?;
    toolchain::ensure_pinned()?;
    let linker = Linker::look()?;
    let privilege = Privilege::find();
    Packages::missing(&linker).install(privilege)?;
    linker.ensure()?;
    bpffs::ensure(privilege)
}
