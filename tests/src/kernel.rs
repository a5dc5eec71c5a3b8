//! What this machine's kernel can do.

use anyhow::{Context, Result};

/// Its release: `6.1.0-50-cloud-amd64` is (6, 1).
///
/// # Errors
/// The kernel does not tell its release, or not as two numbers.
pub fn version() -> Result<(u32, u32)> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split('.').map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    let version = next().zip(next());
    version.with_context(|| format!("the kernel's release {release:?}"))
}

/// Whether programs can be attached by TCX, which came with Linux 6.6.
///
/// # Errors
/// As [`version`].
pub fn has_tcx() -> Result<bool> {
    Ok(version()? >= (6, 6))
}

/// Whether programs may be interrupted by each other: the kernel has PREEMPT_RT.
pub fn is_realtime() -> bool {
    std::fs::read_to_string("/sys/kernel/realtime").is_ok_and(|text| text.trim() == "1")
}
