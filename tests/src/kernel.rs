//! What this machine's kernel can do.

use anyhow::{Context, Result};

/// Whether programs can be attached by TCX, which came with Linux 6.6.
///
/// # Errors
/// The kernel does not tell its release, or not as two numbers.
pub fn has_tcx() -> Result<bool> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split('.').map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    let version = next().zip(next());
    Ok(version.with_context(|| format!("the kernel's release {release:?}"))? >= (6, 6))
}
