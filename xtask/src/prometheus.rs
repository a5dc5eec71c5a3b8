//! `cargo xtask prometheus`: Prometheus and promtool for the lab, the demo and the checks of the
//! rules, built from source once and kept outside `target/`. Whoever has a release of Prometheus
//! names its folder by `PROMETHEUS_ASSETS`.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use zonemeter_lab::prometheus::Assets;

use crate::{go, progress, repository};

/// Pins every version; relative to the repository.
const MODULE: &str = "xtask/tools/prometheus";
/// What `go.mod` of the tools module asks for.
const GO: go::Release = (1, 24);
const OTHERWISE: &str = "set PROMETHEUS_ASSETS to a folder with prometheus and promtool of a \
                         release 3.5 or newer";

/// Executable and package.
const PROGRAMS: [(&str, &str); 2] = [
    (
        "prometheus",
        "github.com/prometheus/prometheus/cmd/prometheus",
    ),
    ("promtool", "github.com/prometheus/prometheus/cmd/promtool"),
];

/// The command: [`ensure`], and where they are.
pub(crate) fn run() -> Result<()> {
    let assets = ensure()?;
    progress::say(&format!("ready: {}", assets.folder().display()));
    Ok(())
}

/// The executables, after building what is missing: minutes, once.
///
/// # Errors
/// `PROMETHEUS_ASSETS` lacks one, Go is missing or too old, or a build failed.
pub(crate) fn ensure() -> Result<Assets> {
    let assets = Assets::locate()?;
    let folder = assets.folder();
    let missing: Vec<_> = PROGRAMS
        .into_iter()
        .filter(|(program, _)| !folder.join(program).is_file())
        .collect();
    if missing.is_empty() {
        return Ok(assets);
    }
    if assets.are_given() {
        let names: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
        let (folder, names) = (folder.display(), names.join(" and "));
        bail!("PROMETHEUS_ASSETS={folder} has no {names}: correct it, or unset it");
    }
    let go = go::find(GO, OTHERWISE).context("building Prometheus")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let linked = linked_version(&Assets::version()?);
    for (program, package) in missing {
        let what = format!(
            "build {program}, once and for minutes, into {}",
            folder.display()
        );
        let module = repository::root().join(MODULE);
        progress::quiet_step(&what, || {
            go::build(&go, &module, package, &linked, &folder.join(program))
        })?;
    }
    Ok(assets)
}

/// Makes the executables say their version; without it they say none.
fn linked_version(module: &str) -> String {
    let release = release(module);
    format!("-X github.com/prometheus/common/version.Version={release}")
}

/// Prometheus 3.5.0 is version v0.305.0 as a module: the minor number holds the major one.
fn release(module: &str) -> String {
    let mut numbers = module.trim_start_matches("v0.").split('.');
    let both = numbers.next().and_then(|both| both.parse::<u32>().ok());
    match (both, numbers.next()) {
        (Some(both), Some(patch)) => format!("{}.{}.{patch}", both / 100, both % 100),
        _ => module.to_owned(),
    }
}

/// Where the project's rules are.
pub(crate) fn rules_folder() -> PathBuf {
    repository::root().join("deploy/prometheus")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_module_is_told_as_a_release() {
        assert_eq!(release("v0.305.0"), "3.5.0");
        assert_eq!(release("v0.312.2"), "3.12.2");
        assert_eq!(release("main"), "main");
        assert_eq!(release(&Assets::version().unwrap()), "3.5.0");
    }
}
