//! What the loop that attaches did, on its way into the account.

use std::time::{Instant, SystemTime};

use anyhow::Result;
use tokio::sync::{mpsc, watch};
use zonemeter_account::Account;
use zonemeter_datapath::Kernel;
use zonemeter_model::traffic::{CgroupChange, Drain, InterfaceChange};

use super::{
    Pipeline,
    once::{self, Source, Underway},
};
use crate::attacher::AttachEvent;

/// What of the events the kernel's maps are concerned with.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Interfaces that are gone.
    left: Vec<u32>,
    /// Every interface of a list was attached to.
    listed: bool,
}

impl Heard {
    fn take_in(&mut self, event: AttachEvent, account: &mut Account) {
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
    heard: Heard,
}

impl Source for Drained<'_> {
    fn drain(&mut self) -> Result<Drain> {
        self.kernel.drain()
    }

    fn introduce(&mut self, account: &mut Account) {
        while let Ok(event) = self.attached.try_recv() {
            self.heard.take_in(event, account);
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
                    self.hear(event);
                    if listed {
                        return true;
                    }
                }
            }
        }
    }

    /// Takes in one event.
    pub(super) fn hear(&mut self, event: AttachEvent) {
        let mut heard = Heard::default();
        heard.take_in(event, &mut self.account);
        self.heed(heard);
    }

    /// The first half of a drain, and what happened to interfaces until it ended.
    pub(super) fn begin(&mut self) -> (Result<Underway>, Heard) {
        let mut source = Drained {
            kernel: &mut self.kernel,
            attached: &mut self.attached,
            cgroups: &mut self.cgroups,
            heard: Heard::default(),
        };
        let (account, store) = (&mut self.account, &mut self.store);
        let begun = once::begin(&mut source, account, store, SystemTime::now());
        (begun, source.heard)
    }

    pub(super) fn heed(&mut self, heard: Heard) {
        for index in heard.left {
            self.kernel.leave(index);
        }
        if heard.listed {
            self.show_conditions();
        }
        if heard.listed
            && let Err(error) = self.salvage()
        {
            tracing::error!(
                "what an earlier agent with another --max-flows counted waits in its maps, the \
                 next agent tries again: {error:#}"
            );
        }
    }
}
