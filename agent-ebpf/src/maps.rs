//! The maps and globals by which the agent and the programs meet. Two sets of flow maps and
//! totals: programs write to the one that [`Control::active_set`] names, the agent drains the
//! other.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, PerCpuArray, PerCpuHashMap},
};
use zonemeter_common::{
    Control, Count, FlowKey4, FlowKey6, OverflowKey, SkipReason, Totals,
    conntrack::{ConntrackOffsets, Filter, Tracked},
};

/// Replaced by the agent at load (`--map-memory`, `--max-flows`).
const FLOWS: u32 = 65_536;

/// Interfaces in both directions whose traffic may find no room in the flow map. Twice as many as
/// a node has pods at most (737 for the largest EC2 instances); set aside, so that there is room
/// when memory is short.
const OVERFLOWS: u32 = 1_024;

/// Addresses of Services and of the node; replaced by the agent at load.
const TRANSLATED: u32 = 65_536;

/// Flow counts of one address family, per CPU: additions need no lock.
pub(crate) type Flows<K> = PerCpuHashMap<K, Count>;

/// Connections of flows to translated addresses. Preallocated as all maps are, so that the memory of
/// the maps is known, and asked for, when they are made.
pub(crate) type TrackedFlows<K> = HashMap<K, Tracked>;

#[map]
static CONTROL: Array<Control> = Array::with_max_entries(1, 0);
#[map]
pub(crate) static SKIPPED: PerCpuArray<Count> =
    PerCpuArray::with_max_entries(SkipReason::ALL.len() as u32, 0);

#[map]
pub(crate) static FLOWS4_0: Flows<FlowKey4> = Flows::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static FLOWS4_1: Flows<FlowKey4> = Flows::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static FLOWS6_0: Flows<FlowKey6> = Flows::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static FLOWS6_1: Flows<FlowKey6> = Flows::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static TOTALS_0: PerCpuArray<Totals> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub(crate) static TOTALS_1: PerCpuArray<Totals> = PerCpuArray::with_max_entries(1, 0);

#[map]
pub(crate) static OVERFLOW_0: Flows<OverflowKey> = Flows::with_max_entries(OVERFLOWS, 0);
#[map]
pub(crate) static OVERFLOW_1: Flows<OverflowKey> = Flows::with_max_entries(OVERFLOWS, 0);

#[map]
pub(crate) static TRACKED4_0: TrackedFlows<FlowKey4> = TrackedFlows::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static TRACKED4_1: TrackedFlows<FlowKey4> = TrackedFlows::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static TRACKED6_0: TrackedFlows<FlowKey6> = TrackedFlows::with_max_entries(FLOWS, 0);
#[map]
pub(crate) static TRACKED6_1: TrackedFlows<FlowKey6> = TrackedFlows::with_max_entries(FLOWS, 0);

#[map]
pub(crate) static TRANSLATED4: HashMap<[u8; 4], u8> = HashMap::with_max_entries(TRANSLATED, 0);
#[map]
pub(crate) static TRANSLATED6: HashMap<[u8; 16], u8> = HashMap::with_max_entries(TRANSLATED, 0);
#[map]
pub(crate) static FILTER: Array<Filter> = Array::with_max_entries(1, 0);

/// Where the kernel keeps a packet's connection; set at load, all 0 where it is not known.
#[unsafe(no_mangle)]
static CONNTRACK: ConntrackOffsets = ConntrackOffsets {
    connection: 0,
    original: 0,
    reply: 0,
};
/// 1 folds the ephemeral port of a connection to 0; set at load (`--flow-ports`).
#[unsafe(no_mangle)]
static FOLD_PORTS: u32 = 1;
/// Lowest and highest ephemeral port of the node; set at load.
#[unsafe(no_mangle)]
static EPHEMERAL_PORTS: [u16; 2] = [32_768, 60_999];

/// The set, 0 or 1, that programs write to now.
#[inline(always)]
pub(crate) fn active_set() -> usize {
    CONTROL.get(0).map_or(0, Control::active_set)
}

/// Where the kernel keeps a packet's connection.
#[inline(always)]
pub(crate) fn conntrack_offsets() -> ConntrackOffsets {
    // SAFETY: a global of the object itself; volatile, because the loader rewrites it.
    unsafe { (&raw const CONNTRACK).read_volatile() }
}

/// True where the ephemeral port of a connection is folded.
#[inline(always)]
pub(crate) fn fold_ports() -> bool {
    // SAFETY: a global of the object itself; volatile, because the loader rewrites it.
    unsafe { (&raw const FOLD_PORTS).read_volatile() != 0 }
}

/// Lowest and highest ephemeral port.
#[inline(always)]
pub(crate) fn ephemeral_ports() -> [u16; 2] {
    // SAFETY: as in `fold_ports`.
    unsafe { (&raw const EPHEMERAL_PORTS).read_volatile() }
}
