//! The pairs of a snapshot.

use std::{collections::HashMap, sync::Arc};

use zonemeter_model::{
    recent::ResolvedFlow,
    snapshot::{HostLabels, Scope, Snapshot, WorkloadLabels},
    traffic::{Count, Direction},
};

/// Bytes and packets by [`Direction`] code, seen from the local end.
pub(super) type Both = [Count; 2];

/// What tells a pair: the labels of its series, the direction aside. Of the host family those that
/// it shares with the workload family.
pub(super) type Key = WorkloadLabels;

/// What a pair has carried so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    /// Since this process began to count.
    pub(super) own: Both,
    /// Since the series began, restarts included, both directions.
    pub(super) bytes: u64,
    /// Of the node itself.
    pub(super) host: bool,
}

/// All pairs of a snapshot.
pub(super) fn totals(snapshot: &Snapshot) -> HashMap<Key, Total> {
    let series = snapshot.workloads.len() + snapshot.hosts.len();
    let mut totals: HashMap<Key, Total> = HashMap::with_capacity(series);
    for series in &snapshot.workloads {
        let total = totals.entry(key(&series.labels)).or_default();
        total.own[series.labels.direction as usize] += series.own;
        total.bytes += series.bytes;
    }
    for series in &snapshot.hosts {
        let total = totals.entry(key_of_host(&series.labels)).or_default();
        total.own[series.labels.direction as usize] += series.own;
        total.bytes += series.count.bytes;
        total.host = true;
    }
    let seen_twice: Vec<Key> = totals
        .keys()
        .filter(|key| listed_as(key, |mirror| totals.contains_key(mirror)).is_some())
        .cloned()
        .collect();
    for key in seen_twice {
        totals.remove(&key);
    }
    totals
}

/// The pair of a series.
pub(super) fn key(labels: &WorkloadLabels) -> Key {
    Key {
        direction: Direction::Transmit,
        ..labels.clone()
    }
}

/// The pair of a series of the node itself.
fn key_of_host(labels: &HostLabels) -> Key {
    Key {
        namespace: Arc::clone(&labels.party.namespace),
        workload: labels.party.as_end(),
        zone: Arc::clone(&labels.zone),
        direction: Direction::Transmit,
        scope: labels.scope,
        peer_namespace: Arc::clone(&labels.peer_namespace),
        peer_workload: labels.peer_workload.clone(),
        peer_zone: Arc::clone(&labels.peer_zone),
        via: labels.via,
    }
}

/// The pair that a flow belongs to.
pub(super) fn key_of_flow(flow: &ResolvedFlow) -> Key {
    let (local, peer) = (&flow.local, &flow.peer);
    Key {
        namespace: Arc::clone(&local.namespace),
        workload: local.workload.clone(),
        zone: Arc::clone(&local.zone),
        direction: Direction::Transmit,
        scope: flow.scope,
        peer_namespace: Arc::clone(&peer.namespace),
        peer_workload: peer.workload.clone(),
        peer_zone: Arc::clone(&peer.zone),
        via: flow.via,
    }
}

/// The pair by which this one is listed, where both ends are seen on this node and that is the
/// other end's: the same bytes.
pub(super) fn listed_as(key: &Key, exists: impl Fn(&Key) -> bool) -> Option<Key> {
    if key.scope != Scope::IntraNode {
        return None;
    }
    let mirror = Key {
        namespace: Arc::clone(&key.peer_namespace),
        workload: key.peer_workload.clone(),
        zone: Arc::clone(&key.peer_zone),
        peer_namespace: Arc::clone(&key.namespace),
        peer_workload: key.workload.clone(),
        peer_zone: Arc::clone(&key.zone),
        ..key.clone()
    };
    (mirror < *key && exists(&mirror)).then_some(mirror)
}
