//! The modules that a guest may load: those of networking and virtual Ethernet, and what they
//! need.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use fs_err as fs;

use super::{archive, cache, debian::Kernel};
use crate::{
    exec::{self, Cmd},
    progress,
};

/// Where the wanted modules lie, below the kernel's folder. Checksums are asked for by name at
/// run time, so no dependency tells of them.
const WANTED: [&str; 8] = [
    "kernel/drivers/net/veth.ko",
    "kernel/net/core/",
    "kernel/net/ipv4/",
    "kernel/net/ipv6/",
    "kernel/net/netfilter/",
    "kernel/net/sched/",
    "kernel/crypto/crc32c",
    "kernel/lib/libcrc32c",
];

/// The archive of a kernel's modules, made once.
pub(super) fn pack(kernel: &Kernel) -> Result<PathBuf> {
    let file = cache()?.join(&kernel.release).join("modules.cpio");
    if !file.is_file() {
        let what = format!("packing the modules of {}", kernel.release);
        progress::quiet_step(&what, || stage(kernel, &file))?;
    }
    Ok(file)
}

fn stage(kernel: &Kernel, file: &Path) -> Result<()> {
    let stage = tempfile::tempdir()?;
    let dependencies = dependencies(kernel)?;
    let below = stage.path().join("lib/modules").join(&kernel.release);
    for name in closure(&dependencies) {
        archive::copy(&kernel.modules.join(name), &below.join(name))?;
    }
    for name in ["order", "builtin", "builtin.modinfo"].map(|what| format!("modules.{what}")) {
        let from = kernel.modules.join(&name);
        if from.is_file() {
            archive::copy(&from, &below.join(&name))?;
        }
    }
    // The guest's modprobe need not know how to uncompress.
    let unpack = "-name *.xz -exec xz --decompress {} +";
    exec::run_quietly(Cmd::new("find").arg(&below).words(unpack))?;
    depmod(stage.path(), &kernel.release)?;
    let unfinished = file.with_extension("unfinished");
    archive::pack(stage.path(), &unfinished)?;
    Ok(fs::rename(&unfinished, file)?)
}

/// depmod writes beside the modules and looks for them in `lib/modules`: it gets a tree of links.
fn dependencies(kernel: &Kernel) -> Result<BTreeMap<String, Vec<String>>> {
    let tree = tempfile::tempdir()?;
    let folder = tree.path().join("lib/modules").join(&kernel.release);
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(&kernel.modules)? {
        let entry = entry?;
        symlink(entry.path(), folder.join(entry.file_name())).context("linking modules")?;
    }
    depmod(tree.path(), &kernel.release)?;
    let text = fs::read_to_string(folder.join("modules.dep"))?;
    Ok(parse(&text))
}

fn depmod(base: &Path, release: &str) -> Result<()> {
    exec::run_quietly(Cmd::new("depmod").arg("--basedir").arg(base).arg(release))
}

/// `modules.dep`: a module, a colon, what it needs.
fn parse(text: &str) -> BTreeMap<String, Vec<String>> {
    let line = |line: &str| {
        let (module, needs) = line.split_once(':')?;
        let needs = needs.split_whitespace().map(str::to_owned).collect();
        Some((module.to_owned(), needs))
    };
    text.lines().filter_map(line).collect()
}

/// The wanted modules; `modules.dep` names what they need at any depth.
fn closure(dependencies: &BTreeMap<String, Vec<String>>) -> BTreeSet<&str> {
    let wanted = dependencies
        .iter()
        .filter(|(module, _)| WANTED.iter().any(|start| module.starts_with(start)));
    wanted
        .flat_map(|(module, needs)| needs.iter().chain([module]))
        .map(String::as_str)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_wanted_module_needs_comes_along() {
        let parsed = parse(
            "kernel/net/netfilter/nf_tables.ko.xz: kernel/lib/odd.ko.xz\n\
             kernel/lib/odd.ko.xz:\nkernel/fs/xfs.ko.xz: kernel/lib/other.ko.xz\n",
        );
        let found: Vec<&str> = closure(&parsed).into_iter().collect();
        assert_eq!(
            found,
            [
                "kernel/lib/odd.ko.xz",
                "kernel/net/netfilter/nf_tables.ko.xz"
            ]
        );
    }
}
