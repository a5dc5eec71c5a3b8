//! The guest's userland: the project's programs, this machine's tools, and the libraries of both;
//! for another architecture, Debian's packages of the tools.

use std::{
    collections::BTreeSet,
    fs::Permissions,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use fs_err as fs;
use tempfile::TempDir;

use super::{archive, debian::Lists, programs::Programs};
use crate::{
    exec::{self, Cmd},
    image::arch::Arch,
};

const INIT: &str = include_str!("init.sh");

/// What the lab and the tests run.
const TOOLS: [&str; 13] = [
    "bpftool",
    "busybox",
    "conntrack",
    "ethtool",
    "ip",
    "ip6tables-restore",
    "iperf3",
    "iptables-restore",
    "nft",
    "ping",
    "prlimit",
    "setpriv",
    "tc",
];
/// iptables opens its extensions by name, so no library tells of them.
const EXTENSIONS: &str = "xtables";
const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";
/// The same tools for another architecture.
const PACKAGES: [&str; 11] = [
    "bpftool",
    "busybox-static",
    "conntrack",
    "dash",
    "ethtool",
    "iperf3",
    "iproute2",
    "iptables",
    "iputils-ping",
    "nftables",
    "util-linux",
];
const SUITE: &str = "bookworm";
const EMPTY: [&str; 7] = ["proc", "sys", "dev", "run", "tmp", "root", "sbin"];

/// The packed userland; it goes with the value.
pub(super) struct Userland {
    pub(super) archive: PathBuf,
    _folder: TempDir,
}

/// Packs what every guest gets.
pub(super) fn pack(programs: &Programs) -> Result<Userland> {
    let folder = tempfile::tempdir()?;
    let stage = folder.path().join("stage");
    for name in EMPTY {
        fs::create_dir_all(stage.join(name))?;
    }
    match programs.arch.is_here() {
        true => tools(&stage)?,
        false => foreign_tools(&stage, programs.arch)?,
    }
    project(&stage, programs)?;
    let init = stage.join("init");
    fs::write(&init, INIT)?;
    fs::set_permissions(&init, Permissions::from_mode(0o755))?;
    let archive = folder.path().join("userland.cpio");
    archive::pack(&stage, &archive)?;
    fs::remove_dir_all(&stage)?;
    Ok(Userland {
        archive,
        _folder: folder,
    })
}

fn tools(stage: &Path) -> Result<()> {
    for name in TOOLS {
        let path = exec::find(name, &exec::search_path())
            .with_context(|| format!("{name} is not there: run `cargo xtask setup`"))?;
        add(stage, &path, &Path::new("bin").join(name))?;
    }
    symlink("/bin/modprobe", stage.join("sbin/modprobe"))
        .context("the path by which the kernel asks for modules")?;
    let extensions = Path::new(LIBRARIES).join(EXTENSIONS);
    for entry in fs::read_dir(&extensions)? {
        let path = entry?.path();
        archive::copy(&path, &inside(stage, &path))?;
    }
    Ok(())
}

/// The packages with all that they depend on, unpacked and not configured.
fn foreign_tools(stage: &Path, arch: Arch) -> Result<()> {
    Lists::of(SUITE, arch)?.unpack_with_dependencies(&PACKAGES, stage)?;
    for family in ["iptables", "ip6tables"] {
        // Which of two iptables has this name is chosen when the package is configured.
        let name = stage.join(format!("usr/sbin/{family}-restore"));
        symlink("xtables-nft-multi", &name).with_context(|| name.display().to_string())?;
    }
    for unused in ["usr/share", "var"] {
        fs::remove_dir_all(stage.join(unused))?;
    }
    Ok(())
}

/// Debug information would be most of what the guest unpacks.
fn project(stage: &Path, programs: &Programs) -> Result<()> {
    for (name, from) in &programs.files {
        let to = Path::new("zonemeter").join(name);
        add(stage, from, &to)?;
        exec::run_quietly(Cmd::new(programs.arch.tool("strip")).arg(stage.join(to)))?;
    }
    Ok(())
}

/// Puts the program `from` at `to` in the guest, and its libraries where it looks for them.
fn add(stage: &Path, from: &Path, to: &Path) -> Result<()> {
    archive::copy(from, &stage.join(to))?;
    for library in libraries(from) {
        let inside = inside(stage, &library);
        if !inside.exists() {
            archive::copy(&library, &inside)?;
        }
    }
    Ok(())
}

fn inside(stage: &Path, absolute: &Path) -> PathBuf {
    stage.join(absolute.strip_prefix("/").unwrap_or(absolute))
}

/// As ldd prints them; it fails for a static program, which has none.
fn libraries(program: &Path) -> BTreeSet<PathBuf> {
    let printed = exec::output(Cmd::new("ldd").arg(program)).unwrap_or_default();
    printed
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}
