//! A flow that waits for a name, and what it waits for.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Instant,
};

use zonemeter_model::traffic::{BackendMethod, Count, Direction, Drain, Flow, Overflow};

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

/// The part of a flow that accounting needs, with the interval that it was counted in.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Index of the host-side veth.
    pub interface: u32,
    /// Seen from the pod.
    pub direction: Direction,
    /// The pod's address.
    pub local: IpAddr,
    /// The other end's own address: the backend's where the veth saw a Service.
    pub peer: IpAddr,
    /// The other end as the veth saw it.
    pub seen_peer: IpAddr,
    /// How conntrack named `peer`, where it did.
    pub method: Option<BackendMethod>,
    /// Bytes and packets.
    pub count: Count,
    /// When the interval began.
    pub from: Instant,
    /// When the interval ended: since then it may wait.
    pub until: Instant,
}

impl Held {
    /// A flow of a drain.
    pub fn new(flow: &Flow, drain: &Drain) -> Self {
        Self::within(flow, drain.from, drain.until)
    }

    /// A flow that was counted in this interval.
    pub fn within(flow: &Flow, from: Instant, until: Instant) -> Self {
        Self {
            interface: flow.interface,
            direction: flow.direction,
            local: flow.local,
            peer: flow.real_peer.map_or(flow.peer, |real| real.address),
            seen_peer: flow.peer,
            method: flow.real_peer.map(|real| real.method),
            count: flow.count,
            from,
            until,
        }
    }

    /// What found no room in the flow map. No end is told apart, which no flow on a wire can say
    /// of both its ends (RFC 1122, 3.2.1.3; RFC 4291, 2.5.2), so that it is kept over restarts
    /// like a flow.
    pub fn overflow(overflow: &Overflow, drain: &Drain) -> Self {
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
    pub fn is_overflow(&self) -> bool {
        self.local.is_unspecified() && self.peer.is_unspecified()
    }

    /// The same bytes, with no end told apart.
    pub fn without_detail(&self) -> Self {
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
