//! Packages of npm that a script in this repository needs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{go_tools, tool::check};

const FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// The folder in `$XDG_CACHE_HOME/zonemeter` with what the `package-lock.json` in `sources` names; made once for
/// each such file. No package's own scripts run.
///
/// # Errors
/// What npm says.
pub fn packages(sources: &Path, name: &str) -> Result<PathBuf> {
    let lock = sources.join(FILES[1]);
    let text = fs::read(&lock).with_context(|| format!("read {}", lock.display()))?;
    let version: String = sha1_of(&text).chars().take(12).collect();
    let folder = go_tools::cache()?.join(format!("{name}-{version}"));
    let done = folder.join("done");
    if !done.exists() {
        fs::create_dir_all(&folder)?;
        for file in FILES {
            fs::copy(sources.join(file), folder.join(file))?;
        }
        let mut npm = Command::new("npm");
        // The lock file has all that is needed; what packages wish for beside it is left out.
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .arg("--legacy-peer-deps")
            .current_dir(&folder);
        let output = npm.output().context("npm ci")?;
        check("npm ci", &output)?;
        fs::write(done, "")?;
    }
    Ok(folder)
}

fn sha1_of(text: &[u8]) -> String {
    use sha1::{Digest as _, Sha1};
    let digest = Sha1::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
