//! Rust toolchains: the user's, which builds everything but the kernel programs, and theirs.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::{
    exec::{self, Cmd},
    progress, repository,
};

#[path = "../../../agent-ebpf/toolchain.rs"]
pub(crate) mod pinned;

/// cargo of the toolchain that compiles the kernel programs, in the repository.
pub(crate) fn pinned_cargo() -> Cmd {
    pinned_tool("cargo")
        .current_dir(repository::root())
        .apart_from_cargo_run()
}

fn pinned_tool(name: &str) -> Cmd {
    Cmd::new("rustup").args(["run", pinned::RUST, name])
}

/// Where the toolchain of the kernel programs lies.
///
/// # Errors
/// rustup cannot tell.
pub(crate) fn sysroot() -> Result<PathBuf> {
    let printed = exec::output(pinned_tool("rustc").args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(printed.trim()))
}

/// Installs the toolchain of the kernel programs where it or a component is missing.
///
/// # Errors
/// Without rustup, or where the toolchain has another LLVM than the linker will.
pub(crate) fn ensure_pinned() -> Result<()> {
    if !is_complete() {
        let what = format!("installing Rust {} for the kernel programs", pinned::RUST);
        let install = Cmd::new("rustup")
            .args(["toolchain", "install", pinned::RUST])
            .words("--no-self-update --profile minimal --component rust-src --component clippy");
        progress::quiet_step(&what, || exec::run_quietly(install)).context(
            "the kernel programs are compiled by a toolchain of their own, which rustup installs",
        )?;
    }
    let version = exec::output(pinned_tool("rustc").arg("-vV"))?;
    match llvm_major(&version) {
        Some(pinned::LLVM) => Ok(()),
        other => bail!(
            "Rust {} has LLVM {other:?}, expected {}: correct agent-ebpf/toolchain.rs",
            pinned::RUST,
            pinned::LLVM
        ),
    }
}

/// Adds the standard library for `target` to the toolchain of the kernel programs, which also
/// builds what is released.
///
/// # Errors
/// rustup cannot add it.
pub(crate) fn ensure_target(target: &str) -> Result<()> {
    let there = sysroot()?.join("lib/rustlib").join(target);
    if there.join("lib").is_dir() {
        return Ok(());
    }
    let add = Cmd::new("rustup").args(["target", "add", "--toolchain", pinned::RUST, target]);
    progress::quiet_step(&format!("adding {target} to Rust {}", pinned::RUST), || {
        exec::run_quietly(add)
    })
}

fn is_complete() -> bool {
    sysroot().is_ok_and(|sysroot| {
        pinned::has_core(&sysroot) && sysroot.join("bin/cargo-clippy").is_file()
    })
}

/// Adds what the active toolchain lacks of clippy and rustfmt.
///
/// # Errors
/// Without a Rust compiler, or where rustup cannot add them.
pub(crate) fn ensure_components() -> Result<()> {
    exec::output(Cmd::cargo().arg("--version"))
        .context("no Rust toolchain; install one with rustup")?;
    for (command, component) in [("clippy", "clippy"), ("fmt", "rustfmt")] {
        let ask = || exec::output(Cmd::cargo().args([command, "--version"]));
        if ask().is_err() {
            let add = Cmd::new("rustup").args(["component", "add", component]);
            let what = format!("adding {component} to the Rust toolchain");
            let add = add.current_dir(repository::root());
            progress::quiet_step(&what, || exec::run_quietly(add))?;
            ask().with_context(|| format!("rustup added {component}, and it does not run"))?;
        }
    }
    Ok(())
}

/// From the line `LLVM version: 22.1.2` of `rustc -vV`.
fn llvm_major(version: &str) -> Option<u32> {
    let number = version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?;
    number.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_major_is_read_from_the_version() {
        assert_eq!(
            llvm_major("release: 1.95.0\nLLVM version: 22.1.2\n"),
            Some(22)
        );
        assert_eq!(llvm_major("release: 1.95.0\n"), None);
    }

    #[test]
    fn the_kernel_programs_are_compiled_by_the_oldest_stated_rust() {
        let manifest = std::fs::read_to_string(repository::root().join("Cargo.toml")).unwrap();
        let (minor, _) = pinned::RUST.rsplit_once('.').unwrap();
        assert!(manifest.contains(&format!("rust-version = \"{minor}\"")));
    }
}
