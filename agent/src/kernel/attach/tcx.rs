//! TCX links (Linux 6.6 and newer): at the head of the chain, pinned so that they outlive the
//! process, and adopted by the next one without missing a packet.

use std::{io, path::Path};

use anyhow::{Context as _, Result, anyhow};
use aya::{
    programs::{
        LinkOrder, SchedClassifier, TcAttachType,
        links::{FdLink, LinkError, PinnedLink},
        tc::{SchedClassifierLink, TcAttachOptions},
    },
    sys::SyscallError,
};

use super::Link;
use crate::{
    kernel::{hooks::chain, pins::Pins},
    model::traffic::Direction,
};

/// Puts `program` where its pinned predecessor is, or at the head of the chain.
pub(super) fn attach(
    program: &mut SchedClassifier,
    link: &Link,
    direction: Direction,
    hook: TcAttachType,
    pins: Option<&Pins>,
) -> Result<(SchedClassifierLink, bool)> {
    let Some(pins) = pins else {
        return Ok((create(program, link, hook)?, false));
    };
    let path = pins.link(link.index, direction);
    if let Some(adopted) = adopt(program, &path)? {
        return Ok((adopted, true));
    }
    let created: FdLink = create(program, link, hook)?.try_into()?;
    let pinned = created
        .pin(&path)
        .with_context(|| format!("pinning {}", path.display()))?;
    Ok((FdLink::from(pinned).try_into()?, false))
}

fn create(
    program: &mut SchedClassifier,
    link: &Link,
    hook: TcAttachType,
) -> Result<SchedClassifierLink> {
    let options = TcAttachOptions::TcxOrder(LinkOrder::first());
    let id = program.attach_with_options(&link.name, hook, options)?;
    Ok(program.take_link(id)?)
}

/// Replaces the program of a pinned link in one step (`BPF_LINK_UPDATE`). `None` where nothing is
/// pinned, or what is pinned belonged to an interface that is gone.
fn adopt(program: &mut SchedClassifier, path: &Path) -> Result<Option<SchedClassifierLink>> {
    let pinned = match PinnedLink::from_pin(path) {
        Ok(pinned) => FdLink::from(pinned),
        Err(error) if is_not_found(&error) => return Ok(None),
        Err(error) => return Err(anyhow!(error).context(path.display().to_string())),
    };
    let adopted = SchedClassifierLink::try_from(pinned)
        .map_err(anyhow::Error::from)
        .and_then(|link| Ok(program.attach_to_link(link)?));
    match adopted {
        Ok(id) => Ok(Some(program.take_link(id)?)),
        Err(error) => {
            tracing::debug!("{}: a severed link: {error:#}", path.display());
            std::fs::remove_file(path).with_context(|| path.display().to_string())?;
            Ok(None)
        }
    }
}

/// Takes the program of a pinned link off its hook, so that it can be put on again.
pub(super) fn take_off(path: &Path) -> Result<()> {
    // What is left of a link whose program was taken off is a file.
    if let Err(error) = chain::detach(path) {
        tracing::debug!("{}: {error}", path.display());
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn is_not_found(error: &LinkError) -> bool {
    match error {
        LinkError::SyscallError(SyscallError { io_error, .. }) => {
            io_error.kind() == io::ErrorKind::NotFound
        }
        _ => false,
    }
}
