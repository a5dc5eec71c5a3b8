//! Which way of attaching this kernel has.

use anyhow::{Context as _, Result, bail};
use aya::util::KernelVersion;
use zonemeter_model::traffic::AttachMode;

/// First kernel with TCX links.
const TCX_SINCE: (u8, u8, u16) = (6, 6, 0);

/// The best that this kernel has.
///
/// # Errors
/// When the kernel does not say which one it is.
pub fn best_mode() -> Result<AttachMode> {
    let kernel = KernelVersion::current().context("reading the kernel's version")?;
    let (major, minor, patch) = TCX_SINCE;
    Ok(match kernel >= KernelVersion::new(major, minor, patch) {
        true => AttachMode::Tcx,
        false => AttachMode::Tc,
    })
}

/// What was asked for, if this kernel has it, or the best.
///
/// # Errors
/// One line for TCX on a kernel without.
pub fn choose_mode(asked: Option<AttachMode>) -> Result<AttachMode> {
    let best = best_mode()?;
    if asked == Some(AttachMode::Tcx) && best == AttachMode::Tc {
        let (major, minor, _) = TCX_SINCE;
        bail!(
            "--attach tcx: this kernel has no TCX, which came with Linux {major}.{minor}: \
             accepted here are auto and tc"
        );
    }
    Ok(asked.unwrap_or(best))
}
