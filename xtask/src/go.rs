//! Go, for the programs of others that tests need and that are built from source.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use zonemeter_lab::go_tools::GoTools;

use crate::{
    exec::{self, Cmd},
    progress,
};

mod ahead;
pub(crate) mod recipes;

pub(crate) use ahead::Ahead;

/// Where Go's own installer puts it, often not in `PATH`.
const FOLDER: &str = "/usr/local/go/bin";
/// Seconds after which a build hangs.
const DEADLINE: &str = "3600";

/// How much the compilers let their memory grow before they collect garbage, in percent: a sixth
/// less processor time than at 100, measured on etcd.
const GARBAGE: &str = "400";

/// A release, as (1, 26).
pub(crate) type Release = (u32, u32);

/// How to build a set of executables.
pub(crate) struct Recipe {
    pub(crate) tools: GoTools,
    /// About how long it takes on a fresh machine.
    pub(crate) minutes: u8,
    /// Executable and package.
    pub(crate) packages: &'static [(&'static str, &'static str)],
    /// File, and where it is in the module that has the version.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// What `go.mod` of the tools module asks for.
    pub(crate) release: Release,
    /// Flags of the linker that tell the executables their version, out of the module's.
    pub(crate) linked: fn(&str) -> String,
    /// A file that is built in place of another.
    pub(crate) instead: Option<Instead>,
}

/// One file of a module that another one takes the place of.
pub(crate) struct Instead {
    /// The module, a dependency of the tools module.
    pub(crate) module: &'static str,
    /// The file in it that is not built.
    pub(crate) file: &'static str,
    /// The file of the tools module that is.
    pub(crate) ours: &'static str,
}

/// The folder of the executables, after building what is missing: minutes, once.
///
/// # Errors
/// As [`Ahead::start`] and [`Ahead::wait`].
pub(crate) fn ensure(recipe: &'static Recipe) -> Result<PathBuf> {
    Ahead::start(recipe)?.wait()
}

/// `cargo xtask kubernetes`, `prometheus` and `helm`: [`ensure`], and where they are.
pub(crate) fn run(recipes: &[&'static Recipe]) -> Result<()> {
    for recipe in recipes {
        let (folder, variable) = (ensure(recipe)?, recipe.tools.variable);
        progress::say(&format!("ready: {variable}={}", folder.display()));
    }
    Ok(())
}

/// What is left to do for a recipe.
struct Build {
    recipe: &'static Recipe,
    go: PathBuf,
    folder: PathBuf,
}

impl Build {
    /// The folder of the executables, and what is left to do. What cannot be built is an error at
    /// once and not after minutes.
    fn look(recipe: &'static Recipe) -> Result<(PathBuf, Option<Self>)> {
        let tools = recipe.tools;
        let folder = tools.folder()?;
        let missing = tools.missing(&folder.path);
        let all = tools.programs.join(", ");
        if missing.is_empty() {
            return Ok((folder.path, None));
        }
        if folder.given {
            let (variable, names) = (tools.variable, missing.join(" and "));
            let shown = folder.path.display();
            bail!(
                "{variable}={shown} has no {names}: point it to a folder with {all}, or unset it"
            );
        }
        let otherwise = format!("set {} to a folder with {all}", tools.variable);
        let go = find(recipe.release, &otherwise)
            .with_context(|| format!("building {} needs Go", tools.name))?;
        let build = Self {
            recipe,
            go,
            folder: folder.path.clone(),
        };
        Ok((folder.path, Some(build)))
    }

    /// Builds, and prints nothing. One build at a time has the folder.
    fn run(self) -> Result<()> {
        let tools = self.recipe.tools;
        fs::create_dir_all(&self.folder)?;
        let lock = fs::File::create(self.folder.join("lock"))?;
        lock.file().lock().context("locking the folder")?;
        let missing = tools.missing(&self.folder);
        let scratch = self.folder.join("scratch");
        exec::emptied(&scratch)?;
        let module_file = match &self.recipe.instead {
            Some(instead) => substituted(&self.go, &tools.module(), instead, &scratch)?,
            None => tools.module().join("go.mod"),
        };
        let linked = (self.recipe.linked)(&tools.version()?);
        let wanted = self.recipe.packages.iter();
        for (program, package) in wanted.filter(|(program, _)| missing.contains(program)) {
            let command = exec::with_what_is_idle(DEADLINE, &self.go)
                .env("GOTMPDIR", &scratch)
                .env("GOGC", GARBAGE)
                .args(["build", "-trimpath", "-buildvcs=false", "-modfile"])
                .arg(&module_file)
                .args(["-ldflags", &format!("-s -w {linked}")]);
            let command = in_module(command, &tools.module());
            build(command, package, &self.folder.join(program))?;
        }
        let wanted = self.recipe.files.iter();
        for (file, path) in wanted.filter(|(file, _)| missing.contains(file)) {
            let from = source(&self.go, &tools.module(), tools.versioned)?.join(path);
            // The cache is read-only, and a copy would be, too.
            fs::write(self.folder.join(file), fs::read(from)?)?;
        }
        Ok(fs::remove_dir_all(&scratch)?)
    }
}

/// The go command, at least `wanted`.
///
/// # Errors
/// It is missing or too old; `otherwise` says what a user may do without it.
fn find(wanted: Release, otherwise: &str) -> Result<PathBuf> {
    let path = exec::search_path();
    let folders = env::split_paths(&path).chain([PathBuf::from(FOLDER)]);
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
    Ok(fs::rename(&unfinished, program)?)
}

/// A copy of the tools module's `go.mod` in `folder` that takes a changed copy of a dependency.
/// Go refuses to overlay files of its module cache.
fn substituted(go: &Path, module: &Path, instead: &Instead, folder: &Path) -> Result<PathBuf> {
    let original = source(go, module, instead.module)?;
    let source = folder.join("source");
    // The cache is read-only.
    let copy = Cmd::new("cp").args(["-r", "--no-preserve=mode"]);
    exec::run_quietly(copy.arg(original).arg(&source))?;
    for (ours, at) in [
        (instead.ours, source.join(instead.file)),
        ("go.mod", folder.join("go.mod")),
        ("go.sum", folder.join("go.sum")),
    ] {
        fs::copy(module.join(ours), at)?;
    }
    let replace = format!("-replace={}={}", instead.module, source.display());
    let edit = Cmd::new(go).args(["mod", "edit", &replace]);
    exec::run_quietly(edit.current_dir(folder))?;
    Ok(folder.join("go.mod"))
}

/// Where Go's module cache has the sources of `wanted`, a dependency of the tools module.
fn source(go: &Path, module: &Path, wanted: &str) -> Result<PathBuf> {
    let download = exec::with_what_is_idle(DEADLINE, go).args(["mod", "download", wanted]);
    exec::run_quietly(in_module(download, module))?;
    let list = Cmd::new(go).args(["list", "-m", "-f", "{{.Dir}}", wanted]);
    Ok(exec::output(in_module(list, module))?.trim().into())
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
