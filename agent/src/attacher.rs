//! The loop that attaches, on a thread of its own: nothing slow elsewhere (a drain, a disk, conntrack
//! lookups, a grace period) keeps a new interface uncounted. What it does, it tells the
//! [`Pipeline`](crate::pipeline::Pipeline) in order, as [`AttachEvent`]s.

mod hooks;

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};

use crate::{
    expose::SelfMetrics,
    kernel::{
        attach::{Attachments, Began, Counting},
        hooks::watch::Watch,
        links::{Link, LinkEvent, Links},
    },
    model::traffic::{Count, Interface, InterfaceChange},
    readiness::{Guard, Pulse},
};

pub(crate) use self::hooks::matches_none;

/// How often the loop shows that it turns where nothing happens.
const TURN: Duration = Duration::from_secs(1);

/// What the loop tells the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachEvent {
    /// An interface or a route to one came or went.
    Interface(InterfaceChange),
    /// Every interface of a full list was attached to, or attaching to it failed and left
    /// nothing: no program writes to the maps of an earlier process any more.
    Listed,
}

/// What the loop joins.
pub struct Attacher {
    /// The programs and where they are.
    pub attachments: Attachments,
    /// `--interface` as it was given; empty where it was not.
    pub asked_for: String,
    /// Says which interfaces there are.
    pub links: Links,
    /// Says when somebody may have changed something on their hooks.
    pub hooks: Watch,
    /// Unbounded, because this loop must never wait for the pipeline: an event is small, and there
    /// are as many of them as interfaces and routes change while one drain runs.
    pub events: mpsc::UnboundedSender<AttachEvent>,
    /// The agent's numbers about itself.
    pub metrics: SelfMetrics,
    /// Lost while there are interfaces that are not counted, or not in both directions.
    pub all_counted: Guard,
    /// Beats with every turn.
    pub pulse: Pulse,
}

impl Attacher {
    /// Runs until `stop` changes.
    ///
    /// # Errors
    /// When link messages can no longer be read: the process must end, it would miss pods.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<()> {
        let mut turns = tokio::time::interval(TURN);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => return Ok(()),
                event = self.links.next() => self.follow(event?).await,
                disturbed = self.hooks.next() => self.look(disturbed?).await,
                _ = turns.tick() => {}
            }
            self.pulse.beat();
        }
    }

    /// Attaches to what appeared, detaches from what is gone.
    async fn follow(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Appeared(link) => self.attach(link).await,
            LinkEvent::Gone(index) => self.detach(index),
            LinkEvent::Routed(route) => {
                self.tell(InterfaceChange::Routed(route.interface, route.address));
            }
            LinkEvent::Unrouted(route) => {
                self.tell(InterfaceChange::Unrouted(route.interface, route.address));
            }
            LinkEvent::Listed(links, routes) => {
                let present: Vec<u32> = links.iter().map(|link| link.index).collect();
                let counted = self.attachments.indices().into_iter();
                let gone: Vec<u32> = counted.filter(|index| !present.contains(index)).collect();
                gone.into_iter().for_each(|index| self.detach(index));
                for link in links {
                    self.attach(link).await;
                }
                for route in routes {
                    self.tell(InterfaceChange::Routed(route.interface, route.address));
                }
                if let Err(error) = self.attachments.forget_all_but(&present) {
                    tracing::warn!("links of interfaces that are gone: {error:#}");
                }
                self.send(AttachEvent::Listed);
            }
        }
        self.show_interfaces();
    }

    fn tell(&self, change: InterfaceChange) {
        self.send(AttachEvent::Interface(change));
    }

    fn send(&self, event: AttachEvent) {
        // Without a receiver the pipeline has ended, and the process is about to.
        let _ = self.events.send(event);
    }

    fn detach(&mut self, index: u32) {
        match self.attachments.detach(index) {
            Ok(true) => self.tell(InterfaceChange::Left(index)),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(index, "detaching from an interface: {error:#}");
                self.tell(InterfaceChange::Left(index));
            }
        }
    }

    /// The pipeline hears of the interface before its first packet can be counted, so that no
    /// flow of it is met without its name.
    async fn attach(&mut self, link: Link) {
        self.tell(InterfaceChange::Attached(Interface {
            lacks: self.attachments.lacks(link.index).map(Arc::from),
            ..link.announced()
        }));
        if self.attachments.contains(link.index) {
            return;
        }
        match self.attachments.attach(&link) {
            Ok(counting) => {
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
            Err(error) => {
                self.tell(InterfaceChange::Left(link.index));
                // Gone again before it was attached to: there is nothing to count.
                if self.links.one(link.index).await.is_some() {
                    self.metrics.attach_failed(1);
                    tracing::error!(interface = &*link.name, "not counted: {error:#}");
                }
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
            before_attach,
            lacks: counting.lacks.map(Arc::from),
            ..link.announced()
        }
    }

    fn show_interfaces(&self) {
        let counted = self.attachments.indices().len() as u64;
        self.metrics
            .set_interfaces(self.attachments.mode(), counted);
        self.show_hooks();
    }
}
