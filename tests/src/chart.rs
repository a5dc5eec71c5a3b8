//! The project's chart, by a real Helm.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    go_tools::{HELM, OPERATOR},
    tool,
};

/// Names the root file system of the image that the chart's containers start from.
pub const IMAGE_ROOT: &str = "ZONEMETER_IMAGE_ROOT";

/// The chart's folder.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/helm/zonemeter")
}

/// Runs Helm with its own files in `home`; what it printed.
///
/// # Errors
/// Helm is missing, or failed: with what it wrote.
pub fn helm(home: &Path, kubeconfig: Option<&Path>, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(HELM.find()?.join("helm"));
    for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(name, home.join("helm"));
    }
    match kubeconfig {
        Some(path) => command.env("KUBECONFIG", path),
        None => command.env_remove("KUBECONFIG"),
    };
    tool::output(command.args(arguments).current_dir(folder()))
}

/// Files with the CustomResourceDefinitions of PodMonitor and PrometheusRule.
///
/// # Errors
/// They are missing.
pub fn operator_schemas() -> Result<Vec<String>> {
    let folder = OPERATOR.find()?;
    let file = |name: &&str| folder.join(name).to_str().map(str::to_owned);
    let files: Option<_> = OPERATOR.programs.iter().map(file).collect();
    files.context("a path that is no text")
}
