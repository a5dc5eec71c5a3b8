//! Where a flow goes that finds no slot: to the hash map of its family, and where that has no room
//! for it, to the counters of its interface. Both are shared by all CPUs; what is added is added
//! atomically.

use aya_ebpf::{bindings::BPF_NOEXIST, maps::HashMap};
use zonemeter_common::{
    Count, Direction,
    table::{Entry, FAMILIES, Share},
};

use crate::{
    maps::{SHARES_0, SHARES_1, USED, add_atomically, add_one, constant},
    tables::Added,
};

/// In the object's constants: the stack of a program is short.
static NOTHING: Share = Share {
    overflow: [Count::ZERO; 2],
    entries: [0; FAMILIES],
};

/// Which hash map.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) set: u32,
    pub(crate) family: u32,
}

/// Adds to the flow's entry, or else to what found no room of its interface. False where not even
/// that has room.
#[inline(always)]
pub(crate) fn add<K>(
    flows: &HashMap<K, Entry>,
    place: Place,
    key: &K,
    interface: u32,
    entry: Entry,
    direction: Direction,
) -> Added {
    if let Some(known) = flows.get_ptr_mut(key) {
        add_to(known, &entry);
        return Added::Known;
    }
    let shares = match place.set {
        0 => &SHARES_0,
        _ => &SHARES_1,
    };
    let Some(share) = share(shares, interface) else {
        return Added::NoRoom;
    };
    if let Some(added) = insert(flows, place, key, share, &entry) {
        return added;
    }
    // SAFETY: a map value; other CPUs add to it atomically, too.
    unsafe { add_atomically(&raw mut (*share).overflow[direction as usize], entry.count) };
    Added::Known
}

/// An interface gets another entry while it has fewer than are free. Another CPU may insert the
/// flow between the lookup and the insert, so a failed insert looks once more.
#[inline(always)]
fn insert<K>(
    flows: &HashMap<K, Entry>,
    place: Place,
    key: &K,
    share: *mut Share,
    entry: &Entry,
) -> Option<Added> {
    let Place { set, family } = place;
    let used = USED.get_ptr_mut(set * FAMILIES as u32 + family)?;
    // SAFETY: map values; other CPUs add to them atomically, too.
    let (taken, used_now) = unsafe {
        (
            (&raw const (*share).entries[family as usize]).read_volatile(),
            used.read_volatile(),
        )
    };
    if taken < u64::from(constant!(flow_entries)).saturating_sub(used_now)
        && flows.insert(key, entry, u64::from(BPF_NOEXIST)).is_ok()
    {
        // SAFETY: as above.
        unsafe {
            add_one(&raw mut (*share).entries[family as usize], 1);
            add_one(used, 1);
        }
        return Some(Added::New);
    }
    add_to(flows.get_ptr_mut(key)?, entry);
    Some(Added::Known)
}

#[inline(always)]
fn add_to(known: *mut Entry, entry: &Entry) {
    // SAFETY: a map value; other CPUs add to it atomically, too, and write the same ports or the
    // same mark at worst one over the other.
    unsafe {
        add_atomically(&raw mut (*known).count, entry.count);
        let first_ports = (&raw const (*known).first_ports).read_volatile();
        if first_ports != entry.first_ports && entry.first_ports != 0 {
            match first_ports {
                0 => (*known).first_ports = entry.first_ports,
                _ => (*known).others = 1,
            }
        }
    }
}

/// The counters of an interface, made where there are none yet.
#[inline(always)]
fn share(shares: &HashMap<u32, Share>, interface: u32) -> Option<*mut Share> {
    if let Some(share) = shares.get_ptr_mut(interface) {
        return Some(share);
    }
    // Where another CPU was faster, its entry is found.
    #[expect(
        clippy::needless_borrows_for_generic_args,
        reason = "by value it would be copied to the stack, which is short"
    )]
    let _ = shares.insert(interface, &NOTHING, u64::from(BPF_NOEXIST));
    shares.get_ptr_mut(interface)
}
