//! `cargo xtask prometheus`: Prometheus and promtool for the lab, the demo and the checks of the
//! rules.

use std::path::PathBuf;

use anyhow::Result;
use zonemeter_lab::go_tools::PROMETHEUS;

use crate::{go, progress, repository};

const PACKAGES: [(&str, &str); 2] = [
    (
        "prometheus",
        "github.com/prometheus/prometheus/cmd/prometheus",
    ),
    ("promtool", "github.com/prometheus/prometheus/cmd/promtool"),
];

/// Service discovery for two dozen clouds is most of what there is to compile; the lab names its
/// targets itself.
const WITHOUT_CLOUDS: go::Instead = go::Instead {
    module: "github.com/prometheus/prometheus",
    file: "plugins/plugins.go",
    ours: "plugins/plugins.go",
};

/// The command: [`ensure`], and where they are.
pub(crate) fn run() -> Result<()> {
    let folder = ensure()?;
    progress::say(&format!(
        "ready: {}={}",
        PROMETHEUS.variable,
        folder.display()
    ));
    Ok(())
}

/// As [`go::ensure`].
pub(crate) fn ensure() -> Result<PathBuf> {
    go::ensure(recipe()?)
}

/// How they are built.
pub(crate) fn recipe() -> Result<go::Recipe> {
    Ok(go::Recipe {
        tools: PROMETHEUS,
        packages: &PACKAGES,
        files: &[],
        release: (1, 24),
        linked: linked_version(&PROMETHEUS.version()?),
        instead: Some(WITHOUT_CLOUDS),
    })
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
        assert_eq!(release(&PROMETHEUS.version().unwrap()), "3.5.0");
    }
}
