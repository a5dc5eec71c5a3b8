//! The tables: a flow is found by one look at a bucket of the CPU's own part. Only what is new
//! there costs more.

use aya_ebpf::{helpers::bpf_get_smp_processor_id, maps::Array};
use zonemeter_common::{
    Count, Direction,
    table::{self, Claims, NO_TABLES, SLOTS, kind, touched_word},
};

use crate::maps::{CLAIMS, TABLES4, TABLES6, TOUCHED4, TOUCHED6, bucket_bits, seed};

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

/// Adds to the flow of a packet.
#[inline(always)]
pub(crate) fn add4(part: u32, flow: &Flow4, direction: Direction, count: Count) -> Added {
    let bits = bucket_bits();
    if bits >= NO_TABLES {
        return Added::NoRoom;
    }
    let kind = kind::of(flow.interface, flow.protocol);
    let hash = finish([half(flow.ends, 0), half(with_ports(kind, flow.ports), 1)]);
    let number = hash & ((1 << bits) - 1);
    let Some(bucket) = TABLES4.get_ptr_mut(part << bits | number) else {
        return Added::NoRoom;
    };
    // SAFETY: a bucket of this CPU's part; the program runs with bottom halves off.
    let bucket = unsafe { &mut *bucket };
    for slot in &mut bucket.slots {
        if slot.kind & !kind::OTHERS == kind && slot.ends == flow.ends && slot.ports == flow.ports {
            keep_first_ports(&mut slot.kind, &mut slot.first_ports, flow.first_ports);
            let counted = &mut slot.counts[direction as usize];
            let is_new = counted.packets == 0;
            *counted += count;
            return if is_new { Added::New } else { Added::Known };
        }
        if slot.kind == 0 {
            if !claim(part, 0, flow.interface, &TOUCHED4, number, bits) {
                return Added::NoRoom;
            }
            slot.kind = kind;
            slot.ends = flow.ends;
            slot.ports = flow.ports;
            slot.first_ports = flow.first_ports;
            slot.counts[direction as usize] = count;
            return Added::New;
        }
    }
    Added::NoRoom
}

/// Adds to the flow of a packet.
#[inline(always)]
pub(crate) fn add6(part: u32, flow: &Flow6, direction: Direction, count: Count) -> Added {
    let bits = bucket_bits();
    if bits >= NO_TABLES {
        return Added::NoRoom;
    }
    let kind = kind::directed(flow.interface, flow.protocol, direction);
    let hash = finish([
        half(flow.local[0], 0),
        half(flow.local[1], 1),
        half(flow.peer[0], 2),
        half(flow.peer[1], 3),
        half(with_ports(kind, flow.ports), 4),
    ]);
    let number = hash & ((1 << bits) - 1);
    let Some(bucket) = TABLES6.get_ptr_mut(part << bits | number) else {
        return Added::NoRoom;
    };
    // SAFETY: a bucket of this CPU's part; the program runs with bottom halves off.
    let bucket = unsafe { &mut *bucket };
    for slot in &mut bucket.slots {
        if slot.kind & !kind::OTHERS == kind
            && slot.local[0] == flow.local[0]
            && slot.local[1] == flow.local[1]
            && slot.peer[0] == flow.peer[0]
            && slot.peer[1] == flow.peer[1]
            && slot.ports == flow.ports
        {
            keep_first_ports(&mut slot.kind, &mut slot.first_ports, flow.first_ports);
            slot.count += count;
            return Added::Known;
        }
        if slot.kind == 0 {
            if !claim(part, 1, flow.interface, &TOUCHED6, number, bits) {
                return Added::NoRoom;
            }
            slot.kind = kind;
            slot.local = flow.local;
            slot.peer = flow.peer;
            slot.ports = flow.ports;
            slot.first_ports = flow.first_ports;
            slot.count = count;
            return Added::New;
        }
    }
    Added::NoRoom
}

/// Takes a slot of a bucket for an interface; false where it has its share.
#[inline(always)]
fn claim(
    part: u32,
    family: u32,
    interface: u32,
    touched: &Array<u64>,
    bucket: u32,
    bits: u32,
) -> bool {
    let Some(claims) = CLAIMS.get_ptr_mut(part << 1 | family) else {
        return false;
    };
    // SAFETY: this CPU's; the program runs with bottom halves off.
    let claims: &mut Claims = unsafe { &mut *claims };
    if !claims.take(interface, (SLOTS as u32) << bits) {
        return false;
    }
    let Some(word) = touched.get_ptr_mut(touched_word(part, bucket, bits)) else {
        return false;
    };
    // SAFETY: as above.
    unsafe { *word |= 1 << (bucket % 64) };
    true
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
