//! What is kept of the totals over restarts.

use std::{net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};

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

/// A flow whose names are still awaited, as it waits and as it is written: a direction as its code, a
/// method as its name. The time of its packets is not kept: the next process reads its addresses as
/// of its own start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct HeldFlow {
    /// Index of the host-side veth, for as long as the machine runs.
    pub interface: u32,
    /// Seen from the pod.
    #[serde(with = "direction")]
    pub direction: Direction,
    /// The pod's address.
    pub local: IpAddr,
    /// The other end's own address: the backend's where the veth saw a Service.
    pub peer: IpAddr,
    /// The other end as the veth saw it.
    pub seen_peer: IpAddr,
    /// How conntrack named `peer`, where it did.
    #[serde(with = "method")]
    pub method: Option<BackendMethod>,
    /// Bytes and packets.
    #[serde(with = "BytesAndPackets")]
    pub count: Count,
}

/// [`Count`] as it is written.
#[derive(Deserialize, Serialize)]
#[serde(remote = "Count")]
struct BytesAndPackets {
    bytes: u64,
    packets: u64,
}

mod direction {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::Direction;

    pub(super) fn serialize<S: Serializer>(
        direction: &Direction,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_u8(*direction as u8)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Direction, D::Error> {
        let code = u8::deserialize(from)?;
        Direction::from_code(code).ok_or_else(|| D::Error::custom(format!("the direction {code}")))
    }
}

mod method {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    use super::BackendMethod;

    pub(super) fn serialize<S: Serializer>(
        method: &Option<BackendMethod>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        method.map(BackendMethod::name).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<BackendMethod>, D::Error> {
        let Some(name) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        let mut all = BackendMethod::ALL.into_iter();
        let method = all.find(|method| method.name() == name);
        let unknown = || D::Error::custom(format!("{name:?}, which this version does not know"));
        method.map(Some).ok_or_else(unknown)
    }
}
