//! The maps and constants by which the agent and the programs meet. Two sets of flow maps and
//! totals: programs write to the one that [`Control::active_set`] names, the agent drains the
//! other.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, PerCpuArray},
};
use zonemeter_common::{
    Constants, Control, Count, FlowKey4, FlowKey6, HostKey4, HostKey6, SEEDS, SkipReason, Totals,
    Uplinks,
    conntrack::{Address, ConntrackOffsets, Filter, Tracked},
    table::{Bucket, Claims, Entry, Share, Slot4, Slot6},
};

/// Replaced by the agent at load (`--map-memory`, `--max-flows`), as all that is for each CPU.
const FLOWS: u32 = 65_536;

/// Interfaces whose traffic may find no room in the tables. More than a node has pods at most (737
/// for the largest EC2 instances); set aside, so that there is room when memory is short.
const SHARES: u32 = 1_024;

/// Flows of the node's own sockets; replaced by the agent at load.
const HOST_FLOWS: u32 = 8_192;

/// `BPF_F_MMAPABLE` (`include/uapi/linux/bpf.h`), Linux 5.5: the agent reads it in place.
const MMAPABLE: u32 = 1 << 10;

/// Flow counts of one address family, shared by all CPUs.
pub(crate) type Flows<K> = HashMap<K, Count>;

/// Connections of flows to translated addresses. Preallocated as all maps are, so that the memory of
/// the maps is known, and asked for, when they are made.
pub(crate) type TrackedFlows<K> = HashMap<K, Tracked>;

#[map]
pub(crate) static SKIPPED: PerCpuArray<Count> =
    PerCpuArray::with_max_entries(SkipReason::ALL.len() as u32, 0);

#[map]
pub(crate) static TABLES4: Array<Slot4> = Array::with_max_entries(1, MMAPABLE);
#[map]
pub(crate) static TABLES6: Array<Slot6> = Array::with_max_entries(1, MMAPABLE);
#[map]
pub(crate) static INDEX4: Array<Bucket> = Array::with_max_entries(1, MMAPABLE);
#[map]
pub(crate) static INDEX6: Array<Bucket> = Array::with_max_entries(1, MMAPABLE);
#[map]
pub(crate) static CLAIMS: Array<Claims> = Array::with_max_entries(1, MMAPABLE);
#[map]
pub(crate) static TOTALS: Array<Totals> = Array::with_max_entries(1, MMAPABLE);
#[map]
pub(crate) static USED: Array<u64> = Array::with_max_entries(4, MMAPABLE);

#[map]
pub(crate) static FLOWS4_0: HashMap<FlowKey4, Entry> = HashMap::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static FLOWS4_1: HashMap<FlowKey4, Entry> = HashMap::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static FLOWS6_0: HashMap<FlowKey6, Entry> = HashMap::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static FLOWS6_1: HashMap<FlowKey6, Entry> = HashMap::with_max_entries(FLOWS, 0);

#[map]
pub(crate) static SHARES_0: HashMap<u32, Share> = HashMap::with_max_entries(SHARES, 0);
#[map]
pub(crate) static SHARES_1: HashMap<u32, Share> = HashMap::with_max_entries(SHARES, 0);

#[map]
pub(crate) static HOST4_0: Flows<HostKey4> = Flows::with_max_entries(HOST_FLOWS, 0);
#[map]
pub(crate) static HOST4_1: Flows<HostKey4> = Flows::with_max_entries(HOST_FLOWS, 0);
#[map]
pub(crate) static HOST6_0: Flows<HostKey6> = Flows::with_max_entries(HOST_FLOWS, 0);
#[map]
pub(crate) static HOST6_1: Flows<HostKey6> = Flows::with_max_entries(HOST_FLOWS, 0);

#[map]
pub(crate) static UPLINK_RECEIVED: PerCpuArray<Count> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub(crate) static UPLINK_SKIPPED: PerCpuArray<Count> =
    PerCpuArray::with_max_entries(SkipReason::ALL.len() as u32, 0);

#[map]
pub(crate) static TRACKED4_0: TrackedFlows<FlowKey4> = TrackedFlows::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static TRACKED4_1: TrackedFlows<FlowKey4> = TrackedFlows::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static TRACKED6_0: TrackedFlows<FlowKey6> = TrackedFlows::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static TRACKED6_1: TrackedFlows<FlowKey6> = TrackedFlows::with_max_entries(FLOWS, 0);

/// What the agent writes while the programs run. Of each section the loader makes an array map of one
/// element, which programs address directly (`BPF_PSEUDO_MAP_VALUE`), without a lookup. Visible outside
/// the object, so that the compiler takes none for a constant.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.CONTROL")]
static mut CONTROL: Control = Control::NONE;
/// See [`CONTROL`].
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.UPLINKS")]
static mut UPLINKS: Uplinks = Uplinks::NONE;
/// See [`CONTROL`].
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.FILTER")]
static mut FILTER: Filter = Filter::NONE;

/// Written by the agent when it loads the programs. Programs read it by [`constant!`].
#[unsafe(no_mangle)]
pub(crate) static CONSTANTS: Constants = Constants {
    slots: 0,
    buckets: 0,
    ephemeral_ports: [0; 2],
    fold_ports: 0,
    finish: [0; 2],
    seeds: [[0; 2]; SEEDS],
    kernel_cgroups: 0,
    flow_entries: 0,
    conntrack: ConntrackOffsets {
        connection: 0,
        original: 0,
        reply: 0,
    },
};

/// A value of [`CONSTANTS`].
macro_rules! constant {
    ($field:ident) => {
        // SAFETY: the object's own data; volatile, because the agent writes it.
        unsafe { (&raw const crate::maps::CONSTANTS.$field).read_volatile() }
    };
}
pub(crate) use constant;

/// The seed of one of the values that are hashed.
#[inline(always)]
pub(crate) fn seed(number: usize) -> [u32; 2] {
    // SAFETY: as in `constant!`; callers name one of the seeds.
    unsafe {
        let seed = (&raw const CONSTANTS.seeds).cast::<u32>().add(2 * number);
        [seed.read_volatile(), seed.add(1).read_volatile()]
    }
}

/// Adds to a counter of this CPU. Atomically where there are no tables: another program may come in
/// between there ([`Constants::slots`]).
///
/// # Safety
/// A value of a map, and of this CPU.
#[inline(always)]
pub(crate) unsafe fn add(counter: *mut Count, count: Count) {
    match constant!(slots) {
        // SAFETY: the caller's promise.
        0 => unsafe { add_atomically(counter, count) },
        // SAFETY: the caller's promise.
        _ => unsafe { *counter += count },
    }
}

/// Adds to a counter that other CPUs add to as well.
///
/// # Safety
/// A value of a map.
#[inline(always)]
pub(crate) unsafe fn add_atomically(counter: *mut Count, count: Count) {
    // SAFETY: the caller's promise.
    unsafe {
        add_one(&raw mut (*counter).bytes, count.bytes);
        add_one(&raw mut (*counter).packets, count.packets);
    }
}

/// Adds to a number that other CPUs add to as well.
///
/// # Safety
/// In a value of a map.
#[inline(always)]
pub(crate) unsafe fn add_one(number: *mut u64, more: u64) {
    // What was there before must not be used: an instruction of Linux 5.12 tells it. SAFETY: the
    // caller's promise.
    let _ = unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(number, more) };
}

/// A global variable that the agent writes.
///
/// # Safety
/// It has nothing but integers, of which each is read once: the agent may write meanwhile.
#[inline(always)]
unsafe fn global<T>(global: *const T) -> &'static T {
    // SAFETY: a global outlives the program; the rest is the caller's promise.
    unsafe { &*global }
}

/// True for an interface by which packets leave the node.
#[inline(always)]
pub(crate) fn is_uplink(interface: u32) -> bool {
    // SAFETY: integers, each read once.
    unsafe { global(&raw const UPLINKS) }.contains(interface)
}

/// True for an uplink with this Ethernet address.
#[inline(always)]
pub(crate) fn uplink_receives(interface: u32, address: u64) -> bool {
    // SAFETY: integers, each read once.
    unsafe { global(&raw const UPLINKS) }.receives(interface, address)
}

/// The set, 0 or 1, that programs write to now.
#[inline(always)]
pub(crate) fn active_set() -> u32 {
    // SAFETY: integers, each read once.
    unsafe { global(&raw const CONTROL) }.active_set() as u32
}

/// True for every address that the node translates, and for few others, which then have their ports
/// in their keys: more flows, and the same bytes.
#[inline(always)]
pub(crate) fn is_translated<A: Address>(address: A) -> bool {
    // SAFETY: integers, each read once.
    unsafe { global(&raw const FILTER) }.may_have(address)
}
