//! Where the executables are.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// Names a folder that has both, such as an unpacked release of Prometheus 3.
const FOLDER: &str = "PROMETHEUS_ASSETS";
/// What `cargo xtask prometheus` builds, as a Go module; relative to this package.
const MODULE: &str = "../xtask/tools/prometheus/go.mod";
const PACKAGE: &str = "github.com/prometheus/prometheus ";

/// A folder with `prometheus` and `promtool` of one version, which need not be there yet.
#[derive(Clone, Debug)]
pub struct Assets {
    folder: PathBuf,
    given: bool,
}

impl Assets {
    /// `$PROMETHEUS_ASSETS`, else where `cargo xtask prometheus` puts them.
    pub fn locate() -> Result<Self> {
        if let Some(folder) = env::var_os(FOLDER) {
            return Ok(Self {
                folder: folder.into(),
                given: true,
            });
        }
        Ok(Self {
            folder: cache()?.join(format!("prometheus-{}", Self::version()?)),
            given: false,
        })
    }

    /// As [`Self::locate`], and both are there.
    pub fn find() -> Result<Self> {
        let assets = Self::locate()?;
        for program in ["prometheus", "promtool"] {
            let file = assets.folder.join(program);
            if !file.is_file() {
                bail!(
                    "{} is missing: run `cargo xtask prometheus`, or set {FOLDER} to a folder \
                     that has prometheus and promtool",
                    file.display()
                );
            }
        }
        Ok(assets)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the environment names the folder, so that nothing is to be built into it.
    pub fn are_given(&self) -> bool {
        self.given
    }

    /// The server.
    pub fn server(&self) -> PathBuf {
        self.folder.join("prometheus")
    }

    /// The tool that checks rules and scrapes.
    pub fn promtool(&self) -> PathBuf {
        self.folder.join("promtool")
    }

    /// The version of the Go module, which the tools module alone names.
    pub fn version() -> Result<String> {
        let module = Path::new(env!("CARGO_MANIFEST_DIR")).join(MODULE);
        let text = fs::read_to_string(&module)
            .with_context(|| format!("cannot read {}", module.display()))?;
        let required = |line: &str| {
            let version = line.trim().strip_prefix(PACKAGE)?;
            version.split(' ').next().map(str::to_owned)
        };
        text.lines()
            .find_map(required)
            .with_context(|| format!("{} does not require {PACKAGE}", module.display()))
    }
}

/// Where what takes minutes to make is kept: `$XDG_CACHE_HOME/zonemeter`, which no `cargo clean`
/// reaches.
fn cache() -> Result<PathBuf> {
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    let cache = cache.with_context(|| {
        format!("neither XDG_CACHE_HOME nor HOME is set: set one of them, or {FOLDER}")
    })?;
    Ok(cache.join("zonemeter"))
}
