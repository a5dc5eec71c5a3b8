//! `cargo xtask kubernetes`: etcd, kube-apiserver and kubectl for the tests that need a real API
//! server.

use std::path::PathBuf;

use anyhow::Result;
use zonemeter_lab::go_tools::KUBERNETES;

use crate::{go, progress};

const PACKAGES: [(&str, &str); 3] = [
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
];

/// The command: [`ensure`], and where they are.
pub(crate) fn run() -> Result<()> {
    let folder = ensure()?;
    progress::say(&format!(
        "ready: {}={}",
        KUBERNETES.variable,
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
        tools: KUBERNETES,
        packages: &PACKAGES,
        files: &[],
        release: (1, 25),
        linked: linked_version(&KUBERNETES.version()?),
        instead: None,
    })
}

/// What the server and kubectl say of themselves; without it they would be `v0.0.0-master`.
fn linked_version(version: &str) -> String {
    let package = "k8s.io/component-base/version";
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (
        numbers.next().unwrap_or("1"),
        numbers.next().unwrap_or_default(),
    );
    format!(
        "-X {package}.gitVersion={version} -X {package}.gitMajor={major} \
         -X {package}.gitMinor={minor}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_knows_its_version() {
        let flags = linked_version("v1.35.4");
        assert!(flags.contains("gitVersion=v1.35.4 "), "{flags}");
        assert!(flags.ends_with("gitMinor=35"), "{flags}");
    }
}
