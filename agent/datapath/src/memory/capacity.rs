//! How large each map is.

use zonemeter_common::{
    names,
    table::{BUCKET_SLOTS, FAMILIES, MOST_SLOTS},
};

use super::{Machine, SETS};

/// Entries of the flow maps for each flow of the node's own sockets, of which there are always some.
const ENTRIES_PER_HOST_FLOW: u32 = 4;
const LEAST_HOST_FLOWS: u32 = 64;

/// Entries of the maps whose size the object file leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Slots of each CPU in the table of a set and family; 0 where there are no tables, and programs add
    /// atomically.
    pub slots: u32,
    /// Flows of one drain and family that find no slot and have an entry in a hash map.
    pub entries: u32,
    /// Connections.
    pub connections: u32,
    /// Flows of the node's own sockets.
    pub hosts: u32,
    cpu_numbers: u32,
}

impl Capacity {
    /// So many slots and entries.
    pub(super) fn of(slots: u32, entries: u32, machine: Machine) -> Self {
        Self {
            slots,
            entries,
            connections: entries,
            hosts: (entries / ENTRIES_PER_HOST_FLOW).max(LEAST_HOST_FLOWS),
            cpu_numbers: machine.cpu_numbers,
        }
    }

    /// So many flows of one family, should one CPU see them all. Its slots are no more than its part
    /// of them, for they are set aside for each CPU; on a single one they are half.
    pub(super) fn of_flows(flows: u32, machine: Machine) -> Self {
        let part = (flows / machine.cpu_numbers.max(2)).min(MOST_SLOTS);
        let slots = if machine.is_preemptible { 0 } else { part };
        Self::of(slots, flows - slots, machine)
    }

    /// Flows of one drain and family for which there is room, should one CPU see them all; others
    /// have slots beside them.
    pub fn flows(&self) -> u32 {
        self.slots + self.entries
    }

    /// Buckets of a CPU in the index of a set and family: a power of two.
    pub(crate) fn buckets(&self) -> u32 {
        let buckets = self.slots.div_ceil(BUCKET_SLOTS as u32);
        buckets.next_power_of_two()
    }

    /// Entries of the map of this name; `None` where the object file fixes them.
    pub(crate) fn entries(&self, name: &str) -> Option<u32> {
        let parts = self.cpu_numbers * SETS;
        // Without tables the maps are there all the same.
        let by_part = |each: u32| Some(if self.slots == 0 { 1 } else { parts * each });
        match Use::of(name) {
            Use::Flows => Some(self.entries),
            Use::Connections => Some(self.connections),
            Use::Hosts => Some(self.hosts),
            Use::Tables if name == names::MAP_CLAIMS => by_part(FAMILIES as u32),
            Use::Tables if INDEXES.contains(&name) => by_part(self.buckets()),
            Use::Tables => by_part(self.slots),
            Use::Other if name == names::MAP_TOTALS => Some(parts),
            Use::Other => None,
        }
    }
}

const INDEXES: [&str; FAMILIES] = [names::MAP_INDEX4, names::MAP_INDEX6];

/// What a map is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Tables,
    Flows,
    Connections,
    Hosts,
    Other,
}

impl Use {
    pub(super) fn of(name: &str) -> Self {
        let tables = [names::MAP_TABLES4, names::MAP_TABLES6, names::MAP_CLAIMS];
        let flows = [names::MAP_FLOWS4, names::MAP_FLOWS6];
        let connections = [names::MAP_TRACKED4, names::MAP_TRACKED6];
        let hosts = [names::MAP_HOST4, names::MAP_HOST6];
        if tables.contains(&name) || INDEXES.contains(&name) {
            Self::Tables
        } else if flows.as_flattened().contains(&name) {
            Self::Flows
        } else if connections.as_flattened().contains(&name) {
            Self::Connections
        } else if hosts.as_flattened().contains(&name) {
            Self::Hosts
        } else {
            Self::Other
        }
    }
}
