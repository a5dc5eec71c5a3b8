//! A flow with the time of its packets, and the name that it may wait for.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Instant,
};

use zonemeter_model::{
    kept::HeldFlow,
    traffic::{Drain, Flow, Overflow},
};

/// Both ends of what is not told apart.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A name that may yet become known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Awaited {
    /// The pod behind an interface.
    Pod(u32),
    /// This agent's own node.
    Node,
    /// The owner of an address.
    Peer(IpAddr),
}

/// What naming and accounting need of a flow, with the interval that it was counted in.
#[derive(Clone, Copy, Debug)]
pub struct TimedFlow {
    /// The flow.
    pub flow: HeldFlow,
    /// When the interval began.
    pub from: Instant,
    /// When the interval ended: since then it may wait.
    pub until: Instant,
}

impl TimedFlow {
    /// A flow of a drain.
    pub fn new(flow: &Flow, drain: &Drain) -> Self {
        Self::within(flow, drain.from, drain.until)
    }

    /// A flow that was counted in this interval.
    pub fn within(flow: &Flow, from: Instant, until: Instant) -> Self {
        Self {
            flow: HeldFlow {
                interface: flow.interface,
                direction: flow.direction,
                local: flow.local,
                peer: flow.real_peer.map_or(flow.peer, |real| real.address),
                seen_peer: flow.peer,
                method: flow.real_peer.map(|real| real.method),
                count: flow.count,
            },
            from,
            until,
        }
    }

    /// What found no room in the flow map. No end is told apart, which no flow on a wire can say
    /// of both its ends (RFC 1122, 3.2.1.3; RFC 4291, 2.5.2), so that it is kept over restarts
    /// like a flow.
    pub fn overflow(overflow: &Overflow, drain: &Drain) -> Self {
        let flow = HeldFlow {
            interface: overflow.interface,
            direction: overflow.direction,
            local: NOBODY,
            peer: NOBODY,
            seen_peer: NOBODY,
            method: None,
            count: overflow.count,
        };
        Self {
            flow,
            from: drain.from,
            until: drain.until,
        }
    }

    /// Neither end is told apart.
    pub fn is_overflow(&self) -> bool {
        self.flow.local.is_unspecified() && self.flow.peer.is_unspecified()
    }

    /// The same bytes, with no end told apart.
    pub fn without_detail(&self) -> Self {
        let flow = HeldFlow {
            local: NOBODY,
            peer: NOBODY,
            seen_peer: NOBODY,
            ..self.flow
        };
        Self { flow, ..*self }
    }
}
