//! bpf-linker: turns the bitcode of the kernel programs into the object that the agent loads.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

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
        let prefix = format!("/usr/lib/llvm-{}", pinned::LLVM);
        let install = toolchain::pinned_cargo()
            .env("LLVM_PREFIX", prefix)
            .args(["install", "--locked", "--force", "bpf-linker"])
            .args(["--version", pinned::LINKER, "--no-default-features"])
            .args(["--features", &format!("llvm-{}", pinned::LLVM), "--root"])
            .arg(&self.root);
        let what = format!(
            "building bpf-linker {} for LLVM {}",
            pinned::LINKER,
            pinned::LLVM
        );
        progress::step(&what, || exec::run(install))
    }
}

/// Debian's packages for the files that the build opens and does not find under `usr`.
fn build_packages(major: u32, usr: &Path) -> Vec<String> {
    let wanted = [
        ("lib/llvm-N/bin/llvm-config", "llvm-N-dev"),
        ("lib/llvm-N/include/llvm-c/Core.h", "llvm-N-dev"),
        ("lib/llvm-N/lib/libPolly.a", "libpolly-N-dev"),
        ("include/zlib.h", "zlib1g-dev"),
        ("include/zstd.h", "libzstd-dev"),
    ];
    let of_major = |text: &str| text.replace('N', &major.to_string());
    let missing = wanted
        .iter()
        .filter(|(file, _)| !usr.join(of_major(file)).exists());
    missing.map(|(_, package)| of_major(package)).collect()
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
