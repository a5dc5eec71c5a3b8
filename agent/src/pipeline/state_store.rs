//! Totals on their way to the state directory, which a thread of their own writes: a disk that
//! takes long holds up nothing but the numbers of its own drain.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::{mpsc, watch};
use zonemeter_metrics::SelfMetrics;
use zonemeter_model::kept::Kept;
use zonemeter_state::Writer;

/// A write that takes longer is worth a line.
const SLOW: Duration = Duration::from_secs(5);

/// Where totals are kept over restarts, if anywhere.
#[derive(Debug)]
pub struct StateStore {
    thread: Option<Ends>,
    metrics: SelfMetrics,
    pub(super) failing: bool,
    /// Since when a write is under way, and whether a line has been said about it.
    handed: Option<(Instant, bool)>,
}

/// To the thread that writes, and back.
#[derive(Debug)]
struct Ends {
    totals: mpsc::Sender<Kept>,
    written: mpsc::Receiver<Result<u64>>,
}

/// The other side: what the thread runs.
#[derive(Debug)]
pub struct WriterThread {
    writer: Writer,
    totals: mpsc::Receiver<Kept>,
    written: mpsc::Sender<Result<u64>>,
}

impl WriterThread {
    /// Writes what comes, one after the other, until `stop` changes. One that is under way then is
    /// brought to its end, or cut off with the process: the next agent reads it either way.
    ///
    /// # Errors
    /// None: a write that fails is told to the [`StateStore`].
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<()> {
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => return Ok(()),
                Some(kept) = self.totals.recv() => self.write(kept),
                else => {}
            }
        }
    }

    fn write(&mut self, kept: Kept) {
        let written = self.writer.write(kept);
        // There is room, as only one write is ever under way; or nobody waits any more.
        let _ = self.written.try_send(written);
    }

    /// Writes what was handed over, if anything was.
    #[cfg(test)]
    pub(super) fn step(&mut self) {
        if let Ok(kept) = self.totals.try_recv() {
            self.write(kept);
        }
    }
}

impl StateStore {
    /// Keeps nothing: the process takes the totals with it.
    pub fn none(metrics: SelfMetrics) -> Self {
        Self {
            thread: None,
            metrics,
            failing: false,
            handed: None,
        }
    }

    /// Keeps totals by `writer`, on the thread that runs the second value.
    pub fn new(writer: Writer, metrics: SelfMetrics) -> (Self, WriterThread) {
        let (totals, totals_out) = mpsc::channel(1);
        let (written_in, written) = mpsc::channel(1);
        let store = Self {
            thread: Some(Ends { totals, written }),
            ..Self::none(metrics)
        };
        let thread = WriterThread {
            writer,
            totals: totals_out,
            written: written_in,
        };
        (store, thread)
    }

    /// Hands totals to the thread. Not before [`Self::written`] has returned for the ones before.
    pub(super) fn hand(&mut self, kept: impl FnOnce() -> Kept) {
        self.handed = Some((Instant::now(), false));
        if let Some(Ends { totals, .. }) = &self.thread {
            // There is room, as only one write is ever under way; or the thread has ended, and the
            // process is about to.
            let _ = totals.try_send(kept());
        }
    }

    /// Returns when the totals that were handed over last are kept, or could not be: false then.
    /// Counting goes on, and the next ones are written as a whole. Cancel safe.
    pub(super) async fn written(&mut self) -> bool {
        let written = match &mut self.thread {
            None => Ok(0),
            Some(Ends { written, .. }) => match written.recv().await {
                Some(written) => written,
                // The thread has ended, and the process is about to.
                None => std::future::pending().await,
            },
        };
        if let Some((since, true)) = self.handed.take() {
            tracing::info!("--state-dir: the write ended after {:.0?}", since.elapsed());
        }
        if self.thread.is_some() {
            self.show(&written);
        }
        written.is_ok()
    }

    /// What to say about a write that takes too long.
    pub(super) fn slow(&mut self) -> Option<String> {
        let (since, said) = self.handed.as_mut()?;
        let taken = since.elapsed();
        if taken < SLOW {
            return None;
        }
        let line = format!(
            "--state-dir: a write has taken {} s so far, and no later numbers are shown before it \
             ends; counting goes on: see to the disk",
            taken.as_secs()
        );
        if !std::mem::replace(said, true) {
            tracing::warn!("{line}");
        }
        Some(line)
    }

    fn show(&mut self, written: &Result<u64>) {
        match written {
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
    }
}
