//! What compiles the kernel programs: a Rust toolchain and a linker of one LLVM, apart from the
//! toolchain that builds everything else. `cargo xtask setup` installs both, `agent/datapath/build.rs`
//! uses them; both include this file.

use std::{
    env,
    path::{Path, PathBuf},
};

/// rustup's name of the toolchain. The verifier of the oldest kernel sees what its LLVM makes.
pub(crate) const RUST: &str = "1.95.0";

/// Major version of the LLVM in [`RUST`]. The linker must have the same one: bitcode of a newer
/// LLVM cannot be read by an older one.
pub(crate) const LLVM: u32 = 22;

/// Version of bpf-linker.
pub(crate) const LINKER: &str = "0.13.0";

/// Where `cargo install --root` puts bpf-linker. What else is on `PATH` does not matter: a linker
/// does not say which LLVM it was built with. `None` without a home folder.
pub(crate) fn linker_root() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute())
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join(format!("zonemeter/bpf-linker-{LINKER}-llvm-{LLVM}")))
}

/// The executable in [`linker_root`].
pub(crate) fn linker() -> Option<PathBuf> {
    Some(linker_root()?.join("bin/bpf-linker"))
}

/// Whether a toolchain has the sources of `core`, which are compiled for the bpf target.
pub(crate) fn has_core(sysroot: &Path) -> bool {
    sysroot
        .join("lib/rustlib/src/rust/library/core/Cargo.toml")
        .is_file()
}
