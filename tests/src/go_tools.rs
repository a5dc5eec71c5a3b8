//! Executables of others that tests run for real. `cargo xtask` builds them from Go's sources,
//! once, and keeps them outside `target/`; whoever has them already names their folder by a
//! variable.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// etcd, kube-apiserver and kubectl; the variable is the convention of envtest.
pub const KUBERNETES: GoTools = GoTools {
    name: "kubernetes",
    command: "kubernetes",
    variable: "KUBEBUILDER_ASSETS",
    programs: &["etcd", "kube-apiserver", "kubectl"],
    versioned: "k8s.io/kubernetes",
};

/// Prometheus and promtool, as an unpacked release has them too.
pub const PROMETHEUS: GoTools = GoTools {
    name: "prometheus",
    command: "prometheus",
    variable: "PROMETHEUS_ASSETS",
    programs: &["prometheus", "promtool"],
    versioned: "github.com/prometheus/prometheus",
};

/// Helm, which renders and installs the chart.
pub const HELM: GoTools = GoTools {
    name: "helm",
    command: "helm",
    variable: "HELM_ASSETS",
    programs: &["helm"],
    versioned: "helm.sh/helm/v4",
};

/// CustomResourceDefinitions of the Prometheus Operator.
pub const OPERATOR: GoTools = GoTools {
    name: "operator",
    command: "helm",
    variable: "OPERATOR_ASSETS",
    programs: &["podmonitors.yaml", "prometheusrules.yaml"],
    versioned: "github.com/prometheus-operator/prometheus-operator",
};

/// Gives a container's configuration the seccomp profile of containerd.
pub const SECCOMP: GoTools = GoTools {
    name: "seccomp",
    command: "helm",
    variable: "SECCOMP_ASSETS",
    programs: &["runtime-default"],
    versioned: "github.com/containerd/containerd/v2",
};

/// Executables of one version that are built together.
#[derive(Clone, Copy, Debug)]
pub struct GoTools {
    /// Of the tools module and of the folder.
    pub name: &'static str,
    /// Of the command of `cargo xtask` that gets them.
    pub command: &'static str,
    /// Names a folder that has all of them.
    pub variable: &'static str,
    /// The executables.
    pub programs: &'static [&'static str],
    /// The Go module that has the version; the tools module alone names it.
    pub versioned: &'static str,
}

/// Where the executables are, or are to be.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// Whether the environment names it, so that nothing is to be built into it.
    pub given: bool,
}

impl GoTools {
    /// The folder that the variable names, else where `cargo xtask` puts them. They need not be
    /// there yet.
    pub fn folder(&self) -> Result<Folder> {
        if let Some(folder) = env::var_os(self.variable) {
            return Ok(Folder {
                path: folder.into(),
                given: true,
            });
        }
        let version = self.version()?;
        Ok(Folder {
            path: cache()
                .with_context(|| format!("or set {}", self.variable))?
                .join(format!("{}-{version}", self.name)),
            given: false,
        })
    }

    /// The folder, once all of them are there.
    ///
    /// # Errors
    /// Names what is missing and how to get it.
    pub fn find(&self) -> Result<PathBuf> {
        let folder = self.folder()?.path;
        if let Some(program) = self.missing(&folder).first() {
            bail!(
                "{} is missing: run `cargo xtask {}`, or set {} to a folder that has {}",
                folder.join(program).display(),
                self.command,
                self.variable,
                self.programs.join(", ")
            );
        }
        Ok(folder)
    }

    /// The executables that are not in `folder`.
    pub fn missing(&self, folder: &Path) -> Vec<&'static str> {
        let absent = |program: &&str| !folder.join(program).is_file();
        self.programs.iter().copied().filter(absent).collect()
    }

    /// The folder of the Go module that pins every version.
    pub fn module(&self) -> PathBuf {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/tools");
        tools.join(self.name)
    }

    /// The version, as `v1.35.4`.
    pub fn version(&self) -> Result<String> {
        let file = self.module().join("go.mod");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        required(&text, self.versioned)
            .with_context(|| format!("{} does not require {}", file.display(), self.versioned))
    }
}

/// `$XDG_CACHE_HOME/zonemeter`, which no `cargo clean` reaches.
///
/// # Errors
/// Neither that nor a home folder is set.
pub fn cache() -> Result<PathBuf> {
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    let cache = cache.context("neither XDG_CACHE_HOME nor HOME is set: set one of them")?;
    Ok(cache.join("zonemeter"))
}

fn required(go_mod: &str, module: &str) -> Option<String> {
    let version = |line: &str| {
        let rest = line.trim().strip_prefix(module)?.strip_prefix(' ')?;
        rest.split(' ').next().map(str::to_owned)
    };
    go_mod.lines().find_map(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_of_the_tools_module() {
        let text =
            "require (\n\tk8s.io/kubelet v0.35.4\n\tk8s.io/kubernetes v1.35.4 // indirect\n)";
        assert_eq!(
            required(text, "k8s.io/kubernetes").as_deref(),
            Some("v1.35.4")
        );
        assert_eq!(required(text, "k8s.io/kube"), None);
        for tools in [HELM, KUBERNETES, OPERATOR, PROMETHEUS, SECCOMP] {
            assert!(tools.version().unwrap().starts_with('v'), "{tools:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("prometheus"), "").unwrap();
        assert_eq!(PROMETHEUS.missing(folder.path()), ["promtool"]);
        fs::write(folder.path().join("promtool"), "").unwrap();
        assert!(PROMETHEUS.missing(folder.path()).is_empty());
    }
}
