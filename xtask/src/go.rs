//! Go, for the programs of others that tests need and that are built from source.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use zonemeter_lab::go_tools::GoTools;

use crate::{
    exec::{self, Cmd},
    progress,
};

/// Where Go's own installer puts it, often not in `PATH`.
const FOLDER: &str = "/usr/local/go/bin";

/// A release, as (1, 26).
pub(crate) type Release = (u32, u32);

/// How to build a set of executables.
pub(crate) struct Recipe<'a> {
    pub(crate) tools: GoTools,
    /// Executable and package.
    pub(crate) packages: &'a [(&'a str, &'a str)],
    /// What `go.mod` of the tools module asks for.
    pub(crate) release: Release,
    /// Flags of the linker that tell the executables their version.
    pub(crate) linked: String,
    /// A file that is built in place of another.
    pub(crate) instead: Option<Instead<'a>>,
}

/// One file of a module that another one takes the place of.
pub(crate) struct Instead<'a> {
    /// The module, a dependency of the tools module.
    pub(crate) module: &'a str,
    /// The file in it that is not built.
    pub(crate) file: &'a str,
    /// The file of the tools module that is.
    pub(crate) ours: &'a str,
}

/// The folder of the executables, after building what is missing: minutes, once.
///
/// # Errors
/// The folder that the environment names lacks one, Go is missing or too old, or a build failed.
pub(crate) fn ensure(recipe: &Recipe<'_>) -> Result<PathBuf> {
    let tools = recipe.tools;
    let folder = tools.folder()?;
    let missing = tools.missing(&folder.path);
    let shown = folder.path.display();
    let all = tools.programs.join(", ");
    if missing.is_empty() {
        return Ok(folder.path);
    }
    if folder.given {
        let (variable, names) = (tools.variable, missing.join(" and "));
        bail!("{variable}={shown} has no {names}: point it to a folder with {all}, or unset it");
    }
    let otherwise = format!("set {} to a folder with {all}", tools.variable);
    let go = find(recipe.release, &otherwise)
        .with_context(|| format!("building {} needs Go", tools.name))?;
    fs::create_dir_all(&folder.path).with_context(|| format!("cannot make {shown}"))?;
    let copy = tempfile::tempdir().context("a folder for the build")?;
    let module_file = match &recipe.instead {
        Some(instead) => substituted(&go, &tools.module(), instead, copy.path())?,
        None => tools.module().join("go.mod"),
    };
    let wanted = recipe.packages.iter();
    for (program, package) in wanted.filter(|(program, _)| missing.contains(program)) {
        let what = format!("build {program}, once and for minutes, into {shown}");
        let command = Cmd::new("nice")
            .arg(&go)
            .args(["build", "-trimpath", "-buildvcs=false", "-modfile"])
            .arg(&module_file)
            .args(["-ldflags", &format!("-s -w {}", recipe.linked)]);
        let command = in_module(command, &tools.module());
        let program = folder.path.join(program);
        progress::quiet_step(&what, || build(command, package, &program))?;
    }
    Ok(folder.path)
}

/// The go command, at least `wanted`.
///
/// # Errors
/// It is missing or too old; `otherwise` says what a user may do without it.
fn find(wanted: Release, otherwise: &str) -> Result<PathBuf> {
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

/// Builds `package` as `program`. It stands under another name until it is done: a build that is
/// broken off leaves nothing that looks done.
fn build(command: Cmd, package: &str, program: &Path) -> Result<()> {
    let unfinished = program.with_extension("unfinished");
    exec::run_quietly(command.arg("-o").arg(&unfinished).arg(package))?;
    fs::rename(&unfinished, program).context("cannot finish the build")
}

/// A copy of the tools module's `go.mod` in `folder` that takes a changed copy of a dependency.
/// Go refuses to overlay files of its module cache.
fn substituted(go: &Path, module: &Path, instead: &Instead<'_>, folder: &Path) -> Result<PathBuf> {
    let download = Cmd::new(go).args(["mod", "download", "-json", instead.module]);
    let said = exec::output(in_module(download, module))?;
    let said: serde_json::Value = serde_json::from_str(&said).context("go's answer")?;
    let original = said["Dir"].as_str().context("go names no folder")?;
    let source = folder.join("source");
    // The cache is read-only.
    let copy = Cmd::new("cp").args(["-r", "--no-preserve=mode", original]);
    exec::run_quietly(copy.arg(&source))?;
    for (ours, at) in [
        (instead.ours, source.join(instead.file)),
        ("go.mod", folder.join("go.mod")),
        ("go.sum", folder.join("go.sum")),
    ] {
        let ours = module.join(ours);
        fs::copy(&ours, at).with_context(|| format!("cannot copy {}", ours.display()))?;
    }
    let replace = format!("-replace={}={}", instead.module, source.display());
    exec::run_quietly(
        Cmd::new(go)
            .args(["mod", "edit", &replace])
            .current_dir(folder),
    )?;
    Ok(folder.join("go.mod"))
}

fn in_module(command: Cmd, module: &Path) -> Cmd {
    command
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly")
        .current_dir(module)
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
