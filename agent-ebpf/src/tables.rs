//! The tables: a bucket of the index of this CPU leads to the slot of a flow. Only what is new there
//! costs more.

use aya_ebpf::{helpers::bpf_get_smp_processor_id, maps::Array};
use zonemeter_common::{
    Count, Direction,
    table::{self, Bucket, Claims, Slot4, Slot6, kind, slot_of, tag},
};

use crate::maps::{CLAIMS, INDEX4, INDEX6, TABLES4, TABLES6, bucket_bits, seed, slots};

/// How a packet got into a table or a map.
pub(crate) enum Added {
    /// To its flow.
    Known,
    /// As the first one of its flow in this direction.
    New,
    /// Not at all.
    NoRoom,
}

/// An IPv4 flow, in registers.
pub(crate) struct Flow4 {
    pub(crate) interface: u32,
    pub(crate) protocol: u8,
    /// Local address and peer, as the table has them.
    pub(crate) ends: u64,
    pub(crate) ports: u32,
    pub(crate) first_ports: u32,
}

/// An IPv6 flow, in registers.
pub(crate) struct Flow6 {
    pub(crate) interface: u32,
    pub(crate) protocol: u8,
    pub(crate) local: [u64; 2],
    pub(crate) peer: [u64; 2],
    pub(crate) ports: u32,
    pub(crate) first_ports: u32,
}

/// The part of the tables that belongs to this CPU and set.
#[inline(always)]
pub(crate) fn part(set: u32) -> u32 {
    // SAFETY: takes no arguments.
    table::part(unsafe { bpf_get_smp_processor_id() }, set)
}

/// A flow of one of the address families.
pub(crate) trait Flow {
    type Slot: 'static;
    /// As [`Claims`] are told apart.
    const FAMILY: u32;

    /// The table, and its index.
    fn maps() -> (&'static Array<Self::Slot>, &'static Array<Bucket>);
    /// Index of the interface.
    fn interface(&self) -> u32;
    /// By which the index finds it.
    fn hash(&self, direction: Direction) -> u32;
    /// True where the slot is this flow's.
    fn has(&self, slot: &Self::Slot, direction: Direction) -> bool;
    /// Adds to its slot.
    fn add(&self, slot: &mut Self::Slot, direction: Direction, count: Count) -> Added;
    /// Takes an empty slot.
    fn begin(&self, slot: &mut Self::Slot, direction: Direction, count: Count);
}

impl Flow for Flow4 {
    type Slot = Slot4;
    const FAMILY: u32 = 0;

    #[inline(always)]
    fn maps() -> (&'static Array<Slot4>, &'static Array<Bucket>) {
        (&TABLES4, &INDEX4)
    }

    #[inline(always)]
    fn interface(&self) -> u32 {
        self.interface
    }

    #[inline(always)]
    fn hash(&self, _: Direction) -> u32 {
        let kind = kind::of(self.interface, self.protocol);
        finish([half(self.ends, 0), half(with_ports(kind, self.ports), 1)])
    }

    #[inline(always)]
    fn has(&self, slot: &Slot4, _: Direction) -> bool {
        slot.kind & !kind::OTHERS == kind::of(self.interface, self.protocol)
            && slot.ends == self.ends
            && slot.ports == self.ports
    }

    #[inline(always)]
    fn add(&self, slot: &mut Slot4, direction: Direction, count: Count) -> Added {
        keep_first_ports(&mut slot.kind, &mut slot.first_ports, self.first_ports);
        let counted = &mut slot.counts[direction as usize];
        let is_new = counted.packets == 0;
        *counted += count;
        if is_new { Added::New } else { Added::Known }
    }

    #[inline(always)]
    fn begin(&self, slot: &mut Slot4, direction: Direction, count: Count) {
        slot.kind = kind::of(self.interface, self.protocol);
        slot.ends = self.ends;
        slot.ports = self.ports;
        slot.first_ports = self.first_ports;
        slot.counts[direction as usize] = count;
    }
}

impl Flow for Flow6 {
    type Slot = Slot6;
    const FAMILY: u32 = 1;

    #[inline(always)]
    fn maps() -> (&'static Array<Slot6>, &'static Array<Bucket>) {
        (&TABLES6, &INDEX6)
    }

    #[inline(always)]
    fn interface(&self) -> u32 {
        self.interface
    }

    #[inline(always)]
    fn hash(&self, direction: Direction) -> u32 {
        let kind = kind::directed(self.interface, self.protocol, direction);
        finish([
            half(self.local[0], 0),
            half(self.local[1], 1),
            half(self.peer[0], 2),
            half(self.peer[1], 3),
            half(with_ports(kind, self.ports), 4),
        ])
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
    fn add(&self, slot: &mut Slot6, _: Direction, count: Count) -> Added {
        keep_first_ports(&mut slot.kind, &mut slot.first_ports, self.first_ports);
        slot.count += count;
        Added::Known
    }

    #[inline(always)]
    fn begin(&self, slot: &mut Slot6, direction: Direction, count: Count) {
        slot.kind = kind::directed(self.interface, self.protocol, direction);
        slot.local = self.local;
        slot.peer = self.peer;
        slot.ports = self.ports;
        slot.first_ports = self.first_ports;
        slot.count = count;
    }
}

/// Adds to the flow of a packet.
#[inline(always)]
pub(crate) fn add<F: Flow>(part: u32, flow: &F, direction: Direction, count: Count) -> Added {
    let slots = slots();
    if slots == 0 {
        return Added::NoRoom;
    }
    let bits = bucket_bits();
    let hash = flow.hash(direction);
    let (table, index) = F::maps();
    let Some(bucket) = index.get_ptr_mut(part << bits | hash & ((1 << bits) - 1)) else {
        return Added::NoRoom;
    };
    // SAFETY: a bucket of this CPU's part; the program runs with bottom halves off.
    let bucket = unsafe { &mut *bucket };
    let (first_slot, tag) = (part * slots, tag(hash));
    // Each flow begins at a place of its own, so that nearly all are at the first one they look at.
    let start = hash as usize >> 16;
    for step in 0..table::BUCKET_FLOWS {
        let known = &mut bucket.flows[(start + step) % table::BUCKET_FLOWS];
        if let Some(number) = slot_of(*known, tag)
            && let Some(slot) = table.get_ptr_mut(first_slot + number)
        {
            // SAFETY: as above.
            let slot = unsafe { &mut *slot };
            if flow.has(slot, direction) {
                return flow.add(slot, direction, count);
            }
        }
        if *known == 0 {
            let Some(number) = claim(part, F::FAMILY, flow.interface(), slots) else {
                return Added::NoRoom;
            };
            let Some(slot) = table.get_ptr_mut(first_slot + number) else {
                return Added::NoRoom;
            };
            // SAFETY: as above.
            flow.begin(unsafe { &mut *slot }, direction, count);
            *known = tag | number;
            return Added::New;
        }
    }
    Added::NoRoom
}

/// Takes a slot for an interface; `None` where it has its share.
#[inline(always)]
fn claim(part: u32, family: u32, interface: u32, slots: u32) -> Option<u32> {
    let claims: *mut Claims = CLAIMS.get_ptr_mut(part << 1 | family)?;
    // SAFETY: this CPU's; the program runs with bottom halves off.
    unsafe { (*claims).take(interface, slots) }
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

/// NH (UMAC, RFC 4418, section 5.2.2): nobody who does not know the seed can choose addresses that
/// meet in one bucket.
#[inline(always)]
fn half(value: u64, number: usize) -> u64 {
    let seed = seed(number);
    let low = (value as u32).wrapping_add(seed as u32);
    let high = ((value >> 32) as u32).wrapping_add((seed >> 32) as u32);
    u64::from(low) * u64::from(high)
}

#[inline(always)]
fn finish<const N: usize>(halves: [u64; N]) -> u32 {
    let sum = halves.into_iter().fold(0, u64::wrapping_add);
    (sum.wrapping_add(seed(5)).wrapping_mul(seed(6) | 1) >> 32) as u32
}
