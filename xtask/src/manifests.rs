//! `cargo xtask manifests`: what is written once and stands in two places. The chart gets its
//! copies of rules and dashboards, because Helm reads nothing outside a chart, and
//! deploy/kubernetes is rendered from the chart for those who do not use Helm.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    exec::{self, Cmd},
    go::{self, recipes},
    progress, repository,
};

const CHART: &str = "deploy/helm/zonemeter";
/// Where the plain manifests put it: there in every cluster, so that they can be tried with
/// `kubectl apply --dry-run=server`, and without Pod Security labels in the way.
const NAMESPACE: &str = "kube-system";
/// What is the chart's copy of what.
const COPIES: [(&str, &str); 6] = [
    ("prometheus/zonemeter.rules.yaml", "zonemeter.rules.yaml"),
    ("prometheus/zonemeter.prices.yaml", "zonemeter.prices.yaml"),
    (
        "prometheus/zonemeter.opencost.yaml",
        "zonemeter.opencost.yaml",
    ),
    (
        "grafana/dashboards/zonemeter-agents.json",
        "dashboards/zonemeter-agents.json",
    ),
    (
        "grafana/dashboards/zonemeter-cluster.json",
        "dashboards/zonemeter-cluster.json",
    ),
    (
        "grafana/dashboards/zonemeter-workload.json",
        "dashboards/zonemeter-workload.json",
    ),
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
    let files = all()?;
    let stale: Vec<_> = files.iter().filter(|file| !file.is_written()).collect();
    if args.check {
        return judged(&stale);
    }
    for file in &stale {
        fs::write(file.path(), &file.text)
            .with_context(|| format!("cannot write {}", file.name))?;
        progress::say(&format!("wrote {}", file.name));
    }
    Ok(())
}

/// Every file as it should be, in order: copies, which Helm reads, before what it renders.
pub(crate) fn check() -> Result<()> {
    let files = all()?;
    judged(
        &files
            .iter()
            .filter(|file| !file.is_written())
            .collect::<Vec<_>>(),
    )
}

/// Fails unless Helm renders a packed chart as it renders the folder.
pub(crate) fn same_from(package: &Path) -> Result<()> {
    let helm = go::ensure(recipes::HELM)?.join("helm");
    let chart = repository::root().join(CHART);
    if template(&helm, package, &[])? == template(&helm, &chart, &[])? {
        return Ok(());
    }
    bail!("{}: not what {CHART} renders", package.display())
}

/// Copies that are not what they are copies of; for lint, which needs no Helm.
pub(crate) fn stale_copies() -> Result<Vec<String>> {
    let copies = copies()?;
    let stale = copies.into_iter().filter(|file| !file.is_written());
    Ok(stale.map(|file| file.name).collect())
}

fn judged(stale: &[&File]) -> Result<()> {
    if stale.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = stale.iter().map(|file| file.name.as_str()).collect();
    bail!(
        "not as generated: {}: run `cargo xtask manifests`",
        names.join(", ")
    )
}

/// A file and what it should hold.
struct File {
    /// Relative to the repository.
    name: String,
    text: String,
}

impl File {
    fn path(&self) -> PathBuf {
        repository::root().join(&self.name)
    }

    fn is_written(&self) -> bool {
        fs::read_to_string(self.path()).is_ok_and(|text| text == self.text)
    }
}

fn all() -> Result<Vec<File>> {
    let mut files = copies()?;
    files.extend(rendered(&go::ensure(recipes::HELM)?.join("helm"))?);
    Ok(files)
}

fn copies() -> Result<Vec<File>> {
    let copy = |(from, to): &(&str, &str)| {
        let from = repository::root().join("deploy").join(from);
        let text = fs::read_to_string(&from);
        Ok(File {
            text: text.with_context(|| format!("cannot read {}", from.display()))?,
            name: format!("{CHART}/files/{to}"),
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
