//! The only way between the packages: drain → resolve → classify → add, and the changes that
//! names come from. One loop owns the maps and the account, so that every number of
//! a scrape comes from the same drain.

mod drains;
mod interfaces;
mod once;
mod state_store;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::{
    sync::{mpsc, watch},
    time::{Interval, MissedTickBehavior},
};
use zonemeter_account::Account;
use zonemeter_datapath::Kernel;
use zonemeter_inspect::debug::Question;
use zonemeter_metrics::SelfMetrics;
use zonemeter_model::{
    cluster::Change, condition::Conditions, interest::Interest, recent::Recent, snapshot::Snapshot,
    traffic::CgroupChange,
};
use zonemeter_naming::Networks;

pub use self::{
    drains::Progress,
    state_store::{StateStore, WriterThread},
};
use crate::{
    attacher::AttachEvent,
    cgroups::HostPods,
    readiness::{Guard, Pulse},
};

/// Changes taken from the feed at once, so that a long list does not hold up the rest.
const CHANGES_AT_ONCE: usize = 256;

/// How long flows are written down after somebody looked at them: for those who look again.
const LOOKED_AT: Duration = Duration::from_secs(60);

/// What the pipeline joins.
pub struct Pipeline {
    /// Counts.
    pub kernel: Kernel,
    /// What the loop that attaches did.
    pub attached: mpsc::UnboundedReceiver<AttachEvent>,
    /// What happened to the node's cgroups.
    pub cgroups: mpsc::UnboundedReceiver<CgroupChange>,
    /// Where the pods of the host's network are told.
    pub host_pods: watch::Sender<HostPods>,
    /// Names and adds up.
    pub account: Account,
    /// Keeps the totals over restarts.
    pub store: StateStore,
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
    /// Whether somebody looks at flows.
    pub watched: Interest,
    /// What the debug page asks the address book.
    pub questions: mpsc::Receiver<Question>,
    /// The agent's numbers about itself.
    pub metrics: SelfMetrics,
    /// Met once every veth that was there at the start has been tried and one drain is through.
    pub counting: Guard,
    /// Whether there is a Node object of this agent's name.
    pub own_node: Guard,
    /// Whether the pods of this node have interfaces that are counted.
    pub pods_counted: Guard,
    /// How often a drain begins.
    pub interval: Duration,
    /// Beats with every tick on which a drain began, or waits for the write of the one before.
    pub pulse: Pulse,
}

impl Pipeline {
    /// Runs until `stop` changes.
    ///
    /// # Errors
    /// None so far: what fails is tried again.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<()> {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if !self.wait_for_the_first_list(&mut stop).await {
            return Ok(());
        }
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
            Some(event) = self.attached.recv() => self.handle(event),
            Some(change) = self.cgroups.recv() => self.account.cgroup(change, Instant::now()),
            kept = self.store.written(), if self.progress.waits() => self.kept(kept),
            _ = ticks.tick() => self.drain(),
            Ok(()) = self.networks.changed() => {
                let networks = self.networks.borrow_and_update().clone();
                self.account.set_networks((*networks).clone(), Instant::now());
            }
            Some(Question { asked, answer }) = self.questions.recv() => {
                // Whoever asked may have gone.
                let _ = answer.send(self.account.answer(&asked, Instant::now()));
            }
            1.. = self.changes.recv_many(&mut changes, CHANGES_AT_ONCE) => {
                let now = Instant::now();
                let more = changes.len() == CHANGES_AT_ONCE;
                let listed = changes.iter().any(|change| matches!(change, Change::ListDone(_)));
                changes.into_iter().for_each(|change| self.account.apply(change, now));
                if !more {
                    self.translate_for_services();
                    self.tell_host_pods();
                }
                if listed {
                    self.show_conditions();
                }
            }
        }
        Ok(true)
    }

    /// Says whether cluster and interfaces fit together.
    fn show_conditions(&mut self) {
        let Conditions {
            own_node,
            pods_counted,
            uncounted_pods,
        } = self.account.conditions(Instant::now());
        self.metrics.set_uncounted_pods(uncounted_pods);
        self.own_node.report(own_node);
        self.pods_counted.report(pods_counted);
    }

    /// Says whose cgroups are to be linked.
    fn tell_host_pods(&mut self) {
        if let Some(host_pods) = self.account.changed_host_pods() {
            self.host_pods.send_replace(Arc::new(host_pods));
        }
    }

    /// Tells the programs which addresses are not their owners'.
    fn translate_for_services(&mut self) {
        if let Some(translated) = self.account.changed_translated() {
            self.kernel.set_translated(translated);
        }
    }
}
