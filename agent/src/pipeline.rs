//! The only corridor between the rooms: drain → resolve → classify → add, and the changes that
//! names come from. One loop owns the kernel room and the account room, so that every number of
//! a scrape comes from the same drain.

mod drains;
mod hooks;
mod keeper;
mod once;

use std::{sync::Arc, time::Instant};

use anyhow::Result;
use tokio::{
    sync::{mpsc, watch},
    time::{Interval, MissedTickBehavior},
};

pub use self::{
    drains::Progress,
    keeper::{Keeper, WriterThread},
};
use crate::{
    account::{Account, Networks},
    expose::{SelfMetrics, debug::Question},
    kernel::{
        Kernel,
        attach::{Began, Counting},
        hooks::watch::Watch,
        links::{Link, LinkEvent, Links},
    },
    model::{
        cluster::Change,
        recent::Recent,
        snapshot::Snapshot,
        traffic::{Count, Interface, InterfaceChange},
    },
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
    /// Says when somebody may have changed something on their hooks.
    pub hooks: Watch,
    /// Names and adds up.
    pub account: Account,
    /// Keeps the totals over restarts.
    pub keeper: Keeper,
    /// What of a drain is done.
    pub progress: Progress,
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
    /// Lost while there are interfaces that are not counted, or not in both directions.
    pub all_counted: Guard,
    /// Beats with every tick on which a drain began, or waits for the write of the one before.
    pub pulse: Pulse,
}

impl Pipeline {
    /// Runs until `stop` changes.
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
        if self.kernel.has_predecessor() {
            self.drain();
        }
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
            event = self.links.next() => self.follow(event?).await,
            disturbed = self.hooks.next() => self.look(disturbed?).await,
            kept = self.keeper.written(), if self.progress.waits() => self.kept(kept),
            _ = ticks.tick() => self.drain(),
            () = retry(self.kernel.retry_translated_at()) => {
                self.kernel.retry_translated(Instant::now());
            }
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
        if let Some(translated) = self.account.changed_translated() {
            self.kernel.set_translated(translated, Instant::now());
        }
    }

    /// Attaches to what appeared, lets go of what is gone.
    async fn follow(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Appeared(link) => self.attach(link).await,
            LinkEvent::Gone(index) => self.detach(index),
            LinkEvent::Routed(route) => {
                self.tell(InterfaceChange::Routed(route.interface, route.address))
            }
            LinkEvent::Unrouted(route) => {
                self.tell(InterfaceChange::Unrouted(route.interface, route.address))
            }
            LinkEvent::Listed(links, routes) => {
                let present: Vec<u32> = links.iter().map(|link| link.index).collect();
                let counted = self.kernel.interfaces().into_iter();
                let gone: Vec<u32> = counted.filter(|index| !present.contains(index)).collect();
                gone.into_iter().for_each(|index| self.detach(index));
                for link in links {
                    self.attach(link).await;
                }
                for route in routes {
                    self.tell(InterfaceChange::Routed(route.interface, route.address));
                }
                self.settle_predecessor(&present);
            }
        }
        self.show_interfaces();
    }

    fn tell(&mut self, change: InterfaceChange) {
        self.account.interface(change, Instant::now());
    }

    fn detach(&mut self, index: u32) {
        if let Err(error) = self.kernel.detach(index) {
            tracing::warn!(index, "letting go of an interface: {error:#}");
        }
        self.tell(InterfaceChange::Left(index));
    }

    /// Takes over what an earlier process left beyond the interfaces that are still there.
    fn settle_predecessor(&mut self, present: &[u32]) {
        if let Err(error) = self.kernel.forget_all_but(present) {
            tracing::warn!("links of interfaces that are gone: {error:#}");
        }
        if let Err(error) = self.salvage() {
            tracing::error!(
                "what an earlier agent with another --max-flows counted waits in its maps, the \
                 next agent tries again: {error:#}"
            );
        }
    }

    async fn attach(&mut self, link: Link) {
        match self.kernel.attach(&link) {
            // What of it was not known at first, such as where it leads, may be known by now.
            Ok(None) => self.tell(InterfaceChange::Attached(announced(
                &link,
                [Count::ZERO; 2],
            ))),
            Ok(Some(counting)) => {
                let began = counting.began;
                self.show_lack(&counting);
                let interface = self.interface(&link, counting).await;
                tracing::info!(
                    interface = &*link.name,
                    index = link.index,
                    ?began,
                    "counting"
                );
                self.tell(InterfaceChange::Attached(interface));
            }
            // Gone again before it was attached to: there is nothing to count.
            Err(_) if self.links.one(link.index).await.is_none() => {}
            Err(error) => {
                self.metrics.attach_failed(1);
                tracing::error!(interface = &*link.name, "not counted: {error:#}");
            }
        }
    }

    /// What it carried is read once more after attaching: it may carry traffic meanwhile.
    async fn interface(&self, link: &Link, counting: Counting) -> Interface {
        let fresh = self.links.one(link.index).await;
        let link = fresh.as_ref().unwrap_or(link);
        let before_attach = match counting.began {
            Began::Before => [Count::ZERO; 2],
            Began::Now => link.carried,
        };
        Interface {
            lacks: counting.lacks.map(Arc::from),
            ..announced(link, before_attach)
        }
    }

    fn show_interfaces(&self) {
        let counted = self.kernel.interfaces().len() as u64;
        self.metrics.set_interfaces(self.kernel.mode(), counted);
        self.show_hooks();
    }
}

async fn retry(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn announced(link: &Link, before_attach: [Count; 2]) -> Interface {
    Interface {
        index: link.index,
        name: link.name.clone(),
        peer_namespace: link.peer_namespace,
        before_attach,
        lacks: None,
    }
}
