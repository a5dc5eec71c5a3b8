//! Go, for the programs of others that tests need and that are built from source.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::exec::{self, Cmd};

/// Where Go's own installer puts it, often not in `PATH`.
const FOLDER: &str = "/usr/local/go/bin";

/// A release, as (1, 26).
pub(crate) type Release = (u32, u32);

/// The go command, at least `wanted`.
///
/// # Errors
/// It is missing or too old; `otherwise` says what a user may do without it.
pub(crate) fn find(wanted: Release, otherwise: &str) -> Result<PathBuf> {
    let folders = env::split_paths(&exec::search_path())
        .chain([PathBuf::from(FOLDER)])
        .collect::<Vec<_>>();
    let (major, minor) = wanted;
    let remedy = format!(
        "install Go {major}.{minor} or newer from go.dev/dl or your distribution, or {otherwise}"
    );
    let Some(go) = exec::find("go", &env::join_paths(folders)?) else {
        bail!("Go is not there: {remedy}");
    };
    let said = exec::output(Cmd::new(&go).args(["env", "GOVERSION"]))?;
    match release(&said) {
        Some(release) if release >= wanted => Ok(go),
        _ => bail!("{} is {}, too old: {remedy}", go.display(), said.trim()),
    }
}

/// Builds `package` of the module in the folder `module` as `program`. It stands under another
/// name until it is done: a build that is broken off leaves nothing that looks done.
pub(crate) fn build(
    go: &Path,
    module: &Path,
    package: &str,
    linked: &str,
    program: &Path,
) -> Result<()> {
    let unfinished = program.with_extension("unfinished");
    let command = Cmd::new("nice")
        .arg(go)
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags"])
        .arg(format!("-s -w {linked}"))
        .arg("-o")
        .arg(&unfinished)
        .arg(package)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly")
        .current_dir(module);
    exec::run_quietly(command)?;
    fs::rename(&unfinished, program).context("cannot finish the build")
}

/// `go1.26.8` is (1, 26).
fn release(said: &str) -> Option<Release> {
    let mut numbers = said.trim().strip_prefix("go")?.split(['.', 'r', 'b']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(release("go1.26.8\n"), Some((1, 26)));
        assert_eq!(release("go1.27rc1"), Some((1, 27)));
        assert_eq!(release("devel"), None);
        assert!(release("go1.9.1") < Some((1, 24)));
    }
}
