//! The only way between the rooms: drain → resolve → classify → add, and the changes that
//! names come from. One loop owns the kernel room and the account room, so that every number of
//! a scrape comes from the same drain.

mod interfaces;
mod once;

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use anyhow::{Context as _, Result};
use tokio::{
    sync::{mpsc, watch},
    time::{Interval, MissedTickBehavior},
};

pub use self::once::Keeper;
use crate::{
    account::{Account, Networks},
    attacher::AttachEvent,
    expose::{SelfMetrics, debug::Question},
    kernel::Kernel,
    model::{cluster::Change, recent::Recent, snapshot::Snapshot},
    readiness::{Guard, Pulse},
};

/// Changes taken from the feed at once, so that a long list does not hold up the rest.
const CHANGES_AT_ONCE: usize = 256;

/// What the corridor joins.
pub struct Pipeline {
    /// Counts.
    pub kernel: Kernel,
    /// What the loop that attaches did.
    pub attached: mpsc::UnboundedReceiver<AttachEvent>,
    /// Names and adds up.
    pub account: Account,
    /// Keeps the totals over restarts.
    pub keeper: Keeper,
    /// What the cluster feed says.
    pub changes: mpsc::Receiver<Change>,
    /// The last good networks file.
    pub networks: watch::Receiver<Arc<Networks>>,
    /// Where scrapes read from.
    pub snapshots: watch::Sender<Arc<Snapshot>>,
    /// Where the debug page reads the last drain's flows.
    pub recent: watch::Sender<Arc<Recent>>,
    /// What the debug page asks the address book.
    pub questions: mpsc::Receiver<Question>,
    /// The agent's numbers about itself.
    pub metrics: SelfMetrics,
    /// Met once every veth that was there at the start has been tried and one drain is through.
    pub counting: Guard,
    /// Beats with every drain.
    pub pulse: Pulse,
}

impl Pipeline {
    /// Runs until `stop` changes.
    ///
    /// # Errors
    /// None so far: what fails is tried again.
    pub async fn run(
        mut self,
        interval: std::time::Duration,
        mut stop: watch::Receiver<bool>,
    ) -> Result<()> {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if !self.wait_for_the_first_list(&mut stop).await {
            return Ok(());
        }
        self.recover();
        while self.step(&mut ticks, &mut stop).await? {}
        // What is not drained by now, the next process finds in the pinned maps.
        Ok(())
    }

    /// Waits for one thing and deals with it; false when it is time to stop.
    async fn step(
        &mut self,
        ticks: &mut Interval,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<bool> {
        let mut changes = Vec::new();
        tokio::select! {
            biased;
            _ = stop.changed() => return Ok(false),
            Some(event) = self.attached.recv() => self.hear(event),
            _ = ticks.tick() => self.drain(),
            Ok(()) = self.networks.changed() => {
                let networks = self.networks.borrow_and_update().clone();
                self.account.set_networks((*networks).clone(), Instant::now());
            }
            Some(Question { address, answer }) = self.questions.recv() => {
                // Whoever asked may have gone.
                let _ = answer.send(self.account.explain(address, Instant::now()));
            }
            1.. = self.changes.recv_many(&mut changes, CHANGES_AT_ONCE) => {
                let now = Instant::now();
                let more = changes.len() == CHANGES_AT_ONCE;
                changes.into_iter().for_each(|change| self.account.apply(change, now));
                if !more {
                    self.translate_for_services();
                }
            }
        }
        Ok(true)
    }

    /// Tells the programs which addresses are not their owners'.
    fn translate_for_services(&mut self) {
        let Some(translated) = self.account.changed_translated() else {
            return;
        };
        if let Err(error) = self.kernel.set_translated(translated) {
            tracing::error!("backends of some Services will not be named: {error:#}");
        }
    }

    /// The maps of an earlier process go once their numbers are kept; until then they are pinned,
    /// and nothing writes to them.
    fn salvage(&mut self) -> Result<()> {
        let drains = self.kernel.salvage(Instant::now())?;
        if drains.is_empty() {
            return Ok(());
        }
        let now = SystemTime::now();
        drains.iter().for_each(|drain| self.account.add(drain, now));
        let snapshot = Arc::new(self.account.snapshot());
        let Self {
            account, keeper, ..
        } = self;
        if keeper.keep(|| account.kept(snapshot)) {
            self.kernel.forget_salvaged()?;
        }
        Ok(())
    }

    /// A drain that an earlier process had begun and not brought to its end; the first one of
    /// this process then follows at once.
    fn recover(&mut self) {
        if self.kernel.has_predecessor()
            && let Err(error) = self.try_drain()
        {
            tracing::error!("the last drain of an earlier agent: {error:#}");
        }
    }

    /// One drain from the kernel to the snapshot. What fails is tried again at the next tick: the
    /// numbers stay in the kernel until they are in the ledger.
    fn drain(&mut self) {
        let began = Instant::now();
        match self.try_drain() {
            Ok(()) => {
                self.metrics.drained(began.elapsed(), SystemTime::now());
                self.pulse.beat();
                self.counting.met();
            }
            Err(error) => {
                self.counting.missing(format!("{error:#}"));
                tracing::error!("drain: {error:#}");
            }
        }
    }

    fn try_drain(&mut self) -> Result<()> {
        self.translate_for_services();
        let (flows, snapshot) = self.pass()?;
        self.metrics.set_flows(flows as u64);
        let (asked, failed) = self.kernel.asked();
        self.metrics.set_conntrack_lookups(asked, failed);
        for (reason, total) in self.kernel.skipped().context("skip counters")? {
            self.metrics.set_skipped(reason, total);
        }
        self.recent
            .send_replace(Arc::new(self.account.take_recent()));
        self.snapshots.send_replace(snapshot);
        Ok(())
    }
}
