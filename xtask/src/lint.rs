//! `cargo xtask lint`: the project's own rules, formatting, and clippy twice, because the kernel
//! programs compile for a target of their own. Everything runs; then it fails if anything did.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::{
    exec::{self, Cmd},
    manifests as chart, progress, repository, setup,
    setup::toolchain::{self, pinned},
};

mod layout;
mod packages;
mod text;
mod violation;

use violation::Violation;

/// The command.
pub(crate) fn run() -> Result<()> {
    setup::ensure()?;
    let results = [
        check("the project's rules", rules),
        check("what packages depend on", packages::check),
        check("formatting", formatting),
        check("clippy for the kernel programs", clippy_bpf),
        check("clippy for the host", clippy_host),
    ];
    let failed: Vec<&str> = results.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() {
        progress::say("lint: clean");
        return Ok(());
    }
    bail!("lint: not clean: {}", failed.join(", "))
}

/// Says what failed at once; the name comes back for the closing line.
fn check(what: &'static str, work: impl FnOnce() -> Result<()>) -> Result<(), &'static str> {
    progress::step(what, work).map_err(|error| {
        progress::fail(&format!("{error:#}"));
        what
    })
}

fn rules() -> Result<()> {
    let found = violations()?;
    for violation in &found {
        progress::say(&violation.to_string());
    }
    match found.len() {
        0 => Ok(()),
        count => bail!("{count} broken rules"),
    }
}

fn formatting() -> Result<()> {
    exec::run(Cmd::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy_host() -> Result<()> {
    exec::run(
        Cmd::cargo()
            .args([
                "clippy",
                "--locked",
                "--keep-going",
                "--workspace",
                "--exclude",
                "zonemeter-ebpf",
            ])
            .args(["--all-targets", "--", "--deny", "warnings"]),
    )
}

/// By the toolchain that compiles them, in a target folder of its own: the flags would otherwise
/// throw away the host's builds.
fn clippy_bpf() -> Result<()> {
    let linker = pinned::linker().context("no home folder")?;
    exec::run(
        toolchain::pinned_cargo()
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", linker)
            .args([
                "clippy",
                "--locked",
                "--package",
                "zonemeter-ebpf",
                "--features",
                "bpf",
            ])
            .args(["--target", "bpfel-unknown-none", "-Z", "build-std=core"])
            .args(["--target-dir", "target/bpf-clippy"])
            .args(["--", "--deny", "warnings"]),
    )
}

/// Every broken rule in the files that git tracks, in the order of the files.
fn violations() -> Result<Vec<Violation>> {
    let files = repository::files()?;
    let mut found = layout::check_top_level(&files);
    for file in &files {
        let Ok(content) = fs::read_to_string(repository::root().join(file)) else {
            continue; // a picture or another binary file: no rule reads those
        };
        found.extend(check_file(file, &content));
    }
    let stale = chart::stale_copies()?;
    found.extend(stale.iter().map(|file| {
        let remedy = "is no longer a copy: run `cargo xtask manifests`".to_owned();
        Violation::new(file, 1, "copy", remedy)
    }));
    found.sort();
    Ok(found)
}

fn check_file(file: &str, content: &str) -> Vec<Violation> {
    let mut found = text::check(file, content);
    if file.ends_with(".rs") {
        found.extend(layout::check_length(file, content));
    }
    if file.ends_with("/Cargo.toml") {
        found.extend(packages::inherits(file, content));
    }
    found
}
