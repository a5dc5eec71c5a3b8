//! A node `node-1` in zone `a` with its account, and short words for what happens to it.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use zonemeter_model::{
    cluster::{Change, Kind, Name, Node, Object, Pod, Service, Workload},
    snapshot::{PodSeries, Reason, Scope, Snapshot, WorkloadSeries},
    traffic::{
        CgroupChange, Class, Count, Direction, Drain, Flow, HostDrain, HostFlow, Interface,
        InterfaceChange,
    },
};
use zonemeter_naming::Networks;

use crate::{Account, Settings};

/// Bytes of a packet in these tests.
pub(super) const PACKET_BYTES: u64 = 100;

/// An account, the time, and the start of the time.
pub(super) struct Scenario {
    pub(super) account: Account,
    start: Instant,
    wall: SystemTime,
    now: u64,
    drained: u64,
    epoch: u64,
    /// Interfaces that were attached.
    attached: BTreeSet<u32>,
}

impl Scenario {
    /// Nothing is known but the node's own name.
    pub(super) fn blank(settings: Settings) -> Self {
        Self {
            account: Account::new(settings),
            start: Instant::now(),
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            now: 0,
            drained: 0,
            epoch: 0,
            attached: BTreeSet::new(),
        }
    }

    /// Three nodes: `node-1` and `node-2` in zone `a`, `node-3` in zone `b`.
    pub(super) fn new(settings: Settings) -> Self {
        let mut scenario = Self::blank(settings);
        scenario.apply(node("node-1", "192.168.0.1", Some("a")));
        scenario.apply(node("node-2", "192.168.0.2", Some("a")));
        scenario.apply(node("node-3", "192.168.32.3", Some("b")));
        scenario
    }

    /// The next process goes on with what this one kept, and knows nothing else.
    pub(super) fn restarted(self, settings: Settings, same_boot: bool) -> Self {
        let snapshot = Arc::new(self.account.snapshot());
        let mut account = Account::new(settings);
        account.restore(&self.account.kept(snapshot), same_boot, self.instant());
        Self {
            account,
            attached: BTreeSet::new(),
            ..self
        }
    }

    pub(super) fn instant(&self) -> Instant {
        self.start + Duration::from_secs(self.now)
    }

    /// Time passes.
    pub(super) fn wait(&mut self, seconds: u64) {
        self.now += seconds;
    }

    pub(super) fn wall(&self) -> SystemTime {
        self.wall + Duration::from_secs(self.now)
    }

    pub(super) fn change(&mut self, change: Change) {
        let now = self.instant();
        self.account.apply(change, now);
    }

    pub(super) fn apply(&mut self, object: Object) {
        self.change(Change::Applied(object));
    }

    pub(super) fn delete(&mut self, kind: Kind, namespace: &str, name: &str) {
        self.change(Change::Deleted(kind, named(namespace, name)));
    }

    pub(super) fn networks(&mut self, text: &str) {
        let now = self.instant();
        self.account
            .set_networks(Networks::parse(text).unwrap(), now);
    }

    pub(super) fn attach(&mut self, index: u32, name: &str) {
        self.attach_into(index, name, None);
    }

    /// Counting begins on an interface whose other end is in this network namespace.
    pub(super) fn attach_into(&mut self, index: u32, name: &str, peer_namespace: Option<i32>) {
        let interface = Interface {
            index,
            name: name.into(),
            peer_namespace,
            before_attach: [Count::ZERO; 2],
            lacks: None,
        };
        let now = self.instant();
        self.attached.insert(index);
        self.account
            .interface(InterfaceChange::Attached(interface), now);
    }

    /// The node sends what is for `address` to the interface.
    pub(super) fn route(&mut self, index: u32, address: &str) {
        let now = self.instant();
        let change = InterfaceChange::Routed(index, ip(address));
        self.account.interface(change, now);
    }

    pub(super) fn unroute(&mut self, index: u32, address: &str) {
        let now = self.instant();
        let change = InterfaceChange::Unrouted(index, ip(address));
        self.account.interface(change, now);
    }

    /// How the pods behind the interfaces were found, by index, as of the last drain.
    pub(super) fn found_by(&mut self) -> Vec<(u32, &'static str)> {
        let recent = self.account.take_recent();
        let found = recent.interfaces.iter();
        let found = found.filter_map(|row| Some((row.index, row.pod.as_ref()?.1.name())));
        found.collect()
    }

    pub(super) fn leave(&mut self, index: u32) {
        let now = self.instant();
        self.account.interface(InterfaceChange::Left(index), now);
    }

    pub(super) fn detach(&mut self, index: u32) {
        let now = self.instant();
        self.account.interface(InterfaceChange::Gone(index), now);
    }

    /// A drain that ends after so many seconds brings these flows. The node routes to each
    /// interface the address that its pod sends from.
    pub(super) fn drain_after(&mut self, seconds: u64, flows: &[Flow]) -> Snapshot {
        for flow in flows {
            if !self.attached.contains(&flow.interface) {
                self.attach(flow.interface, "veth");
            }
            self.route(flow.interface, &flow.local.to_string());
        }
        self.drain_unrouted_after(seconds, flows)
    }

    /// The same with the routes that were told of, and no others.
    pub(super) fn drain_unrouted_after(&mut self, seconds: u64, flows: &[Flow]) -> Snapshot {
        self.now += seconds;
        let drain = self.drained(flows);
        self.add(&drain)
    }

    /// A drain from the last one until now.
    pub(super) fn drained(&mut self, flows: &[Flow]) -> Drain {
        self.epoch += 1;
        let from = self.start + Duration::from_secs(std::mem::replace(&mut self.drained, self.now));
        let mut seen = [Count::ZERO; 2];
        flows
            .iter()
            .for_each(|flow| seen[flow.direction as usize] += flow.count);
        Drain {
            instance: 0,
            epoch: self.epoch,
            from,
            until: self.instant(),
            flows: flows.to_vec(),
            seen,
            overflow: Vec::new(),
            unplaced: [Count::ZERO; 2],
            host: HostDrain::default(),
        }
    }

    /// A drain that ends after so many seconds brings these flows of the node itself, and so much
    /// that came in by an uplink for nobody.
    pub(super) fn drain_host_after(
        &mut self,
        seconds: u64,
        flows: &[HostFlow],
        for_nobody: u64,
    ) -> Snapshot {
        self.now += seconds;
        let mut drain = self.drained(&[]);
        let host = &mut drain.host;
        for one in flows {
            let class = match one.cgroup {
                0 => Class::Kernel,
                _ => Class::Host,
            };
            match one.flow.direction {
                Direction::Transmit => host.sent[class as usize] += one.flow.count,
                Direction::Receive => host.received_by_sockets += one.flow.count,
            }
        }
        host.received = host.received_by_sockets + of_packets(for_nobody);
        host.flows = flows.to_vec();
        self.add(&drain)
    }

    pub(super) fn cgroup(&mut self, id: u64, path: &str) {
        let now = self.instant();
        let present = CgroupChange::Present(id, path.into());
        self.account.cgroup(present, now);
    }

    pub(super) fn remove_cgroup(&mut self, id: u64) {
        let now = self.instant();
        self.account.cgroup(CgroupChange::Gone(id), now);
    }

    pub(super) fn add(&mut self, drain: &Drain) -> Snapshot {
        let wall = self.wall();
        self.account.add(drain, wall);
        let snapshot = self.account.snapshot();
        assert_conserved(&snapshot);
        snapshot
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        show_at_zero: false,
        ..Settings::new("node-1".into())
    }
}

pub(super) fn named(namespace: &str, name: &str) -> Name {
    Name {
        namespace: namespace.into(),
        name: name.into(),
    }
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn node(name: &str, address: &str, zone: Option<&str>) -> Object {
    Object::Node(Node {
        name: name.into(),
        addresses: vec![ip(address)],
        zone: zone.map(Into::into),
        zone_id: zone.map(|zone| format!("id-{zone}").into()),
        hybrid: false,
    })
}

pub(super) fn service(namespace: &str, name: &str, address: &str) -> Object {
    Object::Service(Service {
        name: named(namespace, name),
        addresses: vec![ip(address)],
    })
}

/// Pod `name-1` of Deployment `name` in namespace `shop`, with its uid made of name and node.
pub(super) fn pod(name: &str, on: &str, address: &str) -> Pod {
    Pod {
        name: named("shop", &format!("{name}-1")),
        uid: format!("{name} on {on}").into(),
        node: Some(on.into()),
        addresses: address.split(',').map(ip).collect(),
        host_network: false,
        finished: false,
        workload: Workload {
            kind: "Deployment".into(),
            name: name.into(),
        },
        source_nat: None,
    }
}

/// `packets` packets of [`PACKET_BYTES`] from the pod behind an interface.
pub(super) fn sent(interface: u32, local: &str, peer: &str, packets: u64) -> Flow {
    Flow {
        interface,
        direction: Direction::Transmit,
        local: ip(local),
        peer: ip(peer),
        protocol: 6,
        local_port: 0,
        peer_port: 80,
        other_ports: false,
        real_peer: None,
        count: of_packets(packets),
    }
}

pub(super) fn of_packets(packets: u64) -> Count {
    Count {
        bytes: packets * PACKET_BYTES,
        packets,
    }
}

/// The other direction.
pub(super) fn received(interface: u32, local: &str, peer: &str, packets: u64) -> Flow {
    Flow {
        direction: Direction::Receive,
        ..sent(interface, local, peer, packets)
    }
}

/// `pod scope peer_zone packets` of each pod series, directions added up.
pub(super) fn pod_lines(snapshot: &Snapshot) -> Vec<String> {
    let line = |series: &PodSeries| {
        let labels = &series.labels;
        let (pod, scope, zone) = (&labels.pod, labels.scope.name(), &labels.peer_zone);
        format!("{pod} {scope} {zone} {}", series.count.packets)
    };
    snapshot.pods.iter().map(line).collect()
}

/// `workload -> kind namespace/name packets` of each workload series.
pub(super) fn workload_lines(snapshot: &Snapshot) -> Vec<String> {
    let line = |series: &WorkloadSeries| {
        let labels = &series.labels;
        let Workload { kind, name } = &labels.peer_workload;
        let (from, namespace) = (&labels.workload.name, &labels.peer_namespace);
        format!(
            "{from} -> {kind} {namespace}/{name} {}",
            series.bytes / PACKET_BYTES
        )
    };
    snapshot.workloads.iter().map(line).collect()
}

pub(super) fn packets(counts: [Count; 2]) -> [u64; 2] {
    counts.map(|count| count.packets)
}

pub(super) fn unattributed(snapshot: &Snapshot, reason: Reason) -> [u64; 2] {
    let found = snapshot
        .unattributed
        .iter()
        .find(|(shown, _)| *shown == reason);
    packets(found.unwrap().1)
}

/// The contract's sum, for each direction, for bytes and packets.
pub(super) fn assert_conserved(snapshot: &Snapshot) {
    for direction in Direction::ALL {
        let of = |counts: &[Count; 2]| counts[direction as usize];
        let pods = snapshot
            .pods
            .iter()
            .filter(|series| series.labels.direction == direction);
        let sum = pods.map(|series| series.count).sum::<Count>()
            + snapshot
                .unattributed
                .iter()
                .map(|(_, counts)| of(counts))
                .sum()
            + of(&snapshot.pending)
            + of(&snapshot.retired);
        assert_eq!(sum, of(&snapshot.interface), "{direction:?}: {snapshot:#?}");
        let hosts = snapshot.hosts.iter();
        let hosts = hosts.filter(|series| series.labels.direction == direction);
        let sum = hosts.map(|series| series.count).sum::<Count>() + of(&snapshot.hosts_retired);
        let [_, _, host, kernel] = snapshot.uplinks[direction as usize];
        let expected = match direction {
            Direction::Transmit => host + kernel,
            Direction::Receive => host,
        };
        assert_eq!(sum, expected, "{direction:?}: {snapshot:#?}");
    }
}

/// The scope and the zone that a pod of `node-1` sees an address in.
pub(super) fn seen(scenario: &Scenario, address: &str) -> (Scope, String) {
    let explanation = scenario.account.explain(ip(address), scenario.instant());
    (explanation.scope, explanation.party.zone.to_string())
}
