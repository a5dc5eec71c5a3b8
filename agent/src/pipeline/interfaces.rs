//! What the loop that attaches did, on its way into the account.

use std::time::{Instant, SystemTime};

use anyhow::Result;
use tokio::sync::{mpsc, watch};
use zonemeter_account::Account;
use zonemeter_datapath::Kernel;
use zonemeter_model::traffic::{CgroupChange, Drain, InterfaceChange};

use super::{
    Pipeline,
    once::{self, DrainInProgress, Source},
};
use crate::attacher::AttachEvent;

/// What of the events the kernel's maps are concerned with.
#[derive(Debug, Default)]
pub(super) struct KernelEvents {
    /// Interfaces that are gone.
    left: Vec<u32>,
    /// Every interface of a list was attached to.
    listed: bool,
}

impl KernelEvents {
    fn add(&mut self, event: AttachEvent, account: &mut Account) {
        match event {
            AttachEvent::Interface(change) => {
                if let InterfaceChange::Left(index) = change {
                    self.left.push(index);
                }
                account.interface(change, Instant::now());
            }
            AttachEvent::Listed => self.listed = true,
        }
    }
}

/// The kernel's maps, and what happened to interfaces until they were drained.
struct Drained<'a> {
    kernel: &'a mut Kernel,
    attached: &'a mut mpsc::UnboundedReceiver<AttachEvent>,
    cgroups: &'a mut mpsc::UnboundedReceiver<CgroupChange>,
    events: KernelEvents,
}

impl Source for Drained<'_> {
    fn drain(&mut self) -> Result<Drain> {
        self.kernel.drain()
    }

    fn introduce(&mut self, account: &mut Account) {
        while let Ok(event) = self.attached.try_recv() {
            self.events.add(event, account);
        }
        while let Ok(change) = self.cgroups.try_recv() {
            account.cgroup(change, Instant::now());
        }
    }

    fn clear(&mut self) -> Result<Vec<u32>> {
        self.kernel.clear()
    }
}

impl Pipeline {
    /// Takes in events until every interface that was there at the start was attached to; false
    /// when it is time to stop.
    pub(super) async fn wait_for_the_first_list(
        &mut self,
        stop: &mut watch::Receiver<bool>,
    ) -> bool {
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => return false,
                Some(event) = self.attached.recv() => {
                    self.pulse.beat();
                    let listed = event == AttachEvent::Listed;
                    self.handle(event);
                    if listed {
                        return true;
                    }
                }
            }
        }
    }

    /// Takes in one event.
    pub(super) fn handle(&mut self, event: AttachEvent) {
        let mut events = KernelEvents::default();
        events.add(event, &mut self.account);
        self.apply(events);
    }

    /// The first half of a drain, and what happened to interfaces until it ended.
    pub(super) fn begin(&mut self) -> (Result<DrainInProgress>, KernelEvents) {
        let mut source = Drained {
            kernel: &mut self.kernel,
            attached: &mut self.attached,
            cgroups: &mut self.cgroups,
            events: KernelEvents::default(),
        };
        let (account, store) = (&mut self.account, &mut self.store);
        let begun = once::begin(&mut source, account, store, SystemTime::now());
        (begun, source.events)
    }

    pub(super) fn apply(&mut self, events: KernelEvents) {
        for index in events.left {
            self.kernel.leave(index);
        }
        if events.listed {
            self.show_conditions();
        }
        if events.listed
            && let Err(error) = self.read_leftovers()
        {
            tracing::error!(
                "what an earlier agent with another --max-flows counted waits in its maps, the \
                 next agent tries again: {error:#}"
            );
        }
    }
}
