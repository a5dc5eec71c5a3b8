//! One drain's way into the totals, in the order that counts every byte once, whenever the process is
//! killed: drain, add, write, clear.
//!
//! | killed after | the kernel's set | the state directory | the next process |
//! |---|---|---|---|
//! | drain, add | full | does not know it | reads it again and adds it |
//! | write | full | knows it | reads it again, does not add it, and clears it |
//! | a part of clear | a part | knows it | the same |
//! | clear | empty | knows it | begins with the next one |
//!
//! Nobody has seen the numbers before they were written: they are shown after that.

use std::{sync::Arc, time::SystemTime};

use anyhow::Result;

use crate::{
    account::Account,
    expose::SelfMetrics,
    model::{
        kept::Kept,
        snapshot::Snapshot,
        traffic::{Drain, InterfaceChange},
    },
    state::Writer,
};

/// What counts.
pub(super) trait Source {
    /// Reads the set at rest; the same again until it was cleared.
    fn drain(&mut self) -> Result<Drain>;
    /// Tells `account` of interfaces that were attached to before the drain ended: it knows an
    /// interface before it meets a flow of it.
    fn introduce(&mut self, _account: &mut Account) {}
    /// Clears what was drained; returns interfaces that are done with.
    fn clear(&mut self) -> Result<Vec<u32>>;
}

/// Where totals are kept over restarts, if anywhere.
#[derive(Debug)]
pub struct Keeper {
    writer: Option<Writer>,
    metrics: SelfMetrics,
    failing: bool,
}

impl Keeper {
    /// Keeps totals by `writer`; without one the process takes them with it.
    pub fn new(writer: Option<Writer>, metrics: SelfMetrics) -> Self {
        Self {
            writer,
            metrics,
            failing: false,
        }
    }

    /// Keeps these totals. False where that failed: counting goes on, and the next call tries to
    /// keep all of them.
    pub(super) fn keep(&mut self, kept: impl FnOnce() -> Kept) -> bool {
        let Some(writer) = &mut self.writer else {
            return true;
        };
        let written = writer.write(kept());
        match &written {
            Ok(bytes) => {
                self.metrics.state_written(*bytes);
                if self.failing {
                    tracing::info!("--state-dir: totals are kept again");
                }
            }
            Err(error) => {
                self.metrics.state_write_failed();
                if !self.failing {
                    tracing::warn!(
                        "--state-dir: totals are not kept, a restart would take them back to the \
                         last good write; counting goes on, and each drain tries again: {error:#}"
                    );
                }
            }
        }
        self.failing = written.is_err();
        !self.failing
    }
}

/// One drain: its way into `account` and `keeper`, then out of `source`. Returns the number of its
/// flows, and what may now be shown.
///
/// # Errors
/// When the kernel's maps cannot be read or cleared: the next call reads the same set again.
pub(super) fn pass(
    source: &mut impl Source,
    account: &mut Account,
    keeper: &mut Keeper,
    wall: SystemTime,
) -> Result<(usize, Arc<Snapshot>)> {
    let drain = source.drain()?;
    source.introduce(account);
    account.add(&drain, wall);
    let snapshot = Arc::new(account.snapshot());
    keeper.keep(|| account.kept(Arc::clone(&snapshot)));
    for index in source.clear()? {
        account.interface(InterfaceChange::Gone(index), drain.until);
    }
    Ok((drain.flows.len(), snapshot))
}

#[cfg(test)]
mod tests;
