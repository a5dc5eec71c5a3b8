//! A flow of one address family, in registers: how its slot of the [`crate::tables`] and its key of the
//! hash maps are made of it.

use core::hint::cold_path;

use aya_ebpf::maps::{Array, HashMap};
use zonemeter_common::{
    Count, Direction, FlowKey4, FlowKey6,
    conntrack::Address,
    hash::{finish, half},
    table::{Bucket, Entry, Slot4, Slot6, kind, ports, split_ports},
    wire::fold_ephemeral,
};

use crate::{
    maps::{
        FLOWS4_0, FLOWS4_1, FLOWS6_0, FLOWS6_1, INDEX4, INDEX6, TABLES4, TABLES6, TRACKED4_0,
        TRACKED4_1, TRACKED6_0, TRACKED6_1, TrackedFlows, constant, seed,
    },
    packet::{Address4, Address6},
};

/// Whose packet it is.
pub(crate) struct Flow<A> {
    pub(crate) interface: u32,
    pub(crate) protocol: u8,
    /// The pod's address.
    pub(crate) local: A,
    /// The other end's.
    pub(crate) peer: A,
    /// Ports that are a part of the key (`zonemeter_common::table::ports`).
    pub(crate) ports: u32,
    /// Ports of the packet.
    pub(crate) packet_ports: u32,
}

impl<A> Flow<A> {
    /// Ports that are noted beside the key.
    #[inline(always)]
    pub(crate) fn first_ports(&self) -> u32 {
        if self.ports != 0 {
            return 0;
        }
        let (local, peer) = split_ports(self.packet_ports);
        let (local, peer) = fold_ephemeral(local, peer, constant!(ephemeral_ports));
        ports(local, peer)
    }
}

/// The hash maps of a set for flows without a slot, and for connections.
pub(crate) type HashMaps<K> = (&'static HashMap<K, Entry>, &'static TrackedFlows<K>);

/// What differs by address family.
pub(crate) trait Family {
    type Address: Address;
    type Slot: 'static;
    type Key: 'static;
    /// As the tables' claims are told apart.
    const FAMILY: u32;
    /// A slot has no room for the last packet's ports, so that the first ports are asked for with each
    /// packet. They are worked out before the search then, where that keeps more registers free.
    const NEEDS_FIRST_PORTS: bool;

    /// The table, and its index.
    fn tables() -> (&'static Array<Self::Slot>, &'static Array<Bucket>);
    /// By set.
    fn hash_maps() -> [HashMaps<Self::Key>; 2];
    /// The key in the hash maps.
    fn key(&self, direction: Direction) -> Self::Key;

    /// By which the index finds it.
    fn hash(&self, direction: Direction) -> u32;
    /// True where the slot is this flow's.
    fn has(&self, slot: &Self::Slot, direction: Direction) -> bool;
    /// Takes an empty slot.
    fn begin(&self, slot: &mut Self::Slot, direction: Direction, first_ports: u32, count: Count);
    /// Notes the ports in its slot, and leads to what is counted in this direction.
    fn count<'a>(
        &self,
        slot: &'a mut Self::Slot,
        direction: Direction,
        first_ports: impl FnOnce() -> u32,
    ) -> &'a mut Count;
}

impl Family for Flow<Address4> {
    type Address = Address4;
    type Slot = Slot4;
    type Key = FlowKey4;
    const FAMILY: u32 = 0;
    const NEEDS_FIRST_PORTS: bool = false;

    #[inline(always)]
    fn tables() -> (&'static Array<Slot4>, &'static Array<Bucket>) {
        (&TABLES4, &INDEX4)
    }

    #[inline(always)]
    fn hash_maps() -> [HashMaps<FlowKey4>; 2] {
        [(&FLOWS4_0, &TRACKED4_0), (&FLOWS4_1, &TRACKED4_1)]
    }

    #[inline(always)]
    fn key(&self, direction: Direction) -> FlowKey4 {
        let (local_port, peer_port) = split_ports(self.ports);
        FlowKey4 {
            interface: self.interface,
            local: self.local.to_ne_bytes(),
            peer: self.peer.to_ne_bytes(),
            local_port: local_port.to_be_bytes(),
            peer_port: peer_port.to_be_bytes(),
            protocol: self.protocol,
            direction: direction as u8,
            pad: [0; 2],
        }
    }

    #[inline(always)]
    fn hash(&self, _: Direction) -> u32 {
        let kind = kind::of(self.interface, self.protocol);
        let halves = [
            half(ends(self.local, self.peer), seed(0)),
            half(with_ports(kind, self.ports), seed(1)),
        ];
        finish(halves, constant!(finish))
    }

    #[inline(always)]
    fn has(&self, slot: &Slot4, _: Direction) -> bool {
        slot.kind & !kind::OTHERS == kind::of(self.interface, self.protocol)
            && slot.ends == ends(self.local, self.peer)
            && slot.ports == self.ports
    }

    #[inline(always)]
    fn begin(&self, slot: &mut Slot4, direction: Direction, first_ports: u32, count: Count) {
        slot.kind = kind::of(self.interface, self.protocol);
        slot.ends = ends(self.local, self.peer);
        slot.ports = self.ports;
        slot.first_ports = first_ports;
        slot.last_ports = self.packet_ports;
        slot.counts[direction as usize] = count;
    }

    #[inline(always)]
    fn count<'a>(
        &self,
        slot: &'a mut Slot4,
        direction: Direction,
        first_ports: impl FnOnce() -> u32,
    ) -> &'a mut Count {
        if slot.last_ports != self.packet_ports {
            cold_path();
            slot.last_ports = self.packet_ports;
            keep_first_ports(&mut slot.kind, &mut slot.first_ports, first_ports());
        }
        &mut slot.counts[direction as usize]
    }
}

impl Family for Flow<Address6> {
    type Address = Address6;
    type Slot = Slot6;
    type Key = FlowKey6;
    const FAMILY: u32 = 1;
    const NEEDS_FIRST_PORTS: bool = true;

    #[inline(always)]
    fn tables() -> (&'static Array<Slot6>, &'static Array<Bucket>) {
        (&TABLES6, &INDEX6)
    }

    #[inline(always)]
    fn hash_maps() -> [HashMaps<FlowKey6>; 2] {
        [(&FLOWS6_0, &TRACKED6_0), (&FLOWS6_1, &TRACKED6_1)]
    }

    #[inline(always)]
    fn key(&self, direction: Direction) -> FlowKey6 {
        let (local_port, peer_port) = split_ports(self.ports);
        FlowKey6 {
            interface: self.interface,
            local: bytes(self.local),
            peer: bytes(self.peer),
            local_port: local_port.to_be_bytes(),
            peer_port: peer_port.to_be_bytes(),
            protocol: self.protocol,
            direction: direction as u8,
            pad: [0; 2],
        }
    }

    #[inline(always)]
    fn hash(&self, direction: Direction) -> u32 {
        let kind = kind::directed(self.interface, self.protocol, direction);
        let halves = [
            half(self.local[0], seed(0)),
            half(self.local[1], seed(1)),
            half(self.peer[0], seed(2)),
            half(self.peer[1], seed(3)),
            half(with_ports(kind, self.ports), seed(4)),
        ];
        finish(halves, constant!(finish))
    }

    #[inline(always)]
    fn has(&self, slot: &Slot6, direction: Direction) -> bool {
        slot.kind & !kind::OTHERS == kind::directed(self.interface, self.protocol, direction)
            && slot.local[0] == self.local[0]
            && slot.local[1] == self.local[1]
            && slot.peer[0] == self.peer[0]
            && slot.peer[1] == self.peer[1]
            && slot.ports == self.ports
    }

    #[inline(always)]
    fn begin(&self, slot: &mut Slot6, direction: Direction, first_ports: u32, count: Count) {
        slot.kind = kind::directed(self.interface, self.protocol, direction);
        slot.local = self.local;
        slot.peer = self.peer;
        slot.ports = self.ports;
        slot.first_ports = first_ports;
        slot.count = count;
    }

    #[inline(always)]
    fn count<'a>(
        &self,
        slot: &'a mut Slot6,
        _: Direction,
        first_ports: impl FnOnce() -> u32,
    ) -> &'a mut Count {
        keep_first_ports(&mut slot.kind, &mut slot.first_ports, first_ports());
        &mut slot.count
    }
}

/// As the slot has them.
#[inline(always)]
fn ends(local: Address4, peer: Address4) -> u64 {
    u64::from(local) | u64::from(peer) << 32
}

/// The bytes of an address as the header has them.
#[inline(always)]
fn bytes([first, last]: Address6) -> [u8; 16] {
    // SAFETY: same size, and all values of the one are values of the other.
    unsafe { core::mem::transmute([first.to_ne_bytes(), last.to_ne_bytes()]) }
}

/// Keeps the first ports of a flow, and that it had others.
#[inline(always)]
fn keep_first_ports(kind: &mut u64, first_ports: &mut u32, ports: u32) {
    if *first_ports != ports && ports != 0 {
        match *first_ports {
            0 => *first_ports = ports,
            _ => *kind |= kind::OTHERS,
        }
    }
}

/// The kind with the ports that are a part of the key, for the hash.
#[inline(always)]
fn with_ports(kind: u64, ports: u32) -> u64 {
    kind.wrapping_add(u64::from(ports) << 32)
}
