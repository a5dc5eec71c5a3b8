//! The Rust toolchain: which one is active, and the components it must have.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::{
    exec::{self, Cmd},
    progress, repository,
};

/// Debian's compiler with a prebuilt core for the bpf target: the way without rustup.
const DEBIAN_ALTERNATIVE: &str = "rustc-web libstd-rust-web-dev-bpf";

/// What the repository's builds use.
pub(crate) struct Toolchain {
    /// Major version of the LLVM inside rustc; bpf-linker must read what it writes.
    pub(crate) llvm_major: u32,
    sysroot: PathBuf,
}

impl Toolchain {
    /// The toolchain that is active in the repository.
    pub(crate) fn active() -> Result<Self> {
        let version = exec::output(Cmd::new("rustc").arg("-vV").current_dir(repository::root()))
            .context("no Rust compiler; install one with rustup")?;
        let printed = exec::output(
            Cmd::new("rustc")
                .args(["--print", "sysroot"])
                .current_dir(repository::root()),
        )?;
        Ok(Self {
            llvm_major: llvm_major(&version)
                .with_context(|| format!("`rustc -vV` names no LLVM version:\n{version}"))?,
            sysroot: PathBuf::from(printed.trim()),
        })
    }

    /// Whether `core` comes compiled for the bpf target, so that nobody has to build it.
    pub(crate) fn has_bpf_core(&self) -> bool {
        self.sysroot
            .join("lib/rustlib/bpfel-unknown-none/lib")
            .is_dir()
    }

    fn has_rust_src(&self) -> bool {
        self.sysroot
            .join("lib/rustlib/src/rust/library/core/Cargo.toml")
            .is_file()
    }

    fn has_program(&self, name: &str) -> bool {
        self.sysroot.join("bin").join(name).is_file()
            || exec::find(name, &exec::search_path()).is_some_and(|file| !is_rustup_proxy(&file))
    }

    fn missing_components(&self) -> Vec<&'static str> {
        let core = self.has_rust_src() || self.has_bpf_core();
        let clippy = self.has_program("cargo-clippy");
        let rustfmt = self.has_program("rustfmt");
        [("rust-src", core), ("clippy", clippy), ("rustfmt", rustfmt)]
            .into_iter()
            .filter_map(|(name, there)| (!there).then_some(name))
            .collect()
    }
}

/// Adds what the active toolchain lacks: the sources of `core` for the bpf target, clippy,
/// rustfmt.
pub(crate) fn ensure_components(toolchain: &Toolchain) -> Result<()> {
    let missing = toolchain.missing_components();
    if missing.is_empty() {
        return Ok(());
    }
    let what = format!("adding {} to the Rust toolchain", missing.join(", "));
    let add = Cmd::new("rustup")
        .args(["component", "add"])
        .args(&missing)
        .current_dir(repository::root());
    progress::quiet_step(&what, || exec::run_quietly(add)).map_err(|error| {
        anyhow::anyhow!(
            "the Rust toolchain lacks {}: {error:#}\nWithout rustup, Debian's compiler does: \
             `apt-get install {DEBIAN_ALTERNATIVE}`, with /usr/bin ahead of rustup in PATH",
            missing.join(", ")
        )
    })?;
    match toolchain.missing_components()[..] {
        [] => Ok(()),
        [..] => bail!(
            "rustup added {}, and it is still not there",
            missing.join(", ")
        ),
    }
}

/// rustup puts a link for every tool into cargo's folder, whether the toolchain has it or not.
fn is_rustup_proxy(file: &std::path::Path) -> bool {
    file.canonicalize()
        .is_ok_and(|target| target.ends_with("rustup"))
        || file.with_file_name("rustup").is_file()
}

/// From the line `LLVM version: 22.1.2` of `rustc -vV`.
fn llvm_major(version: &str) -> Option<u32> {
    let number = version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?;
    number.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_major_is_read_from_the_version() {
        assert_eq!(
            llvm_major("release: 1.95.0\nLLVM version: 22.1.2\n"),
            Some(22)
        );
        assert_eq!(llvm_major("release: 1.95.0\n"), None);
    }

    #[test]
    fn an_empty_toolchain_lacks_its_sources() {
        let sysroot = tempfile::tempdir().unwrap();
        let toolchain = Toolchain {
            llvm_major: 22,
            sysroot: sysroot.path().to_owned(),
        };
        assert!(toolchain.missing_components().contains(&"rust-src"));
    }

    #[test]
    fn a_prebuilt_core_needs_no_sources() {
        let sysroot = tempfile::tempdir().unwrap();
        let core = sysroot.path().join("lib/rustlib/bpfel-unknown-none/lib");
        std::fs::create_dir_all(core).unwrap();
        let toolchain = Toolchain {
            llvm_major: 22,
            sysroot: sysroot.path().to_owned(),
        };
        assert!(!toolchain.missing_components().contains(&"rust-src"));
    }
}
