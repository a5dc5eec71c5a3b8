//! Where the executables are.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// etcd, kube-apiserver and kubectl of one version, in one folder.
#[derive(Debug)]
pub(super) struct Assets(PathBuf);

impl Assets {
    /// `$KUBEBUILDER_ASSETS` as the envtest convention has it, else what `cargo xtask` built.
    pub(super) fn find() -> Result<Self> {
        let folder = match env::var_os("KUBEBUILDER_ASSETS") {
            Some(folder) => PathBuf::from(folder),
            None => cache()?.join(format!("kubernetes-{}", version()?)),
        };
        let assets = Self(folder);
        for file in [assets.etcd(), assets.api_server(), assets.kubectl()] {
            if !file.is_file() {
                bail!(
                    "{} is missing: run `cargo xtask kubernetes`, or set KUBEBUILDER_ASSETS to a \
                     folder that has etcd, kube-apiserver and kubectl",
                    file.display()
                );
            }
        }
        Ok(assets)
    }

    pub(super) fn etcd(&self) -> PathBuf {
        self.0.join("etcd")
    }

    pub(super) fn api_server(&self) -> PathBuf {
        self.0.join("kube-apiserver")
    }

    pub(super) fn kubectl(&self) -> PathBuf {
        self.0.join("kubectl")
    }
}

/// Where `cargo xtask kubernetes` keeps what takes minutes to build.
fn cache() -> Result<PathBuf> {
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    Ok(cache
        .context("neither XDG_CACHE_HOME nor HOME is set")?
        .join("zonemeter"))
}

/// The one place that names the version is the tools module.
fn version() -> Result<String> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/tools/kubernetes/go.mod");
    let text = std::fs::read_to_string(&module)
        .with_context(|| format!("cannot read {}", module.display()))?;
    let required = |line: &str| {
        let version = line.trim().strip_prefix("k8s.io/kubernetes ")?;
        version.split(' ').next().map(str::to_owned)
    };
    text.lines()
        .find_map(required)
        .context("the tools module does not require k8s.io/kubernetes")
}
