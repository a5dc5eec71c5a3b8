//! One drain's way into the totals, in the order that counts every byte once, whenever the process is
//! killed: drain, add, write, clear, show. The write is done by a thread of its own, and what follows
//! waits for its end; no other drain begins before that, so that there is never more than one set
//! of the kernel's that is full and not known to be kept.
//!
//! | killed | the kernel's set | the state directory | the next process |
//! |---|---|---|---|
//! | after drain, add | full | does not know it | reads it again and adds it |
//! | while the thread writes | full | does not know it: a part of a step is cut off, a new file has not taken the old one's place | the same |
//! | after write, before its end is known | full | knows it | reads it again, does not add it, and clears it |
//! | after a part of clear | a part | knows it | the same |
//! | after clear | empty | knows it | begins with the next one |
//!
//! What comes meanwhile goes to the other set and waits there for the next drain. Nobody has seen
//! the numbers before they were written: they are shown after that.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use anyhow::Result;
use zonemeter_account::Account;
use zonemeter_datapath::Kernel;
use zonemeter_model::{
    snapshot::Snapshot,
    traffic::{Drain, InterfaceChange},
};

use super::state_store::StateStore;

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

impl Source for Kernel {
    fn drain(&mut self) -> Result<Drain> {
        self.drain()
    }

    fn clear(&mut self) -> Result<Vec<u32>> {
        self.clear()
    }
}

/// A drain that is added and handed to the thread that writes, and still in the kernel.
#[derive(Debug)]
pub(super) struct DrainInProgress {
    /// When its numbers ended.
    until: Instant,
    /// Flows that it brought.
    pub(super) flows: usize,
    /// What may be shown once it is at its end.
    pub(super) snapshot: Arc<Snapshot>,
}

/// The first half of one drain: out of `source` into `account`, and to the thread that writes.
///
/// # Errors
/// When the kernel's maps cannot be read: the next call reads the same set again.
pub(super) fn begin(
    source: &mut impl Source,
    account: &mut Account,
    store: &mut StateStore,
    wall: SystemTime,
) -> Result<DrainInProgress> {
    let drain = source.drain()?;
    let read = drain.until.elapsed();
    source.introduce(account);
    account.add(&drain, wall);
    let added = drain.until.elapsed();
    let snapshot = Arc::new(account.snapshot());
    // Since no program wrote to the set any more. `cargo xtask bench agent` reads this.
    tracing::debug!(
        flows = drain.flows.len(),
        read_us = read.as_micros(),
        added_us = added.as_micros(),
        shown_us = drain.until.elapsed().as_micros(),
        "drained"
    );
    store.hand(|| account.kept(Arc::clone(&snapshot)));
    Ok(DrainInProgress {
        until: drain.until,
        flows: drain.flows.len(),
        snapshot,
    })
}

impl DrainInProgress {
    /// The second half, once [`StateStore::written`] has returned: out of the kernel. What it returns
    /// may be shown.
    ///
    /// # Errors
    /// When the kernel's maps cannot be cleared: the next drain reads the same set again, and it is
    /// not added twice.
    pub(super) fn end(self, source: &mut impl Source, account: &mut Account) -> Result<Self> {
        for index in source.clear()? {
            account.interface(InterfaceChange::Gone(index), self.until);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
