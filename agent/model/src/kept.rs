//! What is kept of the totals over restarts.

use std::{net::IpAddr, sync::Arc};

use super::{
    snapshot::Snapshot,
    traffic::{BackendMethod, Count, Direction, HostDrain},
};

/// All totals as of one drain.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The last drain of each set of kernel maps that these totals hold, the latest at the end.
    pub drained: Vec<DrainId>,
    /// The totals. What a new process learns by itself (the zone, the cluster's objects) is not
    /// kept, and `pending` is the sum of `held`.
    pub snapshot: Arc<Snapshot>,
    /// Flows held back for a name, oldest first.
    pub held: Vec<HeldFlow>,
    /// What passed the uplinks and is held back, all together; without ports. Its cgroups keep their
    /// ids for as long as the machine runs.
    pub held_host: Box<HostDrain>,
}

/// One drain among all that ever were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainId {
    /// The set of kernel maps.
    pub instance: u64,
    /// The number of the drain within it; it goes up.
    pub epoch: u64,
}

/// A flow whose names are still awaited. The time of its packets is not kept: the next process
/// reads its addresses as of its own start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldFlow {
    /// Index of the host-side veth, for as long as the machine runs.
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
}
