//! Python with the packages that the scripts in `deploy/` name, in a virtual environment outside
//! `target/` that is made once for each set of requirements.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use fs_err as fs;
use zonemeter_lab::go_tools;

use crate::{
    exec::{self, Cmd},
    progress, repository,
};

/// Relative to the repository.
const REQUIREMENTS: [&str; 3] = [
    "deploy/grafana/requirements.txt",
    "deploy/grafana/requirements-draw.txt",
    "deploy/prometheus/requirements.txt",
];
/// There when all packages are.
const DONE: &str = "complete";

/// The interpreter, after making its environment where that is missing.
///
/// # Errors
/// There is no Python with `venv`, or a package cannot be had.
pub(crate) fn ensure() -> Result<PathBuf> {
    let folder = go_tools::cache()?.join(format!("python-{:016x}", fingerprint()?));
    let python = folder.join("bin/python");
    if folder.join(DONE).is_file() {
        return Ok(python);
    }
    let what = format!(
        "install the scripts' Python packages into {}",
        folder.display()
    );
    progress::quiet_step(&what, || install(&folder, &python))?;
    Ok(python)
}

/// A script of the repository with that interpreter; nothing is written beside it.
pub(crate) fn script(python: &Path, path: &str) -> Cmd {
    Cmd::new(python)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(repository::root())
        .arg(path)
}

fn install(folder: &Path, python: &Path) -> Result<()> {
    let venv = Cmd::new("python3").words("-m venv --clear").arg(folder);
    exec::run_quietly(venv)
        .context("a virtual environment needs Python 3 with venv (Debian: python3-venv)")?;
    let mut pip = Cmd::new(python)
        .words("-m pip install --quiet --disable-pip-version-check")
        .current_dir(repository::root());
    for file in REQUIREMENTS {
        pip = pip.arg("--requirement").arg(file);
    }
    exec::run_quietly(pip)?;
    Ok(fs::write(folder.join(DONE), "")?)
}

fn fingerprint() -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    for file in REQUIREMENTS {
        fs::read_to_string(repository::root().join(file))?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}
