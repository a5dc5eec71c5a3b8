//! `zonemeter remove`: takes off this node what agents leave there so that counting goes on without
//! them. Others' programs and the clsact qdisc stay.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    args::PinDir,
    check::node,
    kernel::{
        pins::{InUse, Pinned, Pins},
        remove,
    },
    output,
};

/// The command.
///
/// # Errors
/// One line where an agent still runs, or something cannot be removed.
pub fn run(args: &PinDir) -> Result<()> {
    // Filters of clsact are not pinned: the lock keeps us from taking those of a running agent.
    let pins = pins(&args.pin_dir)?;
    let filters = remove::filters()?;
    let Pinned { links, maps } = match pins {
        Some(pins) => pins.remove()?,
        None => Pinned::default(),
    };
    output::print(&match links + maps + filters {
        0 => nothing(&args.pin_dir),
        _ => format!("removed {links} links, {maps} maps, {filters} filters\n"),
    })
}

fn nothing(pin_dir: &Path) -> String {
    let pins = match pin_dir.as_os_str().is_empty() {
        true => String::new(),
        false => format!("nothing is pinned at {}, ", pin_dir.display()),
    };
    format!("nothing to remove: {pins}no filter is attached\n")
}

/// That nothing is there means something only where the agent would have pinned it: `ip netns exec`
/// mounts /sys anew, and the bpf file system of the node is hidden behind that.
fn check_file_system(directory: &Path) -> Result<()> {
    let found = node::file_system(directory)?;
    ensure!(
        found.kind == "bpf",
        "--pin-dir: {} is {} here and no bpf file system, so what an agent pinned cannot be seen: \
         in a network namespace run `nsenter --net=/run/netns/NAME zonemeter remove` (`ip netns \
         exec` mounts /sys anew), or give an empty --pin-dir to remove filters alone",
        found.folder.display(),
        found.kind
    );
    Ok(())
}

fn pins(directory: &Path) -> Result<Option<Pins>> {
    let shown = directory.display();
    if directory.as_os_str().is_empty() {
        return Ok(None);
    }
    let exists = directory.try_exists();
    let exists = exists.with_context(|| format!("--pin-dir: {shown}"))?;
    check_file_system(directory)?;
    if !exists {
        return Ok(None);
    }
    match Pins::lock(directory)? {
        Ok(pins) => Ok(Some(pins)),
        Err(InUse) => bail!("--pin-dir: an agent uses {shown}: stop it first, it would go on"),
    }
}
