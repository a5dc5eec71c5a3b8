//! The loop that attaches, on a thread of its own: nothing slow elsewhere (a drain, a disk, conntrack
//! lookups, a grace period) keeps a new interface uncounted. What it does, it tells the
//! [`Pipeline`](crate::pipeline::Pipeline) in order, as [`AttachEvent`]s.

mod hooks;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};
use zonemeter_attach::{
    attachments::{Attachments, Counting, NotCounted, PinState},
    hooks::watch::Watch,
    links::{Link, LinkEvent, Links},
};
use zonemeter_datapath::object::Role;
use zonemeter_metrics::SelfMetrics;
use zonemeter_model::{
    condition::Status,
    traffic::{Count, Interface, InterfaceChange, Missed},
};

use crate::readiness::{Guard, Pulse};

pub(crate) use self::hooks::matches_none;

/// How often the loop looks after what no event tells, and shows that it turns.
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
    /// What interfaces had carried when attaching to them failed, by index and [`Direction`] code.
    ///
    /// [`Direction`]: zonemeter_model::traffic::Direction
    pub uncounted: HashMap<u32, [Count; 2]>,
    /// Says when somebody may have changed something on their hooks.
    pub hooks: Watch,
    /// Unbounded, because this loop must never wait for the pipeline: an event is small, and there
    /// are as many of them as interfaces and routes change while one drain runs.
    pub events: mpsc::UnboundedSender<AttachEvent>,
    /// The agent's numbers about itself.
    pub metrics: SelfMetrics,
    /// Lost while there are interfaces that are not counted, or not in both directions, or behind
    /// somebody who may hide packets.
    pub all_counted: Guard,
    /// Lost while counting would end with this process.
    pub pinned: Guard,
    /// How many uplinks are counted.
    pub uplinks: watch::Sender<usize>,
    /// Beats with every turn.
    pub pulse: Pulse,
}

impl Attacher {
    /// Runs until `stop` changes.
    ///
    /// # Errors
    /// When link messages can no longer be read: the process must end, it would miss pods. When
    /// another agent has taken the pin directory.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<()> {
        let mut turns = tokio::time::interval(TURN);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => return Ok(()),
                event = self.links.next() => self.follow(event?),
                disturbed = self.hooks.next() => self.look(disturbed?),
                _ = turns.tick() => self.tend()?,
            }
            self.pulse.beat();
        }
    }

    /// What no event tells: pins that went, pauses that are over.
    fn tend(&mut self) -> Result<()> {
        let status = match self.attachments.keep_pinned()? {
            PinState::Complete => Status::Holds,
            PinState::Repinned(count) => {
                tracing::warn!(
                    "--pin-dir: {count} maps and links were not there any more, and are again"
                );
                Status::Holds
            }
            PinState::Lost(why) => Status::InPart(format!(
                "counting goes on, and ends with this process: {why}"
            )),
        };
        self.pinned.report(status);
        let again = self.attachments.to_try_again(Instant::now());
        if again.is_empty() {
            return Ok(());
        }
        for link in again {
            self.attach(link);
        }
        self.show_interfaces();
        Ok(())
    }

    /// Attaches to what appeared, detaches from what is gone.
    fn follow(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Appeared(link) => self.attach(link),
            LinkEvent::Gone(index, carried) => self.gone(index, carried),
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
                for index in gone {
                    self.detach(index);
                }
                for link in links {
                    self.attach(link);
                }
                for route in routes {
                    self.tell(InterfaceChange::Routed(route.interface, route.address));
                }
                self.uncounted.retain(|index, _| present.contains(index));
                match self.attachments.forget_all_but(&present) {
                    Ok(failed) => self.metrics.attach_failed(failed),
                    Err(error) => tracing::warn!("what earlier agents left: {error:#}"),
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

    /// An interface ended; one that should have been counted and never was takes its bytes along.
    ///
    /// The last message no longer has what came from the pod: of a veth the kernel takes that from
    /// the other end, which has gone before (drivers/net/veth.c, `veth_dellink`). It is known as far
    /// as it was seen when attaching failed.
    fn gone(&mut self, index: u32, carried: Option<[Count; 2]>) {
        let seen = self.uncounted.remove(&index).unwrap_or_default();
        if !self.detach(index)
            && let Some(carried) = carried
        {
            let more = |(last, seen): (Count, Count)| last.bytes.max(seen.bytes);
            let bytes = carried.into_iter().zip(seen).map(more).sum();
            self.metrics.missed(Missed::NotAttached, bytes);
        }
    }

    /// True where it was attached to.
    fn detach(&mut self, index: u32) -> bool {
        let is_uplink = self.attachments.is_uplink(index);
        let attached = self.attachments.detach(index).unwrap_or_else(|error| {
            tracing::warn!(index, "detaching from an interface: {error:#}");
            true
        });
        if attached && !is_uplink {
            self.tell(InterfaceChange::Left(index));
        }
        attached
    }

    /// The pipeline hears of the interface before its first packet can be counted, so that no
    /// flow of it is met without its name.
    fn attach(&mut self, link: Link) {
        if link.role != Role::Pod {
            return self.attach_uplink(&link);
        }
        self.tell(InterfaceChange::Attached(Interface {
            lacks: self.attachments.lacks(link.index).map(Arc::from),
            ..link.announced()
        }));
        if self.attachments.contains(link.index) {
            return;
        }
        match self.attachments.attach(&link, Instant::now()) {
            Ok(counting) => self.attached(&link, counting),
            Err(error) => {
                self.tell(InterfaceChange::Left(link.index));
                self.not_attached(&link, &error);
            }
        }
    }

    /// The account needs to know nothing of it.
    fn attach_uplink(&mut self, link: &Link) {
        if self.attachments.contains(link.index) {
            return self.attachments.uplink_described(link);
        }
        match self.attachments.attach(link, Instant::now()) {
            Ok(counting) => {
                self.show_lack(&counting);
                tracing::info!(interface = &*link.name, index = link.index, role = ?link.role, "counting");
            }
            Err(error) => self.not_attached(link, &error),
        }
    }

    fn attached(&mut self, link: &Link, counting: Counting) {
        self.uncounted.remove(&link.index);
        self.show_lack(&counting);
        let Counting {
            before_attach,
            lacks,
        } = counting;
        let [transmit, receive] = before_attach.map(|count| count.bytes);
        tracing::info!(
            interface = &*link.name,
            index = link.index,
            before_attach = transmit + receive,
            "counting"
        );
        self.tell(InterfaceChange::Attached(Interface {
            before_attach,
            lacks: lacks.map(Arc::from),
            ..link.announced()
        }));
    }

    fn not_attached(&mut self, link: &Link, error: &NotCounted) {
        // Gone again before it was attached to: its end will be told.
        match self.links.one(link.index) {
            Ok(None) => return,
            Ok(Some(now)) => {
                self.uncounted.insert(link.index, now.carried);
            }
            Err(error) => tracing::warn!(interface = &*link.name, "its counters: {error}"),
        }
        self.metrics.attach_failed(1);
        if error.is_new {
            tracing::error!(
                interface = &*link.name,
                "not counted, and tried again after pauses of up to 30 s: {:#}",
                error.why
            );
        }
    }

    fn show_interfaces(&self) {
        let counted = self.attachments.count(Role::Pod) as u64;
        self.metrics
            .set_interfaces(self.attachments.mode(), counted);
        let uplinks = self.attachments.count(Role::Uplink);
        self.metrics.set_uplinks(uplinks as u64);
        self.uplinks
            .send_if_modified(|known| std::mem::replace(known, uplinks) != uplinks);
        self.show_hooks();
    }
}
