//! `cargo xtask manifests`: what is written once and stands in two places. The chart gets its
//! copies of rules and dashboards, because Helm reads nothing outside a chart, and
//! deploy/kubernetes is rendered from the chart for those who do not use Helm.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use fs_err as fs;

use crate::{
    exec::{self, Cmd},
    go::{self, recipes},
    progress, repository,
};

const CHART: &str = "deploy/helm/zonemeter";
/// Where the plain manifests put it: there in every cluster, so that they can be tried with
/// `kubectl apply --dry-run=server`, and without Pod Security labels in the way.
const NAMESPACE: &str = "kube-system";
/// Below `deploy`: what the chart has copies of, there without the first folder.
const COPIES: [&str; 6] = [
    "prometheus/zonemeter.rules.yaml",
    "prometheus/zonemeter.prices.yaml",
    "prometheus/zonemeter.opencost.yaml",
    "grafana/dashboards/zonemeter-agents.json",
    "grafana/dashboards/zonemeter-cluster.json",
    "grafana/dashboards/zonemeter-workload.json",
];
const INSTALL: &str = "\
# zonemeter without Helm: kubectl apply -f zonemeter.yaml
#
# Rendered from deploy/helm/zonemeter by `cargo xtask manifests`: change the chart, not this file.
# Set the image first: sed -i 's,image: zonemeter:,image: REGISTRY/zonemeter:,' zonemeter.yaml
";
const REMOVE: &str = "\
# Takes zonemeter off every node, for those who do not use Helm. The image as in zonemeter.yaml.
#
#   kubectl delete -f zonemeter.yaml
#   kubectl apply -f remove.yaml
#   kubectl -n kube-system rollout status daemonset/zonemeter-remove
#   kubectl delete -f remove.yaml
#
# Rendered from deploy/helm/zonemeter by `cargo xtask manifests`: change the chart, not this file.
";
/// Labels and annotations that mean something to Helm only.
const HELMS_OWN: [&str; 3] = ["helm.sh/", "app.kubernetes.io/managed-by:", "# Source:"];

/// What to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing, and fail where a file is not as it would be written
    #[arg(long)]
    check: bool,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.check {
        return check();
    }
    for file in stale(all()?) {
        fs::write(repository::root().join(&file.name), &file.text)?;
        progress::say(&format!("wrote {}", file.name));
    }
    Ok(())
}

/// Fails where a file is not as it would be written.
pub(crate) fn check() -> Result<()> {
    let names: Vec<String> = stale(all()?).map(|file| file.name).collect();
    ensure!(
        names.is_empty(),
        "not as generated: {}: run `cargo xtask manifests`",
        names.join(", ")
    );
    Ok(())
}

/// Fails unless Helm renders a packed chart as it renders the folder.
pub(crate) fn same_from(package: &Path) -> Result<()> {
    let helm = go::ensure(recipes::HELM)?.join("helm");
    let chart = repository::root().join(CHART);
    let same = template(&helm, package, &[])? == template(&helm, &chart, &[])?;
    ensure!(same, "{}: not what {CHART} renders", package.display());
    Ok(())
}

/// Copies that are not what they are copies of; for lint, which needs no Helm.
pub(crate) fn stale_copies() -> Result<Vec<String>> {
    Ok(stale(copies()?).map(|file| file.name).collect())
}

fn stale(files: Vec<File>) -> impl Iterator<Item = File> {
    let text = |file: &File| fs::read_to_string(repository::root().join(&file.name));
    files
        .into_iter()
        .filter(move |file| !text(file).is_ok_and(|text| text == file.text))
}

/// A file and what it should hold.
struct File {
    /// Relative to the repository.
    name: String,
    text: String,
}

/// In order: copies, which Helm reads, before what it renders.
fn all() -> Result<Vec<File>> {
    let mut files = copies()?;
    files.extend(rendered(&go::ensure(recipes::HELM)?.join("helm"))?);
    Ok(files)
}

fn copies() -> Result<Vec<File>> {
    let copy = |from: &&str| {
        let (_, to) = from.split_once('/').unwrap_or(("", from));
        Ok(File {
            name: format!("{CHART}/files/{to}"),
            text: fs::read_to_string(repository::root().join("deploy").join(from))?,
        })
    };
    COPIES.iter().map(copy).collect()
}

fn rendered(helm: &Path) -> Result<[File; 2]> {
    let chart = repository::root().join(CHART);
    let install = template(helm, &chart, &["--no-hooks"])?;
    let remove = template(helm, &chart, &["--show-only", "templates/uninstall.yaml"])?;
    let of_node = remove
        .split("---\n")
        .find(|object| object.contains("kind: DaemonSet"));
    let of_node = of_node.context("the chart has no DaemonSet that removes")?;
    let file = |name: &str, head: &str, objects: &str| File {
        name: format!("deploy/kubernetes/{name}.yaml"),
        text: format!("{head}---\n{}", plain(objects)),
    };
    let install = install.trim_start_matches("---\n");
    Ok([
        file("zonemeter", INSTALL, install),
        file("remove", REMOVE, of_node),
    ])
}

/// Dashboards are left out: `kubectl apply -k deploy/grafana` has them.
fn template(helm: &Path, chart: &Path, more: &[&str]) -> Result<String> {
    let render = Cmd::new(helm)
        .args(["template", "zonemeter"])
        .arg(chart)
        .args(["--namespace", NAMESPACE])
        .args(["--set", "dashboards.enabled=false"])
        .args(more);
    exec::output(render)
}

/// Without what is Helm's own, and without a map of annotations that this leaves empty.
fn plain(objects: &str) -> String {
    let is_helms = |line: &&str| {
        let line = line.trim_start();
        HELMS_OWN.iter().any(|own| line.starts_with(own))
    };
    let lines: Vec<&str> = objects.lines().filter(|line| !is_helms(line)).collect();
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let next = lines.get(index + 1).map_or(0, |next| depth(next));
        let is_empty = line.trim_end().ends_with("annotations:") && next <= depth(line);
        if !is_empty && !line.trim().is_empty() {
            text += line.trim_end();
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_helms_own_is_left_out() {
        let rendered = "# Source: zonemeter/templates/x.yaml\nkind: A\nmetadata:\n  labels:\n    a: b\n    helm.sh/chart: x\n\n  annotations:\n    helm.sh/hook: post-delete\nspec:\n  annotations:\n    c: d\n";
        assert_eq!(
            plain(rendered),
            "kind: A\nmetadata:\n  labels:\n    a: b\nspec:\n  annotations:\n    c: d\n"
        );
    }
}
