//! A node whose drains are looked at.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::prices::Prices;
use zonemeter_model::{
    cluster::{Name, Workload},
    recent::{Party, Recent, ResolvedFlow},
    snapshot::{
        Covered, HostKind, HostLabels, HostParty, HostSeries, Scope, Snapshot, Via, WorkloadLabels,
        WorkloadSeries,
    },
    traffic::{Count, Direction},
};

use super::super::{answer::Pairs, history::History, request::Request, select::select};

const PRICES: &str = include_str!("../../../../../../deploy/prometheus/zonemeter.prices.yaml");
pub(super) const OUT: Direction = Direction::Transmit;
pub(super) const IN: Direction = Direction::Receive;

/// A node whose drains are looked at.
pub(super) struct Node {
    start: Instant,
    pub(super) history: History,
    snapshot: Snapshot,
    pub(super) recent: Recent,
    pub(super) hosts: Vec<HostSeries>,
    pub(super) prices: Option<Prices>,
}

/// Local workload, peer workload and its zone, scope.
pub(super) type Who = (&'static str, &'static str, &'static str, Scope);

pub(super) const DB: Who = ("client", "db", "us-east-2b", Scope::CrossZone);
pub(super) const WEB: Who = ("client", "", "", Scope::Internet);

impl Node {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            history: History::default(),
            snapshot: Snapshot::default(),
            recent: Recent::default(),
            hosts: Vec::new(),
            prices: Some(Prices::parse(PRICES).unwrap()),
        }
    }

    /// A drain ends so many seconds after the start; the series show these totals.
    pub(super) fn drain(
        &mut self,
        seconds: u64,
        series: &[(Who, Direction, u64, u64)],
    ) -> &mut Self {
        self.snapshot = Snapshot {
            covered: Some(Covered {
                since: self.start,
                until: self.start + Duration::from_secs(seconds),
                ended: wall(seconds),
            }),
            workloads: series.iter().map(one_series).collect(),
            hosts: self.hosts.clone(),
            own_unattributed: [count(seconds, 1), count(0, 0)],
            ..Snapshot::default()
        };
        self.history.note(&self.snapshot, &self.recent);
        self
    }

    pub(super) fn ask(&self, query: &str) -> Pairs {
        let pairs = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap();
                (name.to_owned(), value.to_owned())
            });
        let request = Request::new(pairs.collect()).unwrap();
        let now = self.snapshot.covered.unwrap().until + Duration::from_secs(2);
        select(
            &self.snapshot,
            &self.recent,
            &self.history,
            self.prices.as_ref(),
            &request,
            now,
        )
    }
}

pub(super) fn wall(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

pub(super) fn count(bytes: u64, packets: u64) -> Count {
    Count { bytes, packets }
}

pub(super) fn workload(name: &str) -> Workload {
    let kind = match name {
        "" => "",
        "rds" | "vpce/s3" | "s3" => "Network",
        _ => "Deployment",
    };
    Workload {
        kind: kind.into(),
        name: name.into(),
    }
}

pub(super) fn via(peer: &str) -> Via {
    match peer {
        "s3" => Via::Nat,
        _ => Via::Unset,
    }
}

pub(super) fn namespace(name: &str) -> Arc<str> {
    let is_pod = &*workload(name).kind == "Deployment";
    if is_pod { "shop" } else { "" }.into()
}

pub(super) fn one_series(
    (who, direction, bytes, packets): &(Who, Direction, u64, u64),
) -> WorkloadSeries {
    let (local, peer, peer_zone, scope) = *who;
    WorkloadSeries {
        labels: WorkloadLabels {
            namespace: namespace(local),
            workload: workload(local),
            zone: "us-east-2a".into(),
            direction: *direction,
            scope,
            peer_namespace: namespace(peer),
            peer_workload: workload(peer),
            peer_zone: peer_zone.into(),
            via: via(peer),
        },
        bytes: bytes + 1_000,
        own: count(*bytes, *packets),
        created: UNIX_EPOCH,
    }
}

/// A series of a unit, or without a name of the kernel, to the internet.
pub(super) fn host(unit: &str, direction: Direction, bytes: u64, packets: u64) -> HostSeries {
    let (kind, of) = match unit {
        "" => (HostKind::Kernel, ""),
        _ => (HostKind::Unit, "Unit"),
    };
    let named = |kind: &str, name: &str| Workload {
        kind: kind.into(),
        name: name.into(),
    };
    HostSeries {
        labels: HostLabels {
            party: HostParty {
                kind,
                namespace: "".into(),
                pod: "".into(),
                workload: named(of, unit),
            },
            zone: "us-east-2a".into(),
            direction,
            scope: Scope::Internet,
            peer_namespace: "".into(),
            peer_workload: named("", ""),
            peer_zone: "".into(),
            via: Via::Unset,
        },
        count: count(bytes + 1_000, packets),
        own: count(bytes, packets),
        created: UNIX_EPOCH,
    }
}

pub(super) fn flow(who: Who, pod: &str, peer: &str, service: Option<&str>) -> ResolvedFlow {
    let (local, name, zone, scope) = who;
    let party = |pod: &str, name: &str, zone: &str| {
        Arc::new(Party {
            namespace: namespace(name),
            pod: pod.into(),
            workload: workload(name),
            node: "".into(),
            zone: zone.into(),
        })
    };
    ResolvedFlow {
        interface: 1,
        direction: OUT,
        local: party(pod, local, "us-east-2a"),
        local_address: "10.0.1.1".parse().unwrap(),
        local_port: 0,
        peer: party("", name, zone),
        peer_address: peer.parse().unwrap(),
        peer_port: 443,
        other_ports: false,
        service: service.map(|name| Name {
            namespace: "shop".into(),
            name: name.into(),
        }),
        protocol: 6,
        scope,
        via: via(name),
        pending: false,
        count: count(1, 1),
    }
}
