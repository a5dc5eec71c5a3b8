//! Software bills of material by cargo-cyclonedx, the CycloneDX project's own tool for Cargo.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fs_err as fs;

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
        .words("install --locked cargo-cyclonedx --version")
        .args([VERSION, "--root"])
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
        .words("cyclonedx --format json --spec-version 1.5 --no-build-deps --manifest-path")
        .arg("agent/Cargo.toml")
        .args(["--target", &arch.target(), "--override-filename", &name]);
    exec::run_quietly(command).with_context(|| format!("the bill of materials for {arch}"))?;
    // The tool writes beside each Cargo.toml, and names packages by where they lie.
    let root = repository::root();
    let name = format!("{name}.json");
    let text = fs::read_to_string(root.join("agent").join(&name))?;
    for parent in [root.clone(), root.join("agent")] {
        for entry in fs::read_dir(&parent)? {
            let written = entry?.path().join(&name);
            if written.is_file() {
                fs::remove_file(&written)?;
            }
        }
    }
    let file = folder.join(name);
    let text = text.replace(&root.display().to_string(), "/zonemeter");
    fs::write(&file, text)?;
    Ok(file)
}

fn tool_root() -> Result<PathBuf> {
    let linker = pinned::linker_root().context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(linker.with_file_name(format!("cargo-cyclonedx-{VERSION}")))
}
