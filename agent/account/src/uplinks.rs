//! What passed the uplinks, on its way into the account: to the classes, and by flow to the series of
//! the node itself.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use zonemeter_model::{
    snapshot::{HostLabels, HostParty},
    traffic::{CgroupChange, Count, Direction, Drain},
};
use zonemeter_naming::{
    egress::Exit,
    resolve::{Names, Peer},
    scope::Class,
};

use super::{
    Account,
    hosts::{self, WaitingDrain},
    ledger::DrainTime,
};

impl Account {
    /// Takes in that a cgroup of the node came or went.
    pub fn cgroup(&mut self, change: CgroupChange, now: Instant) {
        self.hosts.apply(change, now);
    }

    /// Uids of this node's pods of the host's network, if they have changed since this was asked
    /// last.
    pub fn changed_host_pods(&mut self) -> Option<BTreeSet<Arc<str>>> {
        Some(self.hosts.changed_host_pods()?.cloned().collect())
    }

    /// Adds what need not wait for a name, of this drain and of those before it.
    pub(super) fn add_uplinks(&mut self, drain: &Drain, at: DrainTime) {
        self.hosts.hold(drain.host.clone(), drain.from, drain.until);
        while let Some(ready) = self.hosts.ready(&self.names, at.now) {
            self.place_host(&ready, at);
        }
    }

    /// What passed the uplinks in one drain: to its classes, and by flow to its series.
    fn place_host(&mut self, ready: &WaitingDrain, at: DrainTime) {
        let missing = ready.missing();
        self.ledger.pass(&ready.drain, missing == [Count::ZERO; 2]);
        for flow in &ready.drain.flows {
            let peer = ready.peer(&self.names, flow);
            let exit = self.names.exit(&ready.held(flow), peer);
            let known = self.classes.classify(&self.names, peer, exit);
            let class = self.classes.get(known.class);
            let party = self.hosts.party(flow.cgroup);
            let labels = host_labels(&self.names, party, flow.flow.direction, class);
            self.ledger.add_host(labels, flow.flow.count, at);
        }
        for direction in Direction::ALL {
            let count = ready.drain.unplaced[direction as usize] + missing[direction as usize];
            let class = Class::of(&self.names, Peer::Other, Exit::default());
            let labels = host_labels(&self.names, hosts::unknown(), direction, &class);
            self.ledger.add_host(labels, count, at);
        }
    }
}

/// The label set that a flow of the node itself is added to.
fn host_labels(names: &Names, party: HostParty, direction: Direction, class: &Class) -> HostLabels {
    let Class {
        scope,
        peer_zone,
        via,
        peer_namespace,
        peer_workload,
    } = class.clone();
    HostLabels {
        party,
        zone: names.home_zone().cloned().unwrap_or_default(),
        direction,
        scope,
        peer_namespace,
        peer_workload,
        peer_zone,
        via,
    }
}
