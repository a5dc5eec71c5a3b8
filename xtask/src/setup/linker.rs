//! bpf-linker: turns the bitcode of the kernel programs into the object that the agent loads.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::toolchain::Toolchain;
use crate::{
    exec::{self, Cmd},
    progress,
};

/// What is installed when none is there; a newer one that is there is left alone.
const VERSION: &str = "0.13.0";
const OLDEST: (u32, u32) = (0, 13);
/// LLVM majors that this version can be built against, by a feature each.
const LLVM_MAJORS: [u32; 3] = [21, 22, 23];

/// What was found when looking for it.
pub(super) enum State {
    /// It runs and is new enough.
    Ready,
    /// It must be built; why.
    Wanted(String),
}

impl State {
    /// Runs it: a linker whose LLVM library is gone is as good as none.
    pub(super) fn look() -> Self {
        match exec::output(Cmd::new("bpf-linker").arg("--version")) {
            Err(_) => Self::Wanted("it is missing or does not run".to_owned()),
            Ok(printed) => match parse_version(&printed) {
                Some(version) if version >= OLDEST => Self::Ready,
                _ => Self::Wanted(format!("`{}` is too old", printed.trim())),
            },
        }
    }

    /// Packages that building it takes.
    pub(super) fn packages(&self, toolchain: &Toolchain) -> Vec<String> {
        match self {
            Self::Ready => Vec::new(),
            Self::Wanted(_) => build_packages(toolchain.llvm_major, Path::new("/usr")),
        }
    }

    /// Builds it when it is wanted.
    pub(super) fn ensure(&self, toolchain: &Toolchain) -> Result<()> {
        match self {
            Self::Ready => Ok(()),
            Self::Wanted(why) => build(toolchain.llvm_major, why),
        }
    }
}

fn build(llvm_major: u32, why: &str) -> Result<()> {
    if !LLVM_MAJORS.contains(&llvm_major) {
        bail!(
            "rustc has LLVM {llvm_major}, and bpf-linker {VERSION} is built against one of \
             {LLVM_MAJORS:?}: choose another toolchain, or install a fitting bpf-linker by hand"
        );
    }
    let prefix = llvm_prefix(llvm_major, Path::new("/usr"));
    if !prefix.join("bin/llvm-config").exists() {
        bail!(
            "no LLVM {llvm_major} in {}: install llvm-{llvm_major}-dev",
            prefix.display()
        );
    }
    let install = Cmd::cargo()
        .env("LLVM_PREFIX", prefix)
        .args([
            "install",
            "--locked",
            "--force",
            "bpf-linker",
            "--version",
            VERSION,
        ])
        .args([
            "--no-default-features",
            "--features",
            &format!("llvm-{llvm_major}"),
        ]);
    progress::step(
        &format!("building bpf-linker {VERSION}, about two minutes: {why}"),
        || exec::run(install).context("building bpf-linker"),
    )
}

fn llvm_prefix(major: u32, usr: &Path) -> PathBuf {
    usr.join(format!("lib/llvm-{major}"))
}

/// Debian's packages for the files that the build opens and does not find under `usr`.
fn build_packages(major: u32, usr: &Path) -> Vec<String> {
    let llvm = llvm_prefix(major, usr);
    let wanted = [
        (llvm.join("bin/llvm-config"), format!("llvm-{major}-dev")),
        (
            llvm.join("include/llvm-c/Core.h"),
            format!("llvm-{major}-dev"),
        ),
        (llvm.join("lib/libPolly.a"), format!("libpolly-{major}-dev")),
        (usr.join("include/zlib.h"), "zlib1g-dev".to_owned()),
        (usr.join("include/zstd.h"), "libzstd-dev".to_owned()),
    ];
    wanted
        .into_iter()
        .filter(|(file, _)| !file.exists())
        .map(|(_, package)| package)
        .collect()
}

/// From `bpf-linker 0.13.0`.
fn parse_version(printed: &str) -> Option<(u32, u32)> {
    let mut numbers = printed.trim().strip_prefix("bpf-linker ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(parse_version("bpf-linker 0.13.0\n"), Some((0, 13)));
        assert!(parse_version("bpf-linker 0.9.15") < Some(OLDEST));
        assert!(parse_version("bpf-linker 1.0.0") > Some(OLDEST));
        assert_eq!(parse_version("something else"), None);
    }

    #[test]
    fn only_what_is_not_there_is_asked_for() {
        let usr = tempfile::tempdir().unwrap();
        let all = build_packages(22, usr.path());
        assert!(all.contains(&"libpolly-22-dev".to_owned()), "{all:?}");
        std::fs::create_dir_all(usr.path().join("include")).unwrap();
        std::fs::write(usr.path().join("include/zlib.h"), "").unwrap();
        let rest = build_packages(22, usr.path());
        assert!(!rest.contains(&"zlib1g-dev".to_owned()), "{rest:?}");
        assert!(rest.contains(&"libzstd-dev".to_owned()), "{rest:?}");
    }
}
