//! The only corridor between the rooms: drain → resolve → classify → add, and the changes that
//! names come from. One loop owns the kernel room and the account room, so that every number of
//! a scrape comes from the same drain.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use anyhow::{Context as _, Result};
use tokio::{
    sync::{mpsc, watch},
    time::{Interval, MissedTickBehavior},
};

use crate::{
    account::{Account, Networks},
    expose::{SelfMetrics, self_metrics::AttachMode},
    kernel::{
        Kernel,
        attach::Mode,
        links::{Link, LinkEvent, Links},
    },
    model::{cluster::Change, snapshot::Snapshot, traffic::InterfaceChange},
    readiness::{Guard, Pulse},
};

/// Changes taken from the feed at once, so that a long list does not hold up the rest.
const CHANGES_AT_ONCE: usize = 256;

/// What the corridor joins.
pub struct Pipeline {
    /// Counts.
    pub kernel: Kernel,
    /// Says which veths there are.
    pub links: Links,
    /// Names and adds up.
    pub account: Account,
    /// What the cluster feed says.
    pub changes: mpsc::Receiver<Change>,
    /// The last good networks file.
    pub networks: watch::Receiver<Arc<Networks>>,
    /// Where scrapes read from.
    pub snapshots: watch::Sender<Arc<Snapshot>>,
    /// The agent's numbers about itself.
    pub metrics: SelfMetrics,
    /// Met once every veth that was there at the start has been tried and one drain is through.
    pub counting: Guard,
    /// Beats with every drain.
    pub pulse: Pulse,
}

impl Pipeline {
    /// Runs until `stop` changes, then drains once more.
    ///
    /// # Errors
    /// When link messages can no longer be read: the process must end, it would miss pods.
    pub async fn run(
        mut self,
        interval: std::time::Duration,
        mut stop: watch::Receiver<bool>,
    ) -> Result<()> {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let listed = self.links.next().await?;
        self.follow(listed).await;
        while self.step(&mut ticks, &mut stop).await? {}
        self.drain();
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
            event = self.links.next() => self.follow(event?).await,
            _ = ticks.tick() => self.drain(),
            Ok(()) = self.networks.changed() => {
                let networks = self.networks.borrow_and_update().clone();
                self.account.set_networks((*networks).clone());
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
        let Some(addresses) = self.account.changed_translated_addresses() else {
            return;
        };
        if let Err(error) = self.kernel.set_translated(addresses) {
            tracing::error!("backends of some Services will not be named: {error:#}");
        }
    }

    /// Attaches to what appeared, lets go of what is gone.
    async fn follow(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Appeared(link) => self.attach(link).await,
            LinkEvent::Gone(index) => self.leave(index),
            LinkEvent::Listed(links) => {
                let counted = self.kernel.interfaces().into_iter();
                let gone = counted.filter(|index| links.iter().all(|link| link.index != *index));
                gone.collect::<Vec<_>>()
                    .into_iter()
                    .for_each(|index| self.leave(index));
                for link in links {
                    self.attach(link).await;
                }
            }
        }
        self.show_interfaces();
    }

    async fn attach(&mut self, link: Link) {
        match self.kernel.attach(&link) {
            Ok(None) => {}
            Ok(Some(mut interface)) => {
                // Read again: an interface may carry traffic while it is being attached to.
                if let Some(now) = self.links.one(link.index).await {
                    interface.before_attach = now.carried;
                    interface.peer_namespace = now.peer_namespace;
                }
                tracing::info!(interface = &*link.name, index = link.index, "counting");
                self.account
                    .interface(InterfaceChange::Attached(interface), Instant::now());
            }
            // Gone again before it was attached to: there is nothing to count.
            Err(_) if self.links.one(link.index).await.is_none() => {}
            Err(error) => {
                self.metrics.attach_failed();
                tracing::error!(interface = &*link.name, "not counted: {error:#}");
            }
        }
    }

    fn leave(&mut self, index: u32) {
        self.kernel.detach(index);
        self.account
            .interface(InterfaceChange::Left(index), Instant::now());
    }

    fn show_interfaces(&self) {
        let mode = match self.kernel.mode() {
            Mode::Tcx => AttachMode::Tcx,
            Mode::Tc => AttachMode::Tc,
        };
        self.metrics
            .set_interfaces(mode, self.kernel.interfaces().len() as u64);
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
        let drain = self.kernel.drain()?;
        self.metrics.set_flows(drain.flows.len() as u64);
        let gone = self.kernel.clear()?;
        self.account.add(&drain, SystemTime::now());
        for index in gone {
            self.account
                .interface(InterfaceChange::Gone(index), drain.until);
        }
        for (reason, total) in self.kernel.skipped().context("skip counters")? {
            self.metrics.set_skipped(reason, total);
        }
        self.snapshots
            .send_replace(Arc::new(self.account.snapshot()));
        Ok(())
    }
}
