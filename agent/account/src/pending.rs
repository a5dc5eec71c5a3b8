//! Flows held back because a name is still awaited.
//!
//! The packets are often earlier than the API's event. So a flow waits
//!
//! - for the pod behind its veth, and for this node's own zone, up to [`Timeouts::pod`] after the
//!   drain that brought it;
//! - for the owner of a peer address that may be a pod's, up to [`Timeouts::peer`].
//!
//! What was given up is not waited for again within [`GIVEN_UP_FOR`] unless it becomes known: of an
//! interface, everything held is given up with its oldest flow, and later flows are not held at
//! all. Memory is bounded, and no interface takes another's places:
//!
//! - Flows that wait for their own pod (or for this node) have places of their own. Of an interface
//!   that holds [`MOST_OF_INTERFACE`] of them, or once all hold [`MOST_FLOWS`], further ones wait
//!   added up for each direction: their bytes still go to the pod, without their peers.
//! - An address is given up for the interface that waited for it: others still wait for its owner.
//! - Flows that wait for a peer, and addresses given up, share [`MOST_FOR_PEERS`] places. An
//!   interface gets another one while it has fewer than are free: alone it can have half, and an
//!   interface that has none always finds one. A flow that gets none is counted by what is known.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use zonemeter_model::{
    kept::HeldFlow,
    traffic::{Count, Direction},
};
use zonemeter_naming::held::{Awaited, TimedFlow};

/// How long a name that was waited for in vain is not waited for again.
pub(crate) const GIVEN_UP_FOR: Duration = Duration::from_secs(600);
/// Flows at most that wait for the pods behind interfaces in detail; each takes 120 bytes.
const MOST_FLOWS: usize = 65_536;
/// The same for one interface.
pub(crate) const MOST_OF_INTERFACE: usize = 2_048;
/// Flows that wait for a peer, and addresses given up, at most.
pub(crate) const MOST_FOR_PEERS: usize = 32_768;

/// How long flows wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// For the pod behind an interface, and for this node's own zone.
    pub(crate) pod: Duration,
    /// For the owner of a peer address.
    pub(crate) peer: Duration,
}

/// What waits, and what is no longer waited for.
#[derive(Debug)]
pub(crate) struct Pending {
    timeouts: Timeouts,
    flows: Vec<TimedFlow>,
    /// What waits for the pods behind interfaces without its detail, by interface and direction.
    added_up: BTreeMap<(u32, Direction), TimedFlow>,
    /// By what was awaited: for which interfaces, and since when.
    given_up: HashMap<Awaited, Vec<(u32, Instant)>>,
    own: HeldByInterface,
    peers: HeldByInterface,
}

/// Held flows, by interface.
#[derive(Debug, Default)]
struct HeldByInterface {
    taken: usize,
    by_interface: HashMap<u32, usize>,
}

impl HeldByInterface {
    fn take(&mut self, interface: u32) {
        self.taken += 1;
        *self.by_interface.entry(interface).or_default() += 1;
    }

    fn of(&self, interface: u32) -> usize {
        self.by_interface.get(&interface).copied().unwrap_or(0)
    }
}

impl Pending {
    /// Nothing waits yet.
    pub(crate) fn new(timeouts: Timeouts) -> Self {
        Self {
            timeouts,
            flows: Vec::new(),
            added_up: BTreeMap::new(),
            given_up: HashMap::new(),
            own: HeldByInterface::default(),
            peers: HeldByInterface::default(),
        }
    }

    /// Holds back what an earlier process held back. It waits as if it had come now: the names are
    /// read anew, too.
    pub(crate) fn restore(&mut self, flow: &HeldFlow, now: Instant) {
        let held = TimedFlow {
            flow: *flow,
            from: now,
            until: now,
        };
        match held.is_overflow() {
            true => self.add_up(&held),
            false => self.flows.push(held),
        }
    }

    /// All held flows, for the next process.
    pub(crate) fn kept(&self) -> Vec<HeldFlow> {
        self.all().map(|held| held.flow).collect()
    }

    fn all(&self) -> impl Iterator<Item = &TimedFlow> {
        self.added_up.values().chain(&self.flows)
    }

    /// All held flows, for another try.
    pub(crate) fn take(&mut self) -> Vec<TimedFlow> {
        self.own = HeldByInterface::default();
        self.peers = HeldByInterface::default();
        for (awaited, given_up) in &self.given_up {
            if let Awaited::Peer(_) = awaited {
                let interfaces = given_up.iter().map(|(interface, _)| *interface);
                interfaces.for_each(|interface| self.peers.take(interface));
            }
        }
        let mut flows: Vec<TimedFlow> = std::mem::take(&mut self.added_up).into_values().collect();
        flows.append(&mut self.flows);
        flows
    }

    /// Holds the flow back. False where it has waited long enough or the wait is not worth it:
    /// the flow is to be counted by what is known.
    pub(crate) fn hold(&mut self, flow: &TimedFlow, awaited: Awaited, now: Instant) -> bool {
        if self.has_given_up(awaited, flow.flow.interface) {
            return false;
        }
        let waited = now.saturating_duration_since(flow.until);
        match awaited {
            Awaited::Pod(_) | Awaited::Node if waited < self.timeouts.pod => {
                self.hold_for_own(flow);
                true
            }
            Awaited::Peer(_) if !self.has_place_for_peer(flow.flow.interface) => false,
            Awaited::Peer(_) if waited < self.timeouts.peer => {
                self.peers.take(flow.flow.interface);
                self.flows.push(*flow);
                true
            }
            Awaited::Pod(_) | Awaited::Node => {
                self.give_up(awaited, flow.flow.interface, now);
                false
            }
            Awaited::Peer(_) => {
                self.peers.take(flow.flow.interface);
                self.give_up(awaited, flow.flow.interface, now);
                false
            }
        }
    }

    fn give_up(&mut self, awaited: Awaited, interface: u32, now: Instant) {
        let given_up = self.given_up.entry(awaited).or_default();
        given_up.push((interface, now));
    }

    /// This node's own zone lacks for all interfaces at once.
    fn has_given_up(&self, awaited: Awaited, interface: u32) -> bool {
        self.given_up.get(&awaited).is_some_and(|given_up| {
            let for_this = |(other, _): &(u32, Instant)| *other == interface;
            awaited == Awaited::Node || given_up.iter().any(for_this)
        })
    }

    /// In detail while there are places; added up otherwise.
    fn hold_for_own(&mut self, flow: &TimedFlow) {
        let has_place =
            self.own.taken < MOST_FLOWS && self.own.of(flow.flow.interface) < MOST_OF_INTERFACE;
        if has_place && !flow.is_overflow() {
            self.own.take(flow.flow.interface);
            self.flows.push(*flow);
            return;
        }
        self.add_up(flow);
    }

    fn add_up(&mut self, flow: &TimedFlow) {
        let key = (flow.flow.interface, flow.flow.direction);
        match self.added_up.get_mut(&key) {
            Some(held) => held.flow.count += flow.flow.count,
            None => {
                self.added_up.insert(key, flow.without_detail());
            }
        }
    }

    /// True while the interface has fewer places than are free.
    fn has_place_for_peer(&self, interface: u32) -> bool {
        self.peers.of(interface) < MOST_FOR_PEERS.saturating_sub(self.peers.taken)
    }

    /// The name has become known: should it be lost again, it may be waited for again.
    pub(crate) fn known(&mut self, awaited: Awaited) {
        self.given_up.remove(&awaited);
    }

    /// True while a flow of the interface is held.
    pub(crate) fn holds(&self, interface: u32) -> bool {
        self.all().any(|flow| flow.flow.interface == interface)
    }

    /// Where the oldest interval of a held flow begins.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.all().map(|flow| flow.from).min()
    }

    /// What is held, by [`Direction`] code.
    pub(crate) fn totals(&self) -> [Count; 2] {
        let mut totals = [Count::ZERO; 2];
        for flow in self.all() {
            totals[flow.flow.direction as usize] += flow.flow.count;
        }
        totals
    }

    /// Forgets what was given up long ago.
    pub(crate) fn prune(&mut self, now: Instant) {
        self.given_up.retain(|_, given_up| {
            given_up.retain(|(_, since)| now.saturating_duration_since(*since) < GIVEN_UP_FOR);
            !given_up.is_empty()
        });
    }
}
