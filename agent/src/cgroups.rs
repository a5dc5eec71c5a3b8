//! The loop that follows the node's cgroups, on a thread of its own, and tells the
//! [`Pipeline`](crate::pipeline::Pipeline) who they are. It rests until there is an uplink: what
//! passes none has no need of it.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use anyhow::Result;
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};

use zonemeter_attach::cgroups::{Cgroups, Hierarchy, link::Linker};
use zonemeter_metrics::SelfMetrics;
use zonemeter_model::{condition::Status, traffic::CgroupChange};

use crate::readiness::{Guard, Pulse};

/// How often all of them are listed, whatever messages came.
const RELIST: Duration = Duration::from_secs(30);
/// Cgroups that `/readyz` names.
const NAMED: usize = 3;

/// Uids of this node's pods of the host's network.
pub type HostPods = Arc<BTreeSet<Arc<str>>>;

/// What the loop joins.
pub struct CgroupLoop {
    /// `--cgroup-dir`
    pub hierarchy: Hierarchy,
    /// Links the program.
    pub linker: Linker,
    /// How many uplinks are counted.
    pub uplinks: watch::Receiver<usize>,
    /// Pods whose cgroups are to be linked.
    pub host_pods: watch::Receiver<HostPods>,
    /// Unbounded, because messages of the kernel are lost where they are not taken: there are as
    /// many as cgroups change while one drain runs.
    pub changes: mpsc::UnboundedSender<CgroupChange>,
    /// The agent's numbers about itself.
    pub metrics: SelfMetrics,
    /// Whether the node's own sockets can be told apart.
    pub told_apart: Guard,
    /// Beats with every turn.
    pub pulse: Pulse,
}

impl CgroupLoop {
    /// Runs until `stop` changes.
    ///
    /// # Errors
    /// When cgroups cannot be watched.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<()> {
        self.told_apart.report(Status::Holds);
        let mut ticks = tokio::time::interval(RELIST);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while *self.uplinks.borrow_and_update() == 0 {
            tokio::select! {
                biased;
                _ = stop.changed() => return Ok(()),
                Ok(()) = self.uplinks.changed() => {}
                _ = ticks.tick() => self.pulse.beat(),
            }
        }
        let Some(root) = self.hierarchy.root().map(Path::to_owned) else {
            return self.rest(stop).await;
        };
        let mut cgroups = Cgroups::new(root, self.linker)?;
        ticks.reset_immediately();
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => return Ok(()),
                changes = cgroups.next() => tell(&self.changes, changes?),
                Ok(()) = self.host_pods.changed() => {
                    cgroups.set_host_pods(self.host_pods.borrow_and_update().clone());
                }
                Ok(()) = self.uplinks.changed() => {
                    cgroups.set_links(*self.uplinks.borrow_and_update() > 0);
                }
                _ = ticks.tick() => {
                    let changes = cgroups.list();
                    tell(&self.changes, changes);
                    cgroups.set_host_pods(self.host_pods.borrow_and_update().clone());
                    cgroups.set_links(*self.uplinks.borrow_and_update() > 0);
                }
            }
            self.told_apart.report(status(&cgroups));
            let linker = cgroups.linker();
            self.metrics
                .set_host_cgroups(linker.linked(), linker.failed().len());
            self.pulse.beat();
        }
    }

    /// There is nothing to follow.
    async fn rest(self, mut stop: watch::Receiver<bool>) -> Result<()> {
        self.told_apart
            .report(Status::InPart(legacy(&self.hierarchy)));
        let mut ticks = tokio::time::interval(RELIST);
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => return Ok(()),
                _ = ticks.tick() => self.pulse.beat(),
            }
        }
    }
}

fn tell(to: &mpsc::UnboundedSender<CgroupChange>, changes: Vec<CgroupChange>) {
    for change in changes {
        // Without a receiver the pipeline has ended, and the process is about to.
        let _ = to.send(change);
    }
}

/// What to say where there is no cgroup of version 2.
pub(crate) fn legacy(hierarchy: &Hierarchy) -> String {
    let directory = match hierarchy {
        Hierarchy::Unified(path) | Hierarchy::Hybrid(path) | Hierarchy::Legacy(path) => path,
    };
    format!(
        "--cgroup-dir: {} has no cgroup v2: what the node's own sockets send and receive is counted \
         without a name: boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1), and hand the \
         node's /sys/fs/cgroup to the container as a read-only hostPath volume",
        directory.display()
    )
}

fn status(cgroups: &Cgroups) -> Status {
    let failed = cgroups.linker().failed();
    let more = failed.len().saturating_sub(NAMED);
    let mut lines: Vec<&str> = failed.take(NAMED).collect();
    lines.extend(cgroups.unwatched());
    if lines.is_empty() {
        return Status::Holds;
    }
    let more = match more {
        0 => String::new(),
        _ => format!("; and {more} more"),
    };
    let lines = lines.join("; ");
    Status::InPart(format!(
        "what sockets of some cgroups receive is shown as the kernel's: {lines}{more}"
    ))
}
