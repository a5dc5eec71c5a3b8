//! `cargo xtask lint`: the project's own rules, formatting, and clippy twice, because the kernel
//! programs compile for a target of their own. Everything runs; then it fails if anything did.

use anyhow::{Context, Result, ensure};
use fs_err as fs;

use crate::{
    exec::{self, Cmd},
    manifests, progress, repository, setup,
    setup::toolchain::{self, pinned},
};

mod rules;

/// Packages that decide: each is tested with values only, and compiles with Rust alone.
const PURE: [&str; 5] = [
    "zonemeter-model",
    "zonemeter-naming",
    "zonemeter-account",
    "zonemeter-networks",
    "zonemeter-state",
];
/// What talks to the kernel, to the network or to a cluster.
const WORLD: &[&str] = &["aya", "axum", "hyper", "kube", "libc", "rtnetlink", "tokio"];
/// The data path knows no interfaces; neither it nor attaching knows a cluster or answers HTTP.
const DATAPATH: (&str, &[&str]) = (
    "zonemeter-datapath",
    &["axum", "hyper", "kube", "rtnetlink"],
);
const ATTACH: (&str, &[&str]) = ("zonemeter-attach", &["axum", "hyper", "kube"]);
/// The oracle must not be able to repeat the agent's mistakes.
const LAB: &str = "zonemeter-tests";

type Check = fn() -> Result<()>;

/// The command.
pub(crate) fn run() -> Result<()> {
    setup::ensure()?;
    let checks: [(&str, Check); 5] = [
        ("the project's rules", broken_rules),
        ("what packages depend on", dependencies),
        ("formatting", formatting),
        ("clippy for the kernel programs", clippy_bpf),
        ("clippy for the host", clippy_host),
    ];
    all_of("lint", checks)
}

/// Does every check, says what fails at once, and fails at the end if anything did.
///
/// # Errors
/// Names the checks that failed.
pub(crate) fn all_of<'a, W>(
    what: &str,
    checks: impl IntoIterator<Item = (&'a str, W)>,
) -> Result<()>
where
    W: FnOnce() -> Result<()>,
{
    let mut failed = Vec::new();
    for (name, work) in checks {
        if let Err(error) = progress::step(name, work) {
            progress::fail(&format!("{error:#}"));
            failed.push(name);
        }
    }
    ensure!(
        failed.is_empty(),
        "{what}: not clean: {}",
        failed.join(", ")
    );
    progress::say(&format!("{what}: clean"));
    Ok(())
}

fn none(found: &[String]) -> Result<()> {
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

/// What [`rules`] find in the files that git tracks, a line each.
fn broken_rules() -> Result<()> {
    let mut found = Vec::new();
    for file in repository::files()? {
        found.extend(rules::top_level(&file));
        // A picture or another binary file: no rule reads those.
        if let Ok(content) = fs::read_to_string(repository::root().join(&file)) {
            found.extend(rules::check(&file, &content));
        }
    }
    let stale = manifests::stale_copies()?.into_iter();
    found.extend(
        stale.map(|file| {
            format!("{file}:1: copy: is no longer a copy: run `cargo xtask manifests`")
        }),
    );
    none(&found)
}

/// What packages may not depend on, by what Cargo resolves for each alone.
fn dependencies() -> Result<()> {
    let mut found = Vec::new();
    let pure = PURE.map(|package| (package, WORLD));
    for (package, forbidden) in pure.into_iter().chain([DATAPATH, ATTACH]) {
        let names = linked(package)?.into_iter();
        let names = names.filter(|name| forbidden.contains(&name.as_str()));
        found
            .extend(names.map(|name| format!("{package} depends on {name}: docs/architecture.md")));
    }
    let own = linked(LAB)?.into_iter();
    let own = own.filter(|name| name.starts_with("zonemeter-") && *name != LAB);
    found.extend(
        own.map(|name| format!("{LAB} depends on {name}: it drives the agent from outside")),
    );
    none(&found)
}

/// Names of all packages that `package` is linked with.
fn linked(package: &str) -> Result<Vec<String>> {
    let tree = Cmd::cargo().words("tree --locked --edges normal --prefix none --format {p}");
    let printed = exec::output(tree.args(["--package", package]))?;
    let names = printed.lines().filter_map(|line| line.split(' ').next());
    Ok(names.map(str::to_owned).collect())
}

fn formatting() -> Result<()> {
    exec::run(Cmd::cargo().words("fmt --all --check"))
}

fn clippy_host() -> Result<()> {
    let clippy = Cmd::cargo().words("clippy --locked --keep-going --all-targets");
    exec::run(clippy.words("--workspace --exclude zonemeter-ebpf -- --deny warnings"))
}

/// By the toolchain that compiles them, in a target folder of its own: the flags would otherwise
/// throw away the host's builds.
fn clippy_bpf() -> Result<()> {
    let linker = pinned::linker().context("no home folder")?;
    exec::run(
        toolchain::pinned_cargo()
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", linker)
            .words("clippy --locked --package zonemeter-ebpf --features bpf")
            .words("--target bpfel-unknown-none -Z build-std=core --target-dir target/bpf-clippy")
            .words("-- --deny warnings"),
    )
}
