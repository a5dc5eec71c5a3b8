//! `zonemeter remove`: takes off this node what agents leave there so that counting goes on without
//! them. Others' programs and the clsact qdisc stay.

use std::{
    io::{self, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    args::PinDir,
    kernel::{
        pins::{InUse, Pinned, Pins},
        remove,
    },
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
    let line = format!("removed {links} links, {maps} maps, {filters} filters\n");
    Ok(io::stdout().write_all(line.as_bytes())?)
}

fn pins(directory: &Path) -> Result<Option<Pins>> {
    let shown = directory.display();
    if directory.as_os_str().is_empty() {
        return Ok(None);
    }
    if !directory
        .try_exists()
        .with_context(|| format!("--pin-dir: {shown}"))?
    {
        return Ok(None);
    }
    match Pins::lock(directory)? {
        Ok(pins) => Ok(Some(pins)),
        Err(InUse) => bail!("--pin-dir: an agent uses {shown}: stop it first, it would go on"),
    }
}
