//! The host family: the series of the node itself, and what passed its uplinks by class.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use zonemeter_model::{
    snapshot::{HostKind, HostLabels, HostParty, HostSeries, Snapshot},
    traffic::{Class, Count, HostDrain},
};
use zonemeter_naming::scope::{OTHER, other};

use super::{
    DrainTime, Series,
    ceiling::{Ceiling, is_other_workload},
    table::Table,
};
use crate::Detail;

/// All host series.
#[derive(Debug, Default)]
pub(crate) struct HostTotals {
    shown: Table<HostLabels, Series<Total>>,
    /// Label sets under their own names, by who on the node.
    of_party: HashMap<HostParty, usize>,
    uplinks: [[Count; Class::ALL.len()]; 2],
    received: Count,
    retired: [Count; 2],
}

/// What a series shows, and what of it this process counted.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    all: Count,
    own: Count,
}

impl HostTotals {
    /// Counts what passed the uplinks, by class. Whatever came in and nobody received is the
    /// kernel's; what is on its way is not, as all that is received is counted after it has come in.
    pub(crate) fn pass(&mut self, drain: &HostDrain) {
        let [transmit, receive] = &mut self.uplinks;
        for (total, sent) in transmit.iter_mut().zip(drain.sent) {
            *total += sent;
        }
        receive[Class::Pod as usize] += drain.received_by_pods;
        receive[Class::Relay as usize] += drain.sent[Class::Relay as usize];
        receive[Class::Host as usize] += drain.received_by_sockets;
        self.received += drain.received;
        let [pod, relay, host, kernel] = receive;
        let known = *pod + *relay + *host;
        kernel.bytes = kernel
            .bytes
            .max(self.received.bytes.saturating_sub(known.bytes));
        let packets = self.received.packets.saturating_sub(known.packets);
        kernel.packets = kernel.packets.max(packets);
    }

    /// Adds to a series; true where it went to one named `other` for want of room.
    pub(crate) fn add(
        &mut self,
        labels: HostLabels,
        count: Count,
        at: DrainTime,
        detail: Detail,
        ceiling: &mut Ceiling,
    ) -> bool {
        let labels = in_detail(labels, detail);
        let (labels, folded) = match self.shown.find(&labels).is_some() {
            true => (labels, false),
            false => self.admit(labels, ceiling),
        };
        let slot = self.shown.insert(labels, Series::new(at));
        if let Some(series) = self.shown.value_mut(slot) {
            series.total.all += count;
            series.total.own += count;
            series.fed = at.now;
        }
        folded
    }

    /// A new label set: as it is, where there is room, else its `other`.
    fn admit(&mut self, labels: HostLabels, ceiling: &mut Ceiling) -> (HostLabels, bool) {
        let is_other = is_other_workload(&labels.peer_workload);
        let has = self.of_party.get(&labels.party).copied().unwrap_or(0);
        if !is_other && ceiling.take_host(has) {
            self.of_party.insert(labels.party.clone(), has + 1);
            return (labels, false);
        }
        let mut folded = HostLabels {
            peer_namespace: Arc::default(),
            peer_workload: other(),
            ..labels
        };
        if self.shown.find(&folded).is_none() {
            if ceiling.is_at_last_resort() {
                folded.party = others(folded.party.kind);
            }
            if self.shown.find(&folded).is_none() {
                ceiling.take_other_host();
            }
        }
        (folded, !is_other)
    }

    /// Goes on with the totals of an earlier process.
    pub(crate) fn restore(&mut self, kept: &Snapshot, now: Instant, ceiling: &mut Ceiling) {
        self.uplinks = kept.uplinks;
        self.received = kept.uplink_received;
        self.retired = kept.hosts_retired;
        for HostSeries {
            labels,
            count,
            own: _,
            created,
        } in &kept.hosts
        {
            if is_other_workload(&labels.peer_workload) {
                ceiling.take_other_host();
            } else {
                ceiling.restore_host();
                *self.of_party.entry(labels.party.clone()).or_default() += 1;
            }
            let series = Series {
                total: Total {
                    all: *count,
                    own: Count::ZERO,
                },
                created: *created,
                fed: now,
            };
            self.shown.insert(labels.clone(), series);
        }
    }

    /// Takes out the series of those that are gone, once all of one are idle.
    pub(crate) fn retire(
        &mut self,
        idle: impl Fn(Instant) -> bool,
        living: &HashSet<HostParty>,
        ceiling: &mut Ceiling,
    ) {
        let gone = self.shown.take_groups(
            |labels| labels.party.clone(),
            |labels, series| idle(series.fed) && !lives(&labels.party, living),
        );
        for (labels, series) in gone {
            self.retired[labels.direction as usize] += series.total.all;
            if is_other_workload(&labels.peer_workload) {
                ceiling.give_back_other_host();
                continue;
            }
            ceiling.give_back_host();
            self.of_party.remove(&labels.party);
        }
    }

    /// As a scrape shows them.
    pub(crate) fn show(&self, snapshot: &mut Snapshot) {
        let series = self.shown.iter().map(|(labels, series)| HostSeries {
            labels: labels.clone(),
            count: series.total.all,
            own: series.total.own,
            created: series.created,
        });
        snapshot.hosts = series.collect();
        snapshot.uplinks = self.uplinks;
        snapshot.uplink_received = self.received;
        snapshot.hosts_retired = self.retired;
    }
}

/// What `--detail` leaves of the labels: without pods their names are one, without workloads peers
/// are, and without either who on the node it is.
fn in_detail(mut labels: HostLabels, detail: Detail) -> HostLabels {
    if !detail.pods && labels.party.kind == HostKind::Pod {
        labels.party.pod = OTHER.into();
    }
    if !detail.workloads {
        labels.peer_namespace = Arc::default();
        labels.peer_workload = other();
    }
    if !detail.pods && !detail.workloads {
        labels.party = others(labels.party.kind);
    }
    labels
}

/// All of one kind.
fn others(kind: HostKind) -> HostParty {
    HostParty {
        kind,
        namespace: OTHER.into(),
        pod: OTHER.into(),
        workload: other(),
    }
}

/// One that stands for many lives as long as any of them.
fn lives(party: &HostParty, living: &HashSet<HostParty>) -> bool {
    let is_of = |one: &HostParty| {
        (one.kind, &one.namespace, &one.workload) == (party.kind, &party.namespace, &party.workload)
    };
    is_other_workload(&party.workload)
        || living.contains(party)
        || &*party.pod == OTHER && living.iter().any(is_of)
}
