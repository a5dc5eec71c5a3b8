//! Whether the CNI chains the bandwidth plugin: it adds an `ingress` qdisc to each new veth, and
//! fails, and the pod with it, where clsact is there first.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::report::Requirement;
use crate::kernel::attach::Mode;

/// Where the kubelet's runtime looks for CNI configurations.
pub(super) const FOLDER: &str = "/etc/cni/net.d";

pub(super) fn bandwidth(folder: &Path, mode: Option<Mode>) -> Requirement {
    let needed = "no bandwidth plugin in the chain where clsact is used";
    let name = "bandwidth plugin";
    match (chained(folder), mode) {
        (Ok(None), _) => Requirement::ok(name, "none", needed),
        (Ok(Some(file)), Some(Mode::Tcx)) => {
            Requirement::ok(name, format!("in {file}; TCX stays out of its way"), needed)
        }
        (Ok(Some(file)), Some(Mode::Tc) | None) => {
            Requirement::ok(name, format!("in {file}"), needed).unless(
                "pods would not start once clsact is on their veth: take a node image with Linux \
                 6.6 or newer (TCX), or take the plugin out of the chain",
            )
        }
        (Err(error), _) => Requirement::ok(name, format!("{error:#}"), needed).but(format!(
            "hand {FOLDER} to the container as a read-only hostPath volume"
        )),
    }
}

/// The name of the first file whose chain has the plugin, in the order of names, which is the
/// order in which the runtime takes them.
fn chained(folder: &Path) -> Result<Option<String>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.retain(|file| {
        file.extension()
            .is_some_and(|kind| kind == "conflist" || kind == "conf")
    });
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let list: Value =
            serde_json::from_str(&text).with_context(|| file.display().to_string())?;
        if has_bandwidth(&list) {
            return Ok(Some(file.display().to_string()));
        }
    }
    Ok(None)
}

fn has_bandwidth(list: &Value) -> bool {
    let of_type = |plugin: &Value| plugin["type"] == "bandwidth";
    of_type(list)
        || list["plugins"]
            .as_array()
            .is_some_and(|all| all.iter().any(of_type))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::report::Status;

    fn folder(plugins: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(r#"{{"name":"aws-cni","plugins":[{plugins}]}}"#);
        fs::write(folder.path().join("10-aws.conflist"), text).unwrap();
        fs::write(folder.path().join("README"), "no JSON").unwrap();
        folder
    }

    #[test]
    fn the_plugin_bars_clsact_and_not_tcx() {
        let with = folder(r#"{"type":"aws-cni"},{"type":"bandwidth"}"#);
        assert_eq!(
            bandwidth(with.path(), Some(Mode::Tc)).status,
            Status::Failed
        );
        assert_eq!(bandwidth(with.path(), Some(Mode::Tcx)).status, Status::Ok);
        let without = folder(r#"{"type":"aws-cni"},{"type":"portmap"}"#);
        assert_eq!(bandwidth(without.path(), Some(Mode::Tc)).status, Status::Ok);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let found = bandwidth(Path::new("/nowhere"), Some(Mode::Tcx));
        assert_eq!(found.status, Status::Warning);
        assert!(found.found.starts_with("/nowhere"), "{}", found.found);
    }
}
