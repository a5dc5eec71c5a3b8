//! What the account should say, found out the slow way: everything that ever happened is kept,
//! and each question is answered by going through it from the beginning. Time is in whole seconds.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each question looks for its own events in the log and passes over the others"
)]

use std::collections::BTreeMap;

use zonemeter_model::{
    snapshot::Scope,
    traffic::{Count, Direction},
};

/// Seconds that flows wait for a pod and for a peer, that a name stays given up, and that a
/// series of a gone pod is shown.
const WAIT_FOR_POD: u64 = 60;
const WAIT_FOR_PEER: u64 = 10;
const GIVEN_UP_FOR: u64 = 600;
const SHOWN_FOR: u64 = 300;

/// Something that happened. Pods are numbers: pod `n` has workload `w{n}`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Event {
    /// A pod of this node exists; finished or not.
    Local {
        pod: u32,
        finished: bool,
    },
    LocalGone {
        pod: u32,
    },
    /// A pod of another node has address number `address`.
    Remote {
        pod: u32,
        node: u32,
        address: u32,
    },
    RemoteGone {
        pod: u32,
    },
    /// Node 1 is this agent's.
    Zone {
        node: u32,
        zone: Option<&'static str>,
    },
    /// The veth of a local pod, by its name.
    Attached {
        interface: u32,
        pod: u32,
    },
}

/// A peer in the tests' small world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// One of the addresses that remote pods come and go at.
    Address(u32),
    /// A node's own address.
    Node(u32),
    /// A public address.
    Internet,
    /// In the one network of the file, which is peered.
    OnPrem,
    /// An instance service.
    Metadata,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) interface: u32,
    pub(super) direction: Direction,
    pub(super) peer: Place,
    pub(super) count: Count,
    pub(super) from: u64,
    pub(super) until: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Interface(u32),
    Address(u32),
}

/// Labels as plain words: pod or workload, own zone, direction, scope, peer, peer zone.
pub(super) type Labels = (String, String, Direction, Scope, String, String);

#[derive(Debug, Default)]
pub(super) struct Oracle {
    log: Vec<(u64, Event)>,
    waiting: Vec<Seen>,
    /// By what was awaited and for which interface.
    given_up: BTreeMap<(Name, u32), u64>,
    pub(super) pods: BTreeMap<Labels, (Count, u64)>,
    pub(super) workloads: BTreeMap<Labels, (u64, u64)>,
    pub(super) unknown_pod: [Count; 2],
    pub(super) retired: [Count; 2],
}

impl Oracle {
    pub(super) fn happened(&mut self, time: u64, event: Event) {
        if let Event::Remote { address, .. } = event {
            self.given_up
                .retain(|(name, _), _| *name != Name::Address(address));
        }
        self.log.push((time, event));
    }

    pub(super) fn pending(&self) -> [Count; 2] {
        let sum = |direction| {
            let flows = self
                .waiting
                .iter()
                .filter(|flow| flow.direction == direction);
            flows.map(|flow| flow.count).sum()
        };
        Direction::ALL.map(sum)
    }

    /// A drain ends now.
    pub(super) fn drained(&mut self, now: u64, flows: &[Seen]) {
        let mut undecided = std::mem::take(&mut self.waiting);
        undecided.extend(flows);
        for flow in undecided {
            self.decide(now, flow);
        }
        self.retire(now);
        self.given_up.retain(|_, since| now - *since < GIVEN_UP_FOR);
    }

    fn decide(&mut self, now: u64, flow: Seen) {
        let pod = self.pod_of(flow.interface);
        let peer = self.peer_of(now, flow);
        let missing = match (pod, flow.peer, &peer) {
            (None, _, _) => Some((Name::Interface(flow.interface), WAIT_FOR_POD)),
            (Some(_), Place::Address(address), None) => {
                Some((Name::Address(address), WAIT_FOR_PEER))
            }
            _ => None,
        };
        if let Some((name, patience)) = missing
            && !self.given_up.contains_key(&(name, flow.interface))
        {
            if now - flow.until < patience {
                return self.waiting.push(flow);
            }
            self.given_up.insert((name, flow.interface), now);
        }
        match pod {
            None => self.unknown_pod[flow.direction as usize] += flow.count,
            Some(pod) => self.count(now, pod, flow, peer),
        }
    }

    fn count(&mut self, now: u64, pod: u32, flow: Seen, peer: Option<(u32, u32)>) {
        let own_zone = self.zone(1);
        let (scope, peer_name, zone) = match (flow.peer, peer) {
            (Place::Address(_), Some((pod, node))) => (
                self.between(node),
                format!("Deployment shop/w{pod}"),
                self.zone(node),
            ),
            (Place::Address(_), None) => (Scope::Unknown, " /".to_owned(), None),
            (Place::Node(1), _) => (Scope::IntraNode, "Node /node-1".to_owned(), own_zone),
            (Place::Node(node), _) => (
                self.between(node),
                format!("Node /node-{node}"),
                self.zone(node),
            ),
            (Place::Internet, _) => (Scope::Internet, " /".to_owned(), None),
            (Place::OnPrem, _) => (Scope::Peered, "Network /on-prem".to_owned(), None),
            (Place::Metadata, _) => (Scope::LinkLocal, " /".to_owned(), None),
        };
        let words = |who, peer| {
            let [own, other] = [own_zone, zone].map(|zone| zone.unwrap_or_default().to_owned());
            (who, own, flow.direction, scope, peer, other)
        };
        let of_pod = self
            .pods
            .entry(words(format!("w{pod}-1"), String::new()))
            .or_default();
        of_pod.0 += flow.count;
        of_pod.1 = now;
        let of_workload = self
            .workloads
            .entry(words(format!("w{pod}"), peer_name))
            .or_default();
        of_workload.0 += flow.count.bytes;
        of_workload.1 = now;
    }

    fn between(&self, node: u32) -> Scope {
        match (self.zone(1), self.zone(node)) {
            (Some(own), Some(zone)) if own == zone => Scope::IntraZone,
            (Some(_), Some(_)) => Scope::CrossZone,
            _ => Scope::Vpc,
        }
    }

    /// A gone pod's series go together, when the last of them was fed long ago.
    fn retire(&mut self, now: u64) {
        for pod in (0..10).filter(|pod| !self.lives(*pod)).collect::<Vec<_>>() {
            let of_pod = |labels: &Labels| labels.0 == format!("w{pod}-1");
            let of_workload = |labels: &Labels| labels.0 == format!("w{pod}");
            let pods = self.pods.iter().filter(|(labels, _)| of_pod(labels));
            let Some(fed) = pods.map(|(_, (_, fed))| *fed).max() else {
                continue;
            };
            if now - fed < SHOWN_FOR {
                continue;
            }
            for (labels, (count, _)) in self.pods.extract_if(.., |labels, _| of_pod(labels)) {
                self.retired[labels.2 as usize] += count;
            }
            self.workloads.retain(|labels, _| !of_workload(labels));
        }
    }

    /// The last thing that was said of the pod is that it is there and has not finished.
    fn lives(&self, pod: u32) -> bool {
        let said = self.log.iter().rev().find_map(|(_, event)| match event {
            Event::Local { pod: of, finished } if *of == pod => Some(!finished),
            Event::LocalGone { pod: of } if *of == pod => Some(false),
            _ => None,
        });
        said.unwrap_or(false)
    }

    /// A veth is its pod's if the pod was there at the time of attach or has been since.
    fn pod_of(&self, interface: u32) -> Option<u32> {
        let (at, pod) = self
            .log
            .iter()
            .enumerate()
            .find_map(|(at, (_, event))| match event {
                Event::Attached { interface: of, pod } if *of == interface => Some((at, *pod)),
                _ => None,
            })?;
        let mut there = false;
        for (_, event) in &self.log[..at] {
            match event {
                Event::Local { pod: of, .. } if *of == pod => there = true,
                Event::LocalGone { pod: of } if *of == pod => there = false,
                _ => {}
            }
        }
        let came =
            |(_, event): &(u64, Event)| matches!(event, Event::Local { pod: of, .. } if *of == pod);
        (there || self.log[at..].iter().any(came)).then_some(pod)
    }

    /// The remote pod that had the address, and its node: the one with most of the interval's
    /// seconds in one go, the latest of equals; else the one that has it now.
    fn peer_of(&self, now: u64, flow: Seen) -> Option<(u32, u32)> {
        let Place::Address(address) = flow.peer else {
            return None;
        };
        let mut best: Option<(u64, usize)> = None;
        let mut run: Option<(u64, usize)> = None;
        // An interval without length is the moment that it lies in.
        for second in flow.from..flow.until.max(flow.from + 1) {
            let owner = self.owner_at(second, address);
            run = match (owner, run) {
                (Some(at), Some((length, same))) if at == same => Some((length + 1, at)),
                (Some(at), _) => Some((1, at)),
                (None, _) => None,
            };
            if run.is_some_and(|(length, _)| best.is_none_or(|(most, _)| length >= most)) {
                best = run;
            }
        }
        let at = best
            .map(|(_, at)| at)
            .or_else(|| self.owner_at(now, address))?;
        match self.log[at].1 {
            Event::Remote { pod, node, .. } => Some((pod, node)),
            _ => None,
        }
    }

    /// Where in the log the pod came that has the address at the end of what happened at `second`.
    fn owner_at(&self, second: u64, address: u32) -> Option<usize> {
        let mut owner: Option<(usize, u32)> = None;
        for (at, (time, event)) in self.log.iter().enumerate() {
            match event {
                _ if *time > second => break,
                Event::Remote {
                    pod, address: of, ..
                } if *of == address => owner = Some((at, *pod)),
                Event::Remote { pod, .. } | Event::RemoteGone { pod } => {
                    owner = owner.filter(|(_, owner)| owner != pod);
                }
                _ => {}
            }
        }
        owner.map(|(at, _)| at)
    }

    fn zone(&self, node: u32) -> Option<&'static str> {
        let said = self.log.iter().rev().find_map(|(_, event)| match event {
            Event::Zone { node: of, zone } if *of == node => Some(*zone),
            _ => None,
        });
        said.unwrap_or(None)
    }
}
