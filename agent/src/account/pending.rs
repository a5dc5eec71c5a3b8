//! Flows held back because a name is still awaited.
//!
//! The packets are often earlier than the API's event. So a flow waits
//!
//! - for the pod behind its veth, and for this node's own zone, up to [`Patience::pod`] after the
//!   drain that brought it;
//! - for the owner of a peer address that may be a pod's, up to [`Patience::peer`].
//!
//! What was waited for in vain is not waited for again within [`GIVEN_UP_FOR`] unless it becomes
//! known: of an interface, everything held is given up with its oldest flow, and later flows are
//! not held at all. Memory is bounded: beyond [`MOST_FLOWS`] held flows and [`MOST_GIVEN_UP`]
//! names nothing more waits, and is counted by what is known.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::model::{
    kept::HeldFlow,
    traffic::{BackendMethod, Count, Direction, Drain, Flow},
};

/// How long a name that was waited for in vain is not waited for again.
pub(crate) const GIVEN_UP_FOR: Duration = Duration::from_secs(600);
/// Held flows at most; each takes 120 bytes.
const MOST_FLOWS: usize = 16_384;
/// Names given up at most.
const MOST_GIVEN_UP: usize = 16_384;

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
    given_up: HashMap<Awaited, Instant>,
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
}

impl Pending {
    /// Nothing waits yet.
    pub(crate) fn new(patience: Patience) -> Self {
        Self {
            patience,
            flows: Vec::new(),
            given_up: HashMap::new(),
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
        std::mem::take(&mut self.flows)
    }

    /// Holds the flow back. False where it has waited long enough or the wait is not worth it:
    /// the flow is to be counted by what is known.
    pub(crate) fn hold(&mut self, flow: &Held, awaited: Awaited, now: Instant) -> bool {
        if self.given_up.contains_key(&awaited) {
            return false;
        }
        if now.saturating_duration_since(flow.until) >= self.limit(awaited) {
            self.given_up.insert(awaited, now);
            return false;
        }
        let room = self.flows.len() < MOST_FLOWS && self.given_up.len() < MOST_GIVEN_UP;
        if room {
            self.flows.push(*flow);
        }
        room
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
            .retain(|_, since| now.saturating_duration_since(*since) < GIVEN_UP_FOR);
    }

    fn limit(&self, awaited: Awaited) -> Duration {
        match awaited {
            Awaited::Pod(_) | Awaited::Node => self.patience.pod,
            Awaited::Peer(_) => self.patience.peer,
        }
    }
}
