//! Drains from the kernel to the snapshot, in two halves: what comes after the write waits for it, and
//! the loop goes on meanwhile.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use anyhow::Result;

use super::{LOOKED_AT, Pipeline, once::DrainInProgress};

/// How far the last drain has come.
#[derive(Debug, Default)]
pub struct Progress {
    waiting: Option<AfterWrite>,
    /// Another drain was due while this one waited.
    due: bool,
}

impl Progress {
    /// Whether totals are being written.
    pub(super) fn waits(&self) -> bool {
        self.waiting.is_some()
    }
}

/// What is done once the totals are kept.
#[derive(Debug)]
enum AfterWrite {
    /// A drain is cleared and shown.
    ClearDrain {
        drain: DrainInProgress,
        began: Instant,
        /// An earlier process drained it and did not clear it: what came since is in the other
        /// set, which the first tick drains.
        again: bool,
    },
    /// The maps of earlier processes, of another size, are removed.
    RemoveLeftovers,
}

impl Pipeline {
    /// Begins a drain, or notes that one is due. What fails is tried again at the next tick: the
    /// numbers stay in the kernel until they are in the ledger.
    pub(super) fn drain(&mut self) {
        if self.progress.waits() {
            self.progress.due = true;
            self.pulse.beat();
            if let Some(slow) = self.store.slow() {
                self.counting.missing(slow);
            }
            return;
        }
        if let Err(error) = self.begin_drain() {
            self.failed(&error);
        }
    }

    fn begin_drain(&mut self) -> Result<()> {
        let (began, again) = (Instant::now(), self.kernel.has_predecessor());
        self.translate_for_services();
        let looked_at = LOOKED_AT.max(2 * self.interval);
        self.account.record(self.watched.within(looked_at, began));
        let (begun, events) = self.begin();
        let begun = begun.map(|drain| {
            self.progress.waiting = Some(AfterWrite::ClearDrain {
                drain,
                began,
                again,
            });
        });
        // Maps of earlier processes wait for the write that is under way now.
        self.apply(events);
        begun
    }

    /// The totals that were handed over are kept, or could not be.
    pub(super) fn kept(&mut self, kept: bool) {
        match self.progress.waiting.take() {
            None => {}
            Some(AfterWrite::RemoveLeftovers) => {
                if kept && let Err(error) = self.kernel.remove_leftovers() {
                    tracing::error!("removing the maps of an earlier agent: {error:#}");
                }
            }
            Some(AfterWrite::ClearDrain {
                drain,
                began,
                again,
            }) => match drain.end(&mut self.kernel, &mut self.account) {
                Ok(ended) => {
                    self.show(ended, began);
                    if !again {
                        self.counting.met();
                    }
                }
                Err(error) => self.failed(&error),
            },
        }
        if std::mem::take(&mut self.progress.due) {
            self.drain();
        }
    }

    fn failed(&self, error: &anyhow::Error) {
        self.counting.missing(format!("{error:#}"));
        tracing::error!("drain: {error:#}");
    }

    fn show(&mut self, ended: DrainInProgress, began: Instant) {
        self.metrics.set_flows(ended.flows as u64);
        let lookups = self.kernel.lookups();
        let lookups = [lookups.answered, lookups.failed, lookups.over_limit];
        self.metrics.set_conntrack_lookups(lookups);
        match self.kernel.skipped() {
            Ok(skipped) => skipped
                .into_iter()
                .for_each(|(reason, total)| self.metrics.set_skipped(reason, total)),
            // The drain is at its end without them.
            Err(error) => tracing::error!("reading the counters of skipped packets: {error:#}"),
        }
        match self.kernel.uplink_skipped() {
            Ok(skipped) => skipped
                .into_iter()
                .for_each(|(reason, total)| self.metrics.set_uplink_skipped(reason, total)),
            Err(error) => tracing::error!("reading the uplinks' skipped packets: {error:#}"),
        }
        self.recent
            .send_replace(Arc::new(self.account.take_recent()));
        self.snapshots.send_replace(ended.snapshot);
        self.show_conditions();
        self.metrics.drained(began.elapsed(), SystemTime::now());
        self.pulse.beat();
    }

    /// The maps of an earlier process go once their numbers are kept; until then they are pinned,
    /// and nothing writes to them.
    pub(super) fn read_leftovers(&mut self) -> Result<()> {
        if self.progress.waits() {
            // The next full list comes here again.
            return Ok(());
        }
        let drains = self.kernel.read_leftovers(Instant::now())?;
        if drains.is_empty() {
            return Ok(());
        }
        let now = SystemTime::now();
        drains.iter().for_each(|drain| self.account.add(drain, now));
        let snapshot = Arc::new(self.account.snapshot());
        let Self { account, store, .. } = self;
        store.hand(|| account.kept(snapshot));
        self.progress.waiting = Some(AfterWrite::RemoveLeftovers);
        Ok(())
    }
}
