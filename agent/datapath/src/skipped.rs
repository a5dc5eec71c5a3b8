//! What programs saw and did not count as traffic, by reason.

use anyhow::{Context as _, Result};
use aya::maps::{MapData, PerCpuArray};
use zonemeter_common::{Count, SkipReason};

/// Frames and frame bytes (layer 2 and up) by reason, since the programs were loaded.
pub type Counts = Vec<(SkipReason, Count)>;

/// The skip map.
pub(super) struct Skipped(PerCpuArray<MapData, Count>);

impl Skipped {
    pub(super) fn new(map: PerCpuArray<MapData, Count>) -> Self {
        Self(map)
    }

    /// All reasons, in the order of their codes.
    pub(super) fn read(&self) -> Result<Counts> {
        SkipReason::ALL
            .into_iter()
            .map(|reason| {
                let by_cpu = self
                    .0
                    .get(&(reason as u32), 0)
                    .context("reading the skip map")?;
                Ok((reason, by_cpu.iter().copied().sum()))
            })
            .collect()
    }
}
