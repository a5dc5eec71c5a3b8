//! What the next process needs to go on from here, and going on from it.

use std::{sync::Arc, time::Instant};

use zonemeter_model::{
    kept::Kept,
    snapshot::{Reason, Snapshot},
};

use super::{Account, drains::Drains};

/// No cgroup has this id: after a restart of the machine they have others.
const NO_CGROUP: u64 = u64::MAX;

impl Account {
    /// Goes on with what an earlier process kept. Ask once, before anything else. `same_boot`: the
    /// machine has run since; else interfaces have other numbers now, and what was held back for
    /// the pod behind one will find none.
    pub fn restore(&mut self, kept: &Kept, same_boot: bool, now: Instant) {
        let Snapshot {
            before_attach,
            backends,
            ..
        } = *kept.snapshot;
        self.drains = Drains::after(kept.drained.clone());
        self.ledger.restore(&kept.snapshot, now);
        self.backends.restore(backends);
        self.names.interfaces.restore_before_attach(before_attach);
        let mut held_host = (*kept.held_host).clone();
        let flows = held_host.flows.iter_mut().filter(|flow| flow.cgroup != 0);
        for flow in flows.filter(|_| !same_boot) {
            flow.cgroup = NO_CGROUP;
        }
        self.hosts.hold(held_host, now, now);
        self.pods_awaited = true;
        for flow in &kept.held {
            match same_boot {
                true => self.pending.restore(flow, now),
                false => {
                    let (reason, direction) = (Reason::UnknownPod, flow.direction);
                    self.ledger.add_unattributed(reason, direction, flow.count);
                }
            }
        }
    }

    /// What the next process needs to go on from here. `snapshot` is the present one.
    pub fn kept(&self, snapshot: Arc<Snapshot>) -> Kept {
        Kept {
            drained: self.drains.last().to_vec(),
            snapshot,
            held: self.pending.kept(),
            held_host: Box::new(self.hosts.kept()),
        }
    }
}
