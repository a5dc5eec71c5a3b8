//! The maps and globals by which the agent and the programs meet. Two sets of flow maps and
//! totals: programs write to the one that [`Control::active_set`] names, the agent drains the
//! other.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, PerCpuArray, PerCpuHashMap},
};
use zonemeter_common::{
    Control, Count, FlowKey4, FlowKey6, HostKey4, HostKey6, OverflowKey, SkipReason, Totals,
    Uplinks,
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

/// Flows of the node's own sockets; replaced by the agent at load.
const HOST_FLOWS: u32 = 8_192;

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
pub(crate) static HOST4_0: Flows<HostKey4> = Flows::with_max_entries(HOST_FLOWS, 0);
#[map]
pub(crate) static HOST4_1: Flows<HostKey4> = Flows::with_max_entries(HOST_FLOWS, 0);
#[map]
pub(crate) static HOST6_0: Flows<HostKey6> = Flows::with_max_entries(HOST_FLOWS, 0);
#[map]
pub(crate) static HOST6_1: Flows<HostKey6> = Flows::with_max_entries(HOST_FLOWS, 0);

#[map]
static UPLINKS: Array<Uplinks> = Array::with_max_entries(1, 0);
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

/// Sockets of cgroups up to this id are the kernel's own; set at load.
#[unsafe(no_mangle)]
static KERNEL_CGROUPS: u64 = 1;

/// True for an interface by which packets leave the node.
#[inline(always)]
pub(crate) fn is_uplink(interface: u32) -> bool {
    UPLINKS
        .get(0)
        .is_some_and(|uplinks| uplinks.contains(interface))
}

/// True for an uplink with this Ethernet address.
#[inline(always)]
pub(crate) fn uplink_receives(interface: u32, address: u64) -> bool {
    UPLINKS
        .get(0)
        .is_some_and(|uplinks| uplinks.receives(interface, address))
}

/// The highest id of a cgroup whose sockets are the kernel's own.
#[inline(always)]
pub(crate) fn kernel_cgroups() -> u64 {
    // SAFETY: a global of the object itself; volatile, because the loader rewrites it.
    unsafe { (&raw const KERNEL_CGROUPS).read_volatile() }
}

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
