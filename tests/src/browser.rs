//! A browser that looks at a page: Debian's chromium, driven by a script of `tests/browser`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    namespace::Namespace,
    npm,
    tool::{find, pipe},
};

/// Program and Debian package of what it takes.
const REQUIRED: [(&str, &str); 3] = [("chromium", "chromium"), ("node", "nodejs"), ("npm", "npm")];

/// Where npm has put what the script needs.
#[derive(Debug)]
pub struct Browser {
    modules: PathBuf,
}

impl Browser {
    /// Gets what is missing of the packages that `tests/browser/package-lock.json` names, once, into
    /// `$XDG_CACHE_HOME/zonemeter`.
    ///
    /// # Errors
    /// Names the program that is missing, or what npm says.
    pub fn find() -> Result<Self> {
        for (program, package) in REQUIRED {
            ensure!(
                find(program).is_some(),
                "the page's test needs {program} (package {package}): run cargo xtask setup"
            );
        }
        let modules = npm::packages(&sources(), "browser")?;
        Ok(Self { modules })
    }

    /// Lets a script of `tests/browser` look at `url`, from within a namespace or from this machine's
    /// own. Pictures go to `docs/pictures` where `ZONEMETER_PICTURES` is set, else to `scratch`.
    ///
    /// # Errors
    /// What the script says.
    pub fn look(
        &self,
        from: Option<&Namespace>,
        script: &str,
        url: &str,
        scratch: &Path,
    ) -> Result<Value> {
        let pictures = match env::var_os("ZONEMETER_PICTURES") {
            Some(_) => &Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures"),
            None => scratch,
        };
        fs::create_dir_all(pictures)?;
        let mut node = match from {
            Some(namespace) => namespace.command("node"),
            None => Command::new("node"),
        };
        node.arg(sources().join(script))
            .arg(url)
            .arg(&self.modules)
            .arg(pictures);
        let said = pipe(&mut node, b"")?;
        serde_json::from_slice(&said).with_context(|| format!("what {script} prints"))
    }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("browser")
}
