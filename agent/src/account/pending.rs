//! Flows held back because a name is still awaited.
//!
//! The packets are often earlier than the API's event. So a flow waits
//!
//! - for the pod behind its veth, and for this node's own zone, up to [`Patience::pod`] after the
//!   drain that brought it;
//! - for the owner of a peer address that may be a pod's, up to [`Patience::peer`].
//!
//! What was given up is not waited for again within [`GIVEN_UP_FOR`] unless it becomes known: of an
//! interface, everything held is given up with its oldest flow, and later flows are not held at
//! all. Memory is bounded, and no interface takes another's places:
//!
//! - Flows that wait for their own pod (or for this node) have places of their own. Of an interface
//!   that holds [`MOST_OF_INTERFACE`] of them, or once all hold [`MOST_FLOWS`], further ones wait
//!   added up for each direction: their bytes still go to the pod, without their peers.
//! - Flows that wait for a peer, and addresses given up, share [`MOST_FOR_PEERS`] places. An
//!   interface gets another one while it has fewer than are free: alone it can have half, and an
//!   interface that has none always finds one. A flow that gets none is counted by what is known.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use crate::model::{
    kept::HeldFlow,
    traffic::{BackendMethod, Count, Direction, Drain, Flow, Overflow},
};

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
pub(crate) struct Patience {
    /// For the pod behind an interface, and for this node's own zone.
    pub(crate) pod: Duration,
    /// For the owner of a peer address.
    pub(crate) peer: Duration,
}

/// A name that may yet become known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Awaited {
    /// The pod behind an interface.
    Pod(u32),
    /// This agent's own node.
    Node,
    /// The owner of an address.
    Peer(IpAddr),
}

/// The part of a flow that accounting needs, with the interval that it was counted in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Index of the host-side veth.
    pub(crate) interface: u32,
    /// Seen from the pod.
    pub(crate) direction: Direction,
    /// The pod's address.
    pub(crate) local: IpAddr,
    /// The other end's own address: the backend's where the veth saw a Service.
    pub(crate) peer: IpAddr,
    /// The other end as the veth saw it.
    pub(crate) seen_peer: IpAddr,
    /// How conntrack named `peer`, where it did.
    pub(crate) method: Option<BackendMethod>,
    /// Bytes and packets.
    pub(crate) count: Count,
    /// When the interval began.
    pub(crate) from: Instant,
    /// When the interval ended: since then it may wait.
    pub(crate) until: Instant,
}

/// What waits, and what is no longer waited for.
#[derive(Debug)]
pub(crate) struct Pending {
    patience: Patience,
    flows: Vec<Held>,
    /// By what was awaited: since when, and for which interface.
    given_up: HashMap<Awaited, (Instant, u32)>,
    own: Places,
    peers: Places,
}

/// Places taken, by interface.
#[derive(Debug, Default)]
struct Places {
    taken: usize,
    by_interface: HashMap<u32, usize>,
}

impl Places {
    fn take(&mut self, interface: u32) {
        self.taken += 1;
        *self.by_interface.entry(interface).or_default() += 1;
    }

    fn of(&self, interface: u32) -> usize {
        self.by_interface.get(&interface).copied().unwrap_or(0)
    }
}

impl Held {
    /// A flow of a drain.
    pub(crate) fn new(flow: &Flow, drain: &Drain) -> Self {
        Self {
            interface: flow.interface,
            direction: flow.direction,
            local: flow.local,
            peer: flow.real_peer.map_or(flow.peer, |real| real.address),
            seen_peer: flow.peer,
            method: flow.real_peer.map(|real| real.method),
            count: flow.count,
            from: drain.from,
            until: drain.until,
        }
    }

    /// What found no room in the flow map. No end is told apart, which no flow on a wire can say
    /// of both its ends (RFC 1122, 3.2.1.3; RFC 4291, 2.5.2), so that it is kept over restarts
    /// like a flow.
    pub(crate) fn overflow(overflow: &Overflow, drain: &Drain) -> Self {
        let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            interface: overflow.interface,
            direction: overflow.direction,
            local: nobody,
            peer: nobody,
            seen_peer: nobody,
            method: None,
            count: overflow.count,
            from: drain.from,
            until: drain.until,
        }
    }

    /// Neither end is told apart.
    pub(crate) fn is_overflow(&self) -> bool {
        self.local.is_unspecified() && self.peer.is_unspecified()
    }

    fn without_detail(&self) -> Self {
        let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            local: nobody,
            peer: nobody,
            seen_peer: nobody,
            method: None,
            ..*self
        }
    }
}

impl Pending {
    /// Nothing waits yet.
    pub(crate) fn new(patience: Patience) -> Self {
        Self {
            patience,
            flows: Vec::new(),
            given_up: HashMap::new(),
            own: Places::default(),
            peers: Places::default(),
        }
    }

    /// Holds back what an earlier process held back. It waits as if it had come now: the names are
    /// read anew, too.
    pub(crate) fn restore(&mut self, flow: &HeldFlow, now: Instant) {
        self.flows.push(Held {
            interface: flow.interface,
            direction: flow.direction,
            local: flow.local,
            peer: flow.peer,
            seen_peer: flow.seen_peer,
            method: flow.method,
            count: flow.count,
            from: now,
            until: now,
        });
    }

    /// All held flows, oldest first, for the next process.
    pub(crate) fn kept(&self) -> Vec<HeldFlow> {
        let kept = |held: &Held| HeldFlow {
            interface: held.interface,
            direction: held.direction,
            local: held.local,
            peer: held.peer,
            seen_peer: held.seen_peer,
            method: held.method,
            count: held.count,
        };
        self.flows.iter().map(kept).collect()
    }

    /// All held flows, oldest first, for another try.
    pub(crate) fn take(&mut self) -> Vec<Held> {
        self.own = Places::default();
        self.peers = Places::default();
        for (awaited, (_, interface)) in &self.given_up {
            if let Awaited::Peer(_) = awaited {
                self.peers.take(*interface);
            }
        }
        std::mem::take(&mut self.flows)
    }

    /// Holds the flow back. False where it has waited long enough or the wait is not worth it:
    /// the flow is to be counted by what is known.
    pub(crate) fn hold(&mut self, flow: &Held, awaited: Awaited, now: Instant) -> bool {
        if self.given_up.contains_key(&awaited) {
            return false;
        }
        let waited = now.saturating_duration_since(flow.until);
        match awaited {
            Awaited::Pod(_) | Awaited::Node if waited < self.patience.pod => {
                self.hold_for_own(flow);
                true
            }
            Awaited::Peer(_) if !self.has_place_for_peer(flow.interface) => false,
            Awaited::Peer(_) if waited < self.patience.peer => {
                self.peers.take(flow.interface);
                self.flows.push(*flow);
                true
            }
            Awaited::Pod(_) | Awaited::Node => {
                self.given_up.insert(awaited, (now, flow.interface));
                false
            }
            Awaited::Peer(_) => {
                self.peers.take(flow.interface);
                self.given_up.insert(awaited, (now, flow.interface));
                false
            }
        }
    }

    /// In detail while there are places; added up otherwise.
    fn hold_for_own(&mut self, flow: &Held) {
        let has_place =
            self.own.taken < MOST_FLOWS && self.own.of(flow.interface) < MOST_OF_INTERFACE;
        if has_place && !flow.is_overflow() {
            self.own.take(flow.interface);
            self.flows.push(*flow);
            return;
        }
        let of_the_same = |held: &&mut Held| {
            held.is_overflow()
                && (held.interface, held.direction) == (flow.interface, flow.direction)
        };
        match self.flows.iter_mut().find(of_the_same) {
            Some(held) => held.count += flow.count,
            None => self.flows.push(flow.without_detail()),
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
        self.flows.iter().any(|flow| flow.interface == interface)
    }

    /// What is held, by [`Direction`] code.
    pub(crate) fn totals(&self) -> [Count; 2] {
        let mut totals = [Count::ZERO; 2];
        for flow in &self.flows {
            totals[flow.direction as usize] += flow.count;
        }
        totals
    }

    /// Forgets what was given up long ago.
    pub(crate) fn prune(&mut self, now: Instant) {
        self.given_up
            .retain(|_, (since, _)| now.saturating_duration_since(*since) < GIVEN_UP_FOR);
    }
}
