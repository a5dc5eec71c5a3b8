//! bpf-linker: turns the bitcode of the kernel programs into the object that the agent loads.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::toolchain::{self, pinned};
use crate::{
    exec::{self, Cmd},
    progress,
};

/// The linker of the pinned version and LLVM, in a folder of its own.
pub(super) struct Linker {
    root: PathBuf,
    runs: bool,
}

impl Linker {
    /// Runs it: a linker whose LLVM library is gone is as good as none.
    ///
    /// # Errors
    /// Without a home folder.
    pub(super) fn look() -> Result<Self> {
        let (root, linker) = pinned::linker_root()
            .zip(pinned::linker())
            .context("neither XDG_CACHE_HOME nor HOME is set: there is no place for bpf-linker")?;
        let runs = exec::output(Cmd::new(linker).arg("--version")).is_ok();
        Ok(Self { root, runs })
    }

    /// Packages that building it takes.
    pub(super) fn packages(&self) -> Vec<String> {
        match self.runs {
            true => Vec::new(),
            false => build_packages(pinned::LLVM, Path::new("/usr")),
        }
    }

    /// Builds it where it is missing.
    pub(super) fn ensure(&self) -> Result<()> {
        if self.runs {
            return Ok(());
        }
        let prefix = llvm_prefix(pinned::LLVM, Path::new("/usr"));
        if !prefix.join("bin/llvm-config").exists() {
            bail!(
                "no LLVM {llvm} in {}: install llvm-{llvm}-dev",
                prefix.display(),
                llvm = pinned::LLVM
            );
        }
        let install = toolchain::pinned_cargo()
            .env("LLVM_PREFIX", prefix)
            .args(["install", "--locked", "--force", "bpf-linker"])
            .args(["--version", pinned::LINKER, "--no-default-features"])
            .args(["--features", &format!("llvm-{}", pinned::LLVM), "--root"])
            .arg(&self.root);
        progress::step(
            &format!(
                "building bpf-linker {} for LLVM {}, about two minutes",
                pinned::LINKER,
                pinned::LLVM
            ),
            || exec::run(install).context("building bpf-linker"),
        )
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
