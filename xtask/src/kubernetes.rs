//! `cargo xtask kubernetes`: etcd, kube-apiserver and kubectl for the tests that need a real API
//! server, built from source once and kept outside `target/`. Whoever has them already says so
//! by `KUBEBUILDER_ASSETS`, as for envtest.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    exec::{self, Cmd},
    progress, repository,
};

/// The convention of envtest: a folder that has all of [`PROGRAMS`].
pub(crate) const ASSETS: &str = "KUBEBUILDER_ASSETS";
/// Pins every version; relative to the repository.
const MODULE: &str = "xtask/tools/kubernetes";
/// What `go.mod` of the tools module asks for.
const GO: (u32, u32) = (1, 25);
/// Where Go's own installer puts it, often not in `PATH`.
const GO_FOLDER: &str = "/usr/local/go/bin";

/// Executable and package.
const PROGRAMS: [(&str, &str); 3] = [
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
];

/// The command: [`ensure`], and where they are.
pub(crate) fn run() -> Result<()> {
    let folder = ensure()?;
    progress::say(&format!("ready: {ASSETS}={}", folder.display()));
    Ok(())
}

/// The folder of the executables, after building what is missing: 6 minutes on two idle cores.
///
/// # Errors
/// `KUBEBUILDER_ASSETS` lacks one, Go is missing or too old, or a build failed.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(folder) = env::var_os(ASSETS).map(PathBuf::from) {
        return given(folder);
    }
    let version = version()?;
    let folder = cache()?.join(format!("kubernetes-{version}"));
    let missing = missing(&folder);
    if missing.is_empty() {
        return Ok(folder);
    }
    let go = go()?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (program, package) in missing {
        let what = format!("build {program} ({package}) into {}", folder.display());
        progress::quiet_step(&what, || build(&go, &folder, program, package, &version))?;
    }
    Ok(folder)
}

fn given(folder: PathBuf) -> Result<PathBuf> {
    if let Some((program, _)) = missing(&folder).first() {
        bail!(
            "{ASSETS}={} has no {program}: point it to a folder with etcd, kube-apiserver and \
             kubectl, or unset it",
            folder.display()
        );
    }
    Ok(folder)
}

fn missing(folder: &Path) -> Vec<(&'static str, &'static str)> {
    let absent = |(program, _): &(&str, &str)| !folder.join(program).is_file();
    PROGRAMS.into_iter().filter(absent).collect()
}

/// `$XDG_CACHE_HOME/zonemeter`, where no `cargo clean` reaches.
fn cache() -> Result<PathBuf> {
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    let cache = cache.with_context(|| {
        format!("neither XDG_CACHE_HOME nor HOME is set: set one of them, or {ASSETS}")
    })?;
    Ok(cache.join("zonemeter"))
}

/// Builds under another name first: a build that is broken off leaves nothing that looks done.
fn build(go: &Path, folder: &Path, program: &str, package: &str, version: &str) -> Result<()> {
    let unfinished = folder.join(format!("{program}.unfinished"));
    let command = Cmd::new("nice")
        .arg(go)
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags"])
        .arg(linked_version(version))
        .arg("-o")
        .arg(&unfinished)
        .arg(package)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly")
        .current_dir(repository::root().join(MODULE));
    exec::run_quietly(command)?;
    fs::rename(&unfinished, folder.join(program)).context("cannot finish the build")
}

/// What the server and kubectl say of themselves; without it they would be `v0.0.0-master`.
fn linked_version(version: &str) -> String {
    let package = "k8s.io/component-base/version";
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (
        numbers.next().unwrap_or("1"),
        numbers.next().unwrap_or_default(),
    );
    format!(
        "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} \
         -X {package}.gitMinor={minor}"
    )
}

/// The tools module is the only place that names the version.
fn version() -> Result<String> {
    let file = repository::root().join(MODULE).join("go.mod");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    required(&text).with_context(|| format!("{}: no k8s.io/kubernetes", file.display()))
}

fn required(go_mod: &str) -> Option<String> {
    let version = |line: &str| {
        let version = line.trim().strip_prefix("k8s.io/kubernetes ")?;
        version.split(' ').next().map(str::to_owned)
    };
    go_mod.lines().find_map(version)
}

fn go() -> Result<PathBuf> {
    let folders = env::split_paths(&exec::search_path())
        .chain([PathBuf::from(GO_FOLDER)])
        .collect::<Vec<_>>();
    let remedy = format!(
        "install Go {}.{} or newer from go.dev/dl or your distribution, or set {ASSETS} to a \
         folder with etcd, kube-apiserver and kubectl",
        GO.0, GO.1
    );
    let Some(go) = exec::find("go", &env::join_paths(folders)?) else {
        bail!("building the Kubernetes API server needs Go, which is not there: {remedy}");
    };
    let said = exec::output(Cmd::new(&go).args(["env", "GOVERSION"]))?;
    match release(&said) {
        Some(release) if release >= GO => Ok(go),
        _ => bail!("{} is {}, too old: {remedy}", go.display(), said.trim()),
    }
}

/// `go1.26.8` is (1, 26).
fn release(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.trim().strip_prefix("go")?.split(['.', 'r', 'b']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_of_the_tools_module() {
        let text =
            "require (\n\tk8s.io/kubelet v0.35.4\n\tk8s.io/kubernetes v1.35.4 // indirect\n)";
        assert_eq!(required(text).as_deref(), Some("v1.35.4"));
        assert_eq!(required("module x"), None);
        assert!(version().unwrap().starts_with("v1."));
    }

    #[test]
    fn releases_of_go_are_compared_by_number() {
        assert_eq!(release("go1.26.8\n"), Some((1, 26)));
        assert_eq!(release("go1.27rc1"), Some((1, 27)));
        assert_eq!(release("devel"), None);
        assert!(release("go1.9.1") < Some(GO));
    }

    #[test]
    fn a_given_folder_must_have_everything() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("etcd"), "").unwrap();
        let error = given(folder.path().to_owned()).unwrap_err().to_string();
        assert!(error.contains("has no kube-apiserver"), "{error}");
        for program in ["kube-apiserver", "kubectl"] {
            fs::write(folder.path().join(program), "").unwrap();
        }
        assert_eq!(given(folder.path().to_owned()).unwrap(), folder.path());
    }

    #[test]
    fn the_server_knows_its_version() {
        let flags = linked_version("v1.35.4");
        assert!(flags.contains("gitVersion=v1.35.4 "), "{flags}");
        assert!(flags.ends_with("gitMinor=35"), "{flags}");
    }
}
