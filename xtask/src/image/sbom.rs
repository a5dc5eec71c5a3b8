//! Software bills of material by cargo-cyclonedx, the CycloneDX project's own tool for Cargo.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::Arch;
use crate::{
    exec::{self, Cmd},
    progress, repository,
    setup::toolchain::{self, pinned},
};

const VERSION: &str = "0.5.9";

/// Builds the tool where it is missing.
pub(super) fn ensure() -> Result<()> {
    let root = tool_root()?;
    if root.join("bin/cargo-cyclonedx").is_file() {
        return Ok(());
    }
    let install = toolchain::pinned_cargo()
        .args([
            "install",
            "--locked",
            "cargo-cyclonedx",
            "--version",
            VERSION,
            "--root",
        ])
        .arg(&root);
    progress::step("building cargo-cyclonedx, about two minutes", || {
        exec::run(install)
    })
}

/// What the executable for `arch` was linked from, in CycloneDX's JSON.
pub(super) fn write(folder: &Path, arch: Arch) -> Result<PathBuf> {
    let name = format!("zonemeter-{}.cdx", arch.name());
    let command = Cmd::new(tool_root()?.join("bin/cargo-cyclonedx"))
        .current_dir(repository::root())
        .env("SOURCE_DATE_EPOCH", "0")
        .args([
            "cyclonedx",
            "--format",
            "json",
            "--no-build-deps",
            "--manifest-path",
        ])
        .arg("agent/Cargo.toml")
        .args(["--target", &arch.target(), "--override-filename", &name]);
    exec::run_quietly(command).with_context(|| format!("the bill of materials for {arch}"))?;
    // The tool writes beside each Cargo.toml.
    let file = folder.join(format!("{name}.json"));
    fs::copy(
        repository::root()
            .join("agent")
            .join(format!("{name}.json")),
        &file,
    )?;
    Ok(file)
}

fn tool_root() -> Result<PathBuf> {
    let linker = pinned::linker_root().context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(linker.with_file_name(format!("cargo-cyclonedx-{VERSION}")))
}
