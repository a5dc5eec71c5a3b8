//! Puts together what several slots and entries say of one flow: each CPU that saw it has its own.

use std::{hash::Hash, net::IpAddr};

use foldhash::fast::RandomState;
use indexmap::{IndexMap, map};
use zonemeter_common::{
    FlowKey4, FlowKey6,
    table::{Entry, FAMILIES, Slot4, Slot6, kind, ports, split_ports},
};
use zonemeter_model::traffic::{Count, Direction, Flow};

/// What tells flows apart, but for the direction.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key<A> {
    interface: u32,
    protocol: u8,
    local: A,
    peer: A,
    ports: u32,
}

/// A flow so far.
struct Sum {
    counts: [Count; 2],
    first_ports: u32,
    others: bool,
}

/// Many at once: they lie in memory in the order in which they come, and only the small table beside
/// them is read at random. Its seed is random: pods choose addresses.
type Sums<A> = IndexMap<Key<A>, Sum, RandomState>;

/// The flows of one drain.
pub(super) struct Flows {
    ipv4: Sums<[u8; 4]>,
    ipv6: Sums<[u8; 16]>,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.others |= other.others;
        match (self.first_ports, other.first_ports) {
            (0, first_ports) => self.first_ports = first_ports,
            (first_ports, more) => self.others |= more != 0 && more != first_ports,
        }
    }
}

fn add<A: Eq + Hash>(flows: &mut Sums<A>, key: Key<A>, sum: Sum) {
    match flows.entry(key) {
        map::Entry::Occupied(mut known) => known.get_mut().add(&sum),
        map::Entry::Vacant(new) => drop(new.insert(sum)),
    }
}

fn in_one(direction: Direction, count: Count) -> [Count; 2] {
    let mut counts = [Count::ZERO; 2];
    counts[direction as usize] = count;
    counts
}

fn address(words: [u64; 2]) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (half, word) in bytes.chunks_exact_mut(8).zip(words) {
        half.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// `None` for a direction code that no program writes.
macro_rules! entry_of {
    ($key:ident, $entry:ident) => {
        Direction::from_code($key.direction).map(|direction| {
            let key = Key {
                interface: $key.interface,
                protocol: $key.protocol,
                local: $key.local,
                peer: $key.peer,
                ports: ports(
                    u16::from_be_bytes($key.local_port),
                    u16::from_be_bytes($key.peer_port),
                ),
            };
            let sum = Sum {
                counts: in_one(direction, $entry.count),
                first_ports: $entry.first_ports,
                others: $entry.others != 0,
            };
            (key, sum)
        })
    };
}

impl Flows {
    /// None yet; about so many will come, by family.
    pub(super) fn with_room([ipv4, ipv6]: [usize; FAMILIES]) -> Self {
        Self {
            ipv4: Sums::with_capacity_and_hasher(ipv4, RandomState::default()),
            ipv6: Sums::with_capacity_and_hasher(ipv6, RandomState::default()),
        }
    }

    pub(super) fn slot4(&mut self, slot: &Slot4) {
        let key = Key {
            interface: kind::interface(slot.kind),
            protocol: kind::protocol(slot.kind),
            local: (slot.ends as u32).to_ne_bytes(),
            peer: ((slot.ends >> 32) as u32).to_ne_bytes(),
            ports: slot.ports,
        };
        let sum = Sum {
            counts: slot.counts,
            first_ports: slot.first_ports,
            others: slot.kind & kind::OTHERS != 0,
        };
        add(&mut self.ipv4, key, sum);
    }

    pub(super) fn slot6(&mut self, slot: &Slot6) {
        let key = Key {
            interface: kind::interface(slot.kind),
            protocol: kind::protocol(slot.kind),
            local: address(slot.local),
            peer: address(slot.peer),
            ports: slot.ports,
        };
        let sum = Sum {
            counts: in_one(kind::direction(slot.kind), slot.count),
            first_ports: slot.first_ports,
            others: slot.kind & kind::OTHERS != 0,
        };
        add(&mut self.ipv6, key, sum);
    }

    pub(super) fn entry4(&mut self, key: &FlowKey4, entry: &Entry) {
        if let Some((key, sum)) = entry_of!(key, entry) {
            add(&mut self.ipv4, key, sum);
        }
    }

    pub(super) fn entry6(&mut self, key: &FlowKey6, entry: &Entry) {
        if let Some((key, sum)) = entry_of!(key, entry) {
            add(&mut self.ipv6, key, sum);
        }
    }

    /// One for each direction in which something was counted.
    pub(super) fn into_flows(self) -> Vec<Flow> {
        let mut flows = Vec::with_capacity(2 * (self.ipv4.len() + self.ipv6.len()));
        for (key, sum) in self.ipv4 {
            flows.extend(both(&key, &sum));
        }
        for (key, sum) in self.ipv6 {
            flows.extend(both(&key, &sum));
        }
        flows
    }
}

fn both<A: Copy + Into<IpAddr>>(key: &Key<A>, sum: &Sum) -> impl Iterator<Item = Flow> {
    let (local_port, peer_port) = split_ports(key.ports | sum.first_ports);
    Direction::ALL.into_iter().filter_map(move |direction| {
        let count = sum.counts[direction as usize];
        (!count.is_zero()).then(|| Flow {
            interface: key.interface,
            direction,
            local: key.local.into(),
            peer: key.peer.into(),
            protocol: key.protocol,
            local_port,
            peer_port,
            other_ports: sum.others,
            real_peer: None,
            count,
        })
    })
}
