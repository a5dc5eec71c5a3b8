//! The tables: a bucket of the index of this CPU leads to the slot of a flow.

use core::hint::cold_path;

use aya_ebpf::helpers::bpf_get_smp_processor_id;
use zonemeter_common::{
    Count, Direction,
    table::{self, Bucket, Claims, slot_of, tag},
};

use crate::{
    flow::{Family, Flow},
    maps::{CLAIMS, constant},
};

/// The part of the tables that belongs to this CPU and set.
#[inline(always)]
pub(crate) fn part(set: u32) -> u32 {
    // SAFETY: takes no arguments.
    table::part(unsafe { bpf_get_smp_processor_id() }, set)
}

/// How a packet got into a table or a map.
pub(crate) enum Added {
    /// To its flow.
    Known,
    /// As the first one of its flow in this direction.
    New,
    /// Not at all.
    NoRoom,
}

/// Adds to the flow of a packet.
#[inline(always)]
pub(crate) fn add<A>(
    part: u32,
    flow: &Flow<A>,
    direction: Direction,
    first_ports: u32,
    count: Count,
) -> Added
where
    Flow<A>: Family,
{
    match search(table::BUCKET_FLOWS, part, flow, direction) {
        Found::Slot(slot) => {
            let counted = flow.count(slot, direction, || first_ports);
            let is_new = counted.packets == 0;
            *counted += count;
            if is_new { Added::New } else { Added::Known }
        }
        Found::Free(place, tag) => {
            let slots = constant!(slots);
            let Some(number) = claim(part, Flow::<A>::FAMILY, flow.interface, slots) else {
                return Added::NoRoom;
            };
            let (table, _) = Flow::<A>::tables();
            let Some(slot) = table.get_ptr_mut(part * slots + number) else {
                return Added::NoRoom;
            };
            // SAFETY: as in `search`.
            flow.begin(unsafe { &mut *slot }, direction, first_ports, count);
            *place = tag | number;
            Added::New
        }
        Found::NoRoom => Added::NoRoom,
    }
}

/// What the index has for a flow.
pub(crate) enum Found<S: 'static> {
    /// Its slot.
    Slot(&'static mut S),
    /// No slot, but this place for the number of one, beside this tag.
    Free(&'static mut u32, u32),
    /// Neither.
    NoRoom,
}

/// Looks for a flow in so many places of its bucket. Where there are no tables the index has one
/// empty bucket: no slot is found, and [`claim`] gives none.
#[inline(always)]
pub(crate) fn search<A>(
    places: usize,
    part: u32,
    flow: &Flow<A>,
    direction: Direction,
) -> Found<<Flow<A> as Family>::Slot>
where
    Flow<A>: Family,
{
    let buckets = constant!(buckets);
    let hash = flow.hash(direction);
    let (table, index) = Flow::<A>::tables();
    let Some(bucket) = index.get_ptr_mut(part * buckets + (hash & buckets.wrapping_sub(1))) else {
        return Found::NoRoom;
    };
    // SAFETY: a bucket of this CPU's part; the program runs with bottom halves off.
    let bucket: &'static mut Bucket = unsafe { &mut *bucket };
    let tag = tag(hash);
    // Each flow begins at a place of its own, so that nearly all are at the first one they look at.
    let start = table::start(tag);
    for step in 0..places {
        let place = (start + step) % table::BUCKET_FLOWS;
        let known = bucket.flows[place];
        if let Some(number) = slot_of(known, tag)
            && let Some(slot) = table.get_ptr_mut(part * constant!(slots) + number)
        {
            // SAFETY: as above.
            let slot = unsafe { &mut *slot };
            if flow.has(slot, direction) {
                return Found::Slot(slot);
            }
        }
        cold_path();
        if known == 0 {
            return Found::Free(&mut bucket.flows[place], tag);
        }
    }
    Found::NoRoom
}

/// Takes a slot for an interface; `None` where it has its share.
#[inline(always)]
fn claim(part: u32, family: u32, interface: u32, slots: u32) -> Option<u32> {
    let claims: *mut Claims = CLAIMS.get_ptr_mut(part << 1 | family)?;
    // SAFETY: this CPU's; the program runs with bottom halves off.
    unsafe { (*claims).take(interface, slots) }
}
