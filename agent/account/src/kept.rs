//! What the next process needs to go on from here, and going on from it.

use std::{sync::Arc, time::Instant};

use zonemeter_model::{
    kept::Kept,
    snapshot::{Reason, Snapshot},
};

use super::{Account, drains::Drains};

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
        }
    }
}
