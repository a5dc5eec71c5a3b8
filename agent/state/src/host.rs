//! What of a step concerns the node itself. It stands behind the rest of the step: files of version 1
//! end before it.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{
    change::Changes,
    record::{
        Pair, Time, count, direction, named, pair, read_scope, scope_and_via, system_time, time,
        workload,
    },
};
use zonemeter_model::{
    kept::Kept,
    snapshot::{HostKind, HostLabels, HostParty, HostSeries, Snapshot},
    strings::Strings,
    traffic::{Flow, HostDrain, HostFlow},
};

/// What one drain changed of the node itself.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct HostStep<'a> {
    #[serde(borrow)]
    hosts: Changes<Host<'a>>,
    /// What waits; `None` where it is as before.
    held: Option<HeldHostFlows>,
    sums: HostSums,
}

/// A new series of the host family.
#[derive(Debug, Deserialize, Serialize)]
struct Host<'a> {
    kind: &'a str,
    namespace: &'a str,
    pod: &'a str,
    #[serde(borrow)]
    workload: (&'a str, &'a str),
    zone: &'a str,
    direction: u8,
    #[serde(borrow)]
    scope: Cow<'a, str>,
    peer_namespace: &'a str,
    #[serde(borrow)]
    peer_workload: (&'a str, &'a str),
    peer_zone: &'a str,
    count: Pair,
    created: Time,
}

/// Everything of the uplinks that has few numbers, in full.
#[derive(Debug, Deserialize, Serialize)]
struct HostSums {
    uplinks: [[Pair; 4]; 2],
    received: Pair,
    retired: [Pair; 2],
}

/// What passed the uplinks and is held back.
#[derive(Debug, Deserialize, Serialize)]
struct HeldHostFlows {
    flows: Vec<WaitingFlow>,
    sent: [Pair; 4],
    received: Pair,
    received_by_pods: Pair,
    received_by_sockets: Pair,
    unplaced: [Pair; 2],
}

/// A flow of it: cgroup, direction, both ends (the peer as it really is), count.
type WaitingFlow = (u64, u8, IpAddr, IpAddr, Pair);

impl<'a> HostStep<'a> {
    /// The way from `before` to `after`.
    pub(super) fn between(before: &Kept, after: &'a Kept) -> Self {
        let (old, new) = (&before.snapshot, &after.snapshot);
        let changed = before.held_host != after.held_host;
        Self {
            hosts: Changes::between(&old.hosts, &new.hosts, Host::of),
            held: changed.then(|| HeldHostFlows::of(&after.held_host)),
            sums: HostSums::of(new),
        }
    }

    /// Takes `kept` this way.
    ///
    /// # Errors
    /// When it does not begin there, or holds what this version does not know.
    pub(super) fn apply(self, kept: &mut Kept, texts: &mut Strings) -> Result<()> {
        let snapshot = Arc::make_mut(&mut kept.snapshot);
        let hosts = &mut snapshot.hosts;
        self.hosts.apply(hosts, |host| host.read(texts))?;
        self.sums.write_to(snapshot);
        if let Some(waits) = self.held {
            *kept.held_host = waits.read()?;
        }
        Ok(())
    }
}

impl<'a> Host<'a> {
    fn of(series: &'a HostSeries) -> Self {
        let labels = &series.labels;
        let HostParty {
            kind,
            namespace,
            pod,
            workload,
        } = &labels.party;
        Self {
            kind: kind.name(),
            namespace,
            pod,
            workload: (&workload.kind, &workload.name),
            zone: &labels.zone,
            direction: labels.direction as u8,
            scope: scope_and_via(labels.scope, labels.via),
            peer_namespace: &labels.peer_namespace,
            peer_workload: (&labels.peer_workload.kind, &labels.peer_workload.name),
            peer_zone: &labels.peer_zone,
            count: pair(series.count),
            created: time(series.created),
        }
    }

    fn read(self, texts: &mut Strings) -> Result<HostSeries> {
        let (scope, via) = read_scope(&self.scope)?;
        Ok(HostSeries {
            labels: HostLabels {
                party: HostParty {
                    kind: named(HostKind::ALL, HostKind::name, self.kind)?,
                    namespace: texts.get(self.namespace),
                    pod: texts.get(self.pod),
                    workload: workload(texts, self.workload),
                },
                zone: texts.get(self.zone),
                direction: direction(self.direction)?,
                scope,
                peer_namespace: texts.get(self.peer_namespace),
                peer_workload: workload(texts, self.peer_workload),
                peer_zone: texts.get(self.peer_zone),
                via,
            },
            count: count(self.count),
            own: zonemeter_model::traffic::Count::ZERO,
            created: system_time(self.created)?,
        })
    }
}

impl HostSums {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            uplinks: snapshot.uplinks.map(|classes| classes.map(pair)),
            received: pair(snapshot.uplink_received),
            retired: snapshot.hosts_retired.map(pair),
        }
    }

    fn write_to(self, snapshot: &mut Snapshot) {
        snapshot.uplinks = self.uplinks.map(|classes| classes.map(count));
        snapshot.uplink_received = count(self.received);
        snapshot.hosts_retired = self.retired.map(count);
    }
}

impl HeldHostFlows {
    fn of(held: &HostDrain) -> Self {
        let flow = |HostFlow { cgroup, flow }: &HostFlow| {
            let peer = flow.real_peer.map_or(flow.peer, |real| real.address);
            (
                *cgroup,
                flow.direction as u8,
                flow.local,
                peer,
                pair(flow.count),
            )
        };
        Self {
            flows: held.flows.iter().map(flow).collect(),
            sent: held.sent.map(pair),
            received: pair(held.received),
            received_by_pods: pair(held.received_by_pods),
            received_by_sockets: pair(held.received_by_sockets),
            unplaced: held.unplaced.map(pair),
        }
    }

    fn read(self) -> Result<HostDrain> {
        let flow = |(cgroup, way, local, peer, total): WaitingFlow| {
            Ok(HostFlow {
                cgroup,
                flow: Flow {
                    interface: 0,
                    direction: direction(way)?,
                    local,
                    peer,
                    protocol: 0,
                    local_port: 0,
                    peer_port: 0,
                    other_ports: false,
                    real_peer: None,
                    count: count(total),
                },
            })
        };
        Ok(HostDrain {
            flows: self.flows.into_iter().map(flow).collect::<Result<_>>()?,
            sent: self.sent.map(count),
            received: count(self.received),
            received_by_pods: count(self.received_by_pods),
            received_by_sockets: count(self.received_by_sockets),
            unplaced: self.unplaced.map(count),
        })
    }
}
