//! Random histories: the account against the oracle, and against the contract's sums.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};
use zonemeter_model::{
    cluster::{Kind, Object, Pod},
    snapshot::{PodLabels, PodSeries, Reason, Snapshot, WorkloadLabels, WorkloadSeries},
    traffic::{Count, Direction, Flow},
};

use super::{
    oracle::{Event, Labels, Oracle, Place, Seen},
    scenario::*,
};
use crate::Settings;

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Happens(Event),
    Detach(u32),
    Drain(Vec<(u32, Direction, Place, u64)>),
}

const LOCAL_PODS: u32 = 3;
const ADDRESSES: u32 = 3;

fn event() -> impl Strategy<Value = Event> {
    let zone = prop_oneof![Just(Some("a")), Just(Some("b")), Just(None)];
    prop_oneof![
        4 => (0..LOCAL_PODS, prop::bool::weighted(0.2))
            .prop_map(|(pod, finished)| Event::Local { pod, finished }),
        2 => (0..LOCAL_PODS).prop_map(|pod| Event::LocalGone { pod }),
        4 => (3..6_u32, 1..4_u32, 0..ADDRESSES)
            .prop_map(|(pod, node, address)| Event::Remote { pod, node: node.max(2), address }),
        3 => (3..6_u32).prop_map(|pod| Event::RemoteGone { pod }),
        1 => (1..4_u32, zone).prop_map(|(node, zone)| Event::Zone { node, zone }),
        2 => (0..6_u32, 0..LOCAL_PODS)
            .prop_map(|(interface, pod)| Event::Attached { interface, pod }),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        5 => (0..ADDRESSES).prop_map(Place::Address),
        1 => (1..4_u32).prop_map(Place::Node),
        1 => Just(Place::Internet),
        1 => Just(Place::OnPrem),
        1 => Just(Place::Metadata),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let direction = prop_oneof![Just(Direction::Transmit), Just(Direction::Receive)];
    let flow = (0..6_u32, direction, place(), 1..1000_u64);
    prop_oneof![
        4 => (0..12_u64).prop_map(Step::Wait),
        1 => (0..400_u64).prop_map(Step::Wait),
        5 => event().prop_map(Step::Happens),
        1 => (0..6_u32).prop_map(Step::Detach),
        6 => vec(flow, 0..6).prop_map(Step::Drain),
    ]
}

/// The scenario and the oracle side by side.
struct History {
    scenario: Scenario,
    oracle: Oracle,
    time: u64,
    drained: u64,
    /// What holds, so that only possible events happen: interface to pod, pod to address.
    attached: BTreeMap<u32, u32>,
    claims: BTreeMap<u32, (u32, u32)>,
    locals: BTreeMap<u32, bool>,
    /// Interfaces whose last flows have come, and those whose last come with the next drain.
    silent: BTreeSet<u32>,
    leaving: BTreeSet<u32>,
}

impl History {
    fn new(settings: Settings) -> Self {
        let mut history = Self {
            scenario: Scenario::blank(settings),
            oracle: Oracle::default(),
            time: 0,
            drained: 0,
            attached: BTreeMap::new(),
            claims: BTreeMap::new(),
            locals: BTreeMap::new(),
            silent: BTreeSet::new(),
            leaving: BTreeSet::new(),
        };
        history
            .scenario
            .networks("networks:\n- { cidr: 10.8.0.0/16, scope: peered, name: on-prem }\n");
        for (node, zone) in [(1, "a"), (2, "a"), (3, "b")] {
            history.happens(Event::Zone {
                node,
                zone: Some(zone),
            });
        }
        history
    }

    /// Two pods with one address, a veth attached twice, a pod that is told of twice in the same
    /// words: no history has these; they have tests of their own.
    fn is_possible(&self, event: Event) -> bool {
        match event {
            Event::Local { pod, finished } => self.locals.get(&pod) != Some(&finished),
            Event::LocalGone { pod } => self.locals.contains_key(&pod),
            Event::Remote { pod, address, .. } => {
                !self.claims.contains_key(&pod)
                    && self.claims.values().all(|(claimed, _)| *claimed != address)
            }
            Event::RemoteGone { pod } => self.claims.contains_key(&pod),
            Event::Attached { interface, .. } => !self.attached.contains_key(&interface),
            Event::Zone { .. } => true,
        }
    }

    fn happens(&mut self, event: Event) {
        if !self.is_possible(event) {
            return;
        }
        self.oracle.happened(self.time, event);
        match event {
            Event::Local { pod, finished } => {
                self.locals.insert(pod, finished);
                let address = format!("192.168.1.{pod}");
                let pod = self::pod(&format!("w{pod}"), "node-1", &address);
                self.scenario.apply(Object::Pod(Pod { finished, ..pod }));
            }
            Event::LocalGone { pod } => {
                self.locals.remove(&pod);
                self.scenario
                    .delete(Kind::Pod, "shop", &format!("w{pod}-1"));
            }
            Event::Remote { pod, node, address } => {
                self.claims.insert(pod, (address, node));
                let pod = self::pod(
                    &format!("w{pod}"),
                    &format!("node-{node}"),
                    &remote(address),
                );
                self.scenario.apply(Object::Pod(pod));
            }
            Event::RemoteGone { pod } => {
                self.claims.remove(&pod);
                self.scenario
                    .delete(Kind::Pod, "shop", &format!("w{pod}-1"));
            }
            Event::Zone { node, zone } => {
                let address = format!("192.168.0.{node}");
                self.scenario.apply(super::scenario::node(
                    &format!("node-{node}"),
                    &address,
                    zone,
                ));
            }
            Event::Attached { interface, pod } => {
                self.attached.insert(interface, pod);
                self.scenario.attach(interface, VETHS[pod as usize]);
            }
        }
    }

    fn step(&mut self, step: &Step) -> Option<Snapshot> {
        match step {
            Step::Wait(seconds) => {
                self.time += seconds;
                self.scenario.wait(*seconds);
            }
            Step::Happens(event) => self.happens(*event),
            Step::Detach(interface) => {
                if self.attached.contains_key(interface) && self.leaving.insert(*interface) {
                    self.scenario.detach(*interface);
                }
            }
            Step::Drain(flows) => return Some(self.drain(flows)),
        }
        None
    }

    fn drain(&mut self, flows: &[(u32, Direction, Place, u64)]) -> Snapshot {
        let from = std::mem::replace(&mut self.drained, self.time);
        let (mut seen, mut drained) = (Vec::new(), Vec::new());
        let sends =
            |interface| self.attached.contains_key(interface) && !self.silent.contains(interface);
        let possible = flows.iter().filter(|(interface, ..)| sends(interface));
        for (interface, direction, peer, packets) in possible.copied() {
            let count = Count {
                bytes: packets * PACKET_BYTES,
                packets,
            };
            seen.push(Seen {
                interface,
                direction,
                peer,
                count,
                from,
                until: self.time,
            });
            let flow = sent(interface, "fe80::2", &address(peer), packets);
            drained.push(Flow { direction, ..flow });
        }
        self.silent.extend(&self.leaving);
        self.oracle.drained(self.time, &seen);
        self.scenario.drain_after(0, &drained)
    }

    fn assert_agrees(&self, snapshot: &Snapshot) {
        let pods: BTreeMap<Labels, Count> = snapshot
            .pods
            .iter()
            .map(|PodSeries { labels, count, .. }| (pod_words(labels), *count))
            .collect();
        let expected = self
            .oracle
            .pods
            .iter()
            .map(|(labels, (count, _))| (labels.clone(), *count));
        assert_eq!(pods, expected.collect());
        let workloads: BTreeMap<Labels, u64> = snapshot
            .workloads
            .iter()
            .map(|WorkloadSeries { labels, bytes, .. }| (workload_words(labels), *bytes))
            .collect();
        let expected = self
            .oracle
            .workloads
            .iter()
            .map(|(labels, (bytes, _))| (labels.clone(), *bytes));
        assert_eq!(workloads, expected.collect());
        assert_eq!(snapshot.pending, self.oracle.pending());
        assert_eq!(snapshot.retired, self.oracle.retired);
        assert_eq!(
            unattributed(snapshot, Reason::UnknownPod),
            packets(self.oracle.unknown_pod)
        );
    }
}

/// The veths of pods `shop.w0-1`, `shop.w1-1` and `shop.w2-1`, by `printf … | sha1sum`.
const VETHS: [&str; LOCAL_PODS as usize] = ["eni07a10230e2e", "eniea485c40a3f", "eni5574ba5ca8c"];

fn remote(address: u32) -> String {
    format!("192.168.2.{address}")
}

fn address(place: Place) -> String {
    match place {
        Place::Address(number) => remote(number),
        Place::Node(node) => format!("192.168.0.{node}"),
        Place::Internet => "8.8.8.8".to_owned(),
        Place::OnPrem => "10.8.1.1".to_owned(),
        Place::Metadata => "169.254.169.254".to_owned(),
    }
}

fn pod_words(labels: &PodLabels) -> Labels {
    let PodLabels {
        pod,
        zone,
        direction,
        scope,
        peer_zone,
        ..
    } = labels;
    (
        pod.to_string(),
        zone.to_string(),
        *direction,
        *scope,
        String::new(),
        peer_zone.to_string(),
    )
}

fn workload_words(labels: &WorkloadLabels) -> Labels {
    let WorkloadLabels {
        workload,
        zone,
        direction,
        scope,
        peer_zone,
        ..
    } = labels;
    let peer = &labels.peer_workload;
    let peer = format!("{} {}/{}", peer.kind, labels.peer_namespace, peer.name);
    (
        workload.name.to_string(),
        zone.to_string(),
        *direction,
        *scope,
        peer,
        peer_zone.to_string(),
    )
}

/// No series that is shown before and after has less after, and no total has.
fn assert_monotone(before: &Snapshot, after: &Snapshot) {
    for old in &before.pods {
        if let Some(new) = after
            .pods
            .iter()
            .find(|new| new.labels == old.labels && new.created == old.created)
        {
            assert!(new.count.bytes >= old.count.bytes && new.count.packets >= old.count.packets);
        }
    }
    for old in &before.workloads {
        if let Some(new) = after
            .workloads
            .iter()
            .find(|new| new.labels == old.labels && new.created == old.created)
        {
            assert!(new.bytes >= old.bytes);
        }
    }
    let totals = |snapshot: &Snapshot| {
        let unattributed = snapshot.unattributed.iter().flat_map(|(_, counts)| *counts);
        let all = snapshot
            .interface
            .into_iter()
            .chain(snapshot.retired)
            .chain(unattributed);
        all.flat_map(|count| [count.bytes, count.packets])
            .chain([snapshot.series_folded])
            .collect::<Vec<_>>()
    };
    assert!(
        totals(before)
            .iter()
            .zip(totals(after))
            .all(|(old, new)| *old <= new)
    );
}

fn assert_families_agree(snapshot: &Snapshot) {
    if snapshot.retired == [Count::ZERO; 2] && snapshot.series_folded == 0 {
        let pods: u64 = snapshot.pods.iter().map(|series| series.count.bytes).sum();
        let workloads: u64 = snapshot.workloads.iter().map(|series| series.bytes).sum();
        assert_eq!(pods, workloads);
    }
}

fn assert_sorted(snapshot: &Snapshot) {
    assert!(
        snapshot
            .pods
            .windows(2)
            .all(|pair| pair[0].labels < pair[1].labels)
    );
    assert!(
        snapshot
            .workloads
            .windows(2)
            .all(|pair| pair[0].labels < pair[1].labels)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_history_is_told_as_the_oracle_tells_it(steps in vec(step(), 1..80)) {
        let mut history = History::new(settings());
        let mut before = Snapshot::default();
        for step in &steps {
            let Some(snapshot) = history.step(step) else { continue };
            history.assert_agrees(&snapshot);
            assert_monotone(&before, &snapshot);
            assert_families_agree(&snapshot);
            assert_sorted(&snapshot);
            before = snapshot;
        }
    }

    /// Under a ceiling far too low every sum holds, and what is shown stays and never shrinks.
    #[test]
    fn sums_hold_under_any_ceiling(steps in vec(step(), 1..80), max_series in 0..40_usize) {
        let mut history = History::new(Settings { max_series, ..settings() });
        let mut before = Snapshot::default();
        for step in &steps {
            let Some(snapshot) = history.step(step) else { continue };
            assert_monotone(&before, &snapshot);
            assert_families_agree(&snapshot);
            assert_sorted(&snapshot);
            before = snapshot;
        }
    }
}
