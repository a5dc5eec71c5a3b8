//! `cargo xtask helm`: Helm, the schemas of the Prometheus Operator and containerd's seccomp profile,
//! for the tests of the chart and for `cargo xtask manifests`.

use std::path::PathBuf;

use anyhow::Result;
use zonemeter_lab::go_tools::{HELM, OPERATOR, SECCOMP};

use crate::{go, progress};

const PACKAGES: [(&str, &str); 1] = [("helm", "helm.sh/helm/v4/cmd/helm")];

const SCHEMAS: [(&str, &str); 2] = [
    (
        "podmonitors.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
    ),
    (
        "prometheusrules.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
];

/// The command: [`ensure`], and where Helm is.
pub(crate) fn run() -> Result<()> {
    let folder = ensure()?;
    progress::say(&format!("ready: {}={}", HELM.variable, folder.display()));
    Ok(())
}

/// As [`go::ensure`], for all three.
pub(crate) fn ensure() -> Result<PathBuf> {
    go::ensure(operator())?;
    go::ensure(seccomp())?;
    go::ensure(recipe()?)
}

/// How it is built.
pub(crate) fn recipe() -> Result<go::Recipe> {
    let version = HELM.version()?;
    Ok(go::Recipe {
        tools: HELM,
        packages: &PACKAGES,
        files: &[],
        release: (1, 26),
        linked: format!("-X helm.sh/helm/v4/internal/version.version={version}"),
        instead: None,
    })
}

/// The schemas of the Prometheus Operator, for what the chart makes of its kinds.
pub(crate) fn operator() -> go::Recipe {
    go::Recipe {
        tools: OPERATOR,
        packages: &[],
        files: &SCHEMAS,
        release: (1, 24),
        linked: String::new(),
        instead: None,
    }
}

/// What gives a container the seccomp profile of containerd.
pub(crate) fn seccomp() -> go::Recipe {
    go::Recipe {
        tools: SECCOMP,
        packages: &[("runtime-default", ".")],
        files: &[],
        release: (1, 24),
        linked: String::new(),
        instead: None,
    }
}
