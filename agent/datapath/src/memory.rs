//! How much kernel memory the maps take, before the kernel is asked for it.
//!
//! Every map is preallocated, so all of it is taken when the programs are loaded and none while
//! packets pass. What each kind of map takes is the kernel's own arithmetic (`htab_map_mem_usage`
//! and `htab_map_alloc` in `kernel/bpf/hashtab.c`, `array_map_mem_usage` in
//! `kernel/bpf/arraymap.c`, `ringbuf_map_mem_usage` in `kernel/bpf/ringbuf.c`), and one thing that
//! the kernel leaves out: with memory cgroups, its per-CPU allocator keeps one pointer for each 4
//! bytes of one CPU's values (`pcpu_obj_full_size` in `mm/percpu-internal.h`).

use std::fmt;

use anyhow::{Context as _, Result, anyhow, bail};
use aya_obj::generated::bpf_map_type::{self, *};
use zonemeter_common::table::{BUCKET_SLOTS, Bucket, FAMILIES, MOST_SLOTS, Slot4};

use super::object;

/// The default of `--map-memory`.
pub const DEFAULT_BUDGET: Size = Size(64 << 20);
/// Fewer flows than this are refused where they follow from `--map-memory`.
pub const LEAST_FLOWS: u32 = 1024;
/// The upper end of `--max-flows`.
pub const MOST_FLOWS: u32 = 1 << 24;
/// Slots of a CPU, in one set and of one family, also where half of the budget holds fewer.
const FEWEST_SLOTS: u32 = 64;
/// Sets of maps.
const SETS: u32 = 2;
/// `sizeof(struct htab_elem)` up to its key.
const ELEMENT: u64 = 48;
/// `sizeof(struct bucket)`.
const BUCKET: u64 = 16;
/// `HASHTAB_MAP_LOCK_COUNT`, an `int` for each and each CPU.
const LOCKS: u64 = 8;
const POINTER: u64 = 8;
/// A map's own structure, rounded up.
const STRUCTURE: u64 = 1024;
/// `include/uapi/linux/bpf.h`
const BPF_F_MMAPABLE: u32 = 1 << 10;
/// `PCPU_MIN_ALLOC_SIZE`.
const LEAST_PER_CPU: u64 = 4;

mod capacity;

pub use capacity::Capacity;
use capacity::Use;

/// Bytes, shown in the largest binary unit that needs no fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// In MiB with one decimal, rounded up: for sentences.
    pub fn rounded(self) -> String {
        let tenths = (u128::from(self.0) * 10).div_ceil(1 << 20);
        format!("{}.{} MiB", tenths / 10, tenths % 10)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let fits = |(shift, _): &(u32, _)| self.0 != 0 && self.0.is_multiple_of(1 << shift);
        match units.into_iter().find(fits) {
            Some((shift, unit)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

/// What the arithmetic must know of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Possible CPUs: a per-CPU map has a value for each, present or not.
    pub cpus: u64,
    /// The highest number of a possible CPU, and one more: the tables have a part for each.
    pub cpu_numbers: u32,
    /// A program may be interrupted by another on its CPU (PREEMPT_RT): no tables, then.
    pub is_preemptible: bool,
    /// Bytes of a page.
    pub page: u64,
}

impl Machine {
    /// This machine.
    ///
    /// # Errors
    /// When the kernel does not say how many CPUs are possible.
    pub fn this() -> Result<Self> {
        // SAFETY: takes no pointers.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        Ok(Self {
            cpus: super::maps::nr_cpus()? as u64,
            cpu_numbers: super::maps::cpu_numbers()? as u32,
            is_preemptible: super::facts::is_preemptible(),
            page: u64::try_from(page).context("the size of a page")?,
        })
    }
}

/// A map as the object file defines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    name: String,
    kind: bpf_map_type,
    key: u64,
    value: u64,
    entries: u64,
    /// Made with `BPF_F_MMAPABLE`.
    is_mapped: bool,
}

/// What one map takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MapMemory {
    /// What the kernel says itself, as `memlock` in the descriptor's `fdinfo`.
    pub(super) reported: u64,
    /// What its per-CPU allocator charges on top.
    pub(super) unreported: u64,
}

/// Every map of the object file.
pub(super) fn definitions() -> Result<Vec<Definition>> {
    let object = aya_obj::Object::parse(object::BYTES).context("the object file")?;
    let define = |(name, map): (&String, &aya_obj::Map)| {
        Ok(Definition {
            name: name.clone(),
            kind: map.map_type().try_into().map_err(|_| {
                anyhow!(
                    "map {name} of the object file has an unknown type {}",
                    map.map_type()
                )
            })?,
            key: map.key_size().into(),
            value: map.value_size().into(),
            entries: map.max_entries().into(),
            is_mapped: map.map_flags() & BPF_F_MMAPABLE != 0,
        })
    };
    object.maps.iter().map(define).collect()
}

impl Definition {
    /// With the entries that `capacity` gives it.
    pub(super) fn taken(&self, capacity: &Capacity, machine: Machine) -> Result<MapMemory> {
        let entries = capacity.entries(&self.name).map_or(self.entries, u64::from);
        let Machine { cpus, page, .. } = machine;
        let (key, value) = (self.key.next_multiple_of(8), self.value.next_multiple_of(8));
        let table = BUCKET * entries.next_power_of_two() + 4 * LOCKS * cpus + STRUCTURE;
        let reported = match self.kind {
            // One element for each CPU is in reserve.
            BPF_MAP_TYPE_HASH => {
                table + (entries + cpus) * (ELEMENT + key + value) + POINTER * cpus
            }
            BPF_MAP_TYPE_PERCPU_ARRAY => STRUCTURE + entries * (POINTER + value * cpus),
            BPF_MAP_TYPE_ARRAY if self.is_mapped => page + (entries * value).next_multiple_of(page),
            BPF_MAP_TYPE_ARRAY => (STRUCTURE + entries * value).next_multiple_of(page),
            // Data pages are mapped twice, by one list of pointers; three pages go before them.
            BPF_MAP_TYPE_RINGBUF => {
                let pages = entries.div_ceil(page) + 3;
                pages * (page + 2 * POINTER) + STRUCTURE
            }
            kind => bail!(
                "map {}: what a map of type {kind:?} takes is not known",
                self.name
            ),
        };
        let unreported = match self.kind {
            BPF_MAP_TYPE_PERCPU_ARRAY => entries * value / LEAST_PER_CPU * POINTER,
            _ => 0,
        };
        Ok(MapMemory {
            reported,
            unreported,
        })
    }
}

/// What all maps together take, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    tables: u64,
    flows: u64,
    connections: u64,
    hosts: u64,
    other: u64,
}

impl Demand {
    /// All of it.
    pub fn total(&self) -> Size {
        let Self {
            tables,
            flows,
            connections,
            hosts,
            other,
        } = self;
        Size(tables + flows + connections + hosts + other)
    }

    fn of(maps: &[Definition], capacity: &Capacity, machine: Machine) -> Result<Self> {
        let mut demand = Self::default();
        for map in maps {
            let MapMemory {
                reported,
                unreported,
            } = map.taken(capacity, machine)?;
            let part = match Use::of(&map.name) {
                Use::Tables => &mut demand.tables,
                Use::Flows => &mut demand.flows,
                Use::Connections => &mut demand.connections,
                Use::Hosts => &mut demand.hosts,
                Use::Other => &mut demand.other,
            };
            *part += reported + unreported;
        }
        Ok(demand)
    }
}

/// How large the maps are to be, and what that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Entries.
    pub capacity: Capacity,
    /// Bytes.
    pub demand: Demand,
    machine: Machine,
    budget: Size,
    /// `--max-flows` was given.
    flows_given: bool,
}

impl Plan {
    /// `max_flows` flows, or as many as fit into `budget`.
    ///
    /// # Errors
    /// One line where not even [`LEAST_FLOWS`] fit.
    pub fn new(budget: Size, max_flows: Option<u32>, machine: Machine) -> Result<Self> {
        let maps = definitions()?;
        let capacity = match max_flows {
            Some(flows) => Capacity::of_flows(flows, machine),
            None => within(&maps, budget, machine)?,
        };
        Ok(Self {
            capacity,
            demand: Demand::of(&maps, &capacity, machine)?,
            machine,
            budget,
            flows_given: max_flows.is_some(),
        })
    }

    /// The flags that it follows from, with their values.
    pub fn flags(&self) -> String {
        match self.flows_given {
            true => format!("--max-flows {}", self.capacity.flows()),
            false => format!("--map-memory {}", self.budget),
        }
    }

    /// What to make smaller where there is not enough memory.
    pub fn remedy(&self) -> &'static str {
        match self.flows_given {
            true => {
                "give a lower --max-flows, or leave it out, so that it follows from --map-memory"
            }
            false => "give a lower --map-memory",
        }
    }
}

/// `85247 flows on 2 possible CPUs (61440 slots of each CPU, 23807 shared) take 64.0 MiB of kernel
/// memory (tables …), by --map-memory 64MiB`
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Demand {
            tables,
            flows,
            connections,
            hosts,
            other,
        } = self.demand;
        let Capacity { slots, entries, .. } = self.capacity;
        write!(
            f,
            "{} flows on {} possible CPUs (",
            self.capacity.flows(),
            self.machine.cpus
        )?;
        match self.machine.is_preemptible {
            true => write!(
                f,
                "no tables on a PREEMPT_RT kernel, {entries} in hash maps"
            )?,
            false => write!(f, "{slots} slots of each CPU, {entries} shared")?,
        }
        write!(
            f,
            ") take {} of kernel memory (tables {}, shared flows {}, connections {}, host flows {}, \
             other {}), by {}",
            self.demand.total().rounded(),
            Size(tables).rounded(),
            Size(flows).rounded(),
            Size(connections).rounded(),
            Size(hosts).rounded(),
            Size(other).rounded(),
            self.flags(),
        )
    }
}

/// Slots of each CPU that half of the budget holds, beside an index that is large enough for them.
fn slots_within(budget: Size, machine: Machine) -> u32 {
    if machine.is_preemptible {
        return 0;
    }
    let tables = u64::from(SETS * machine.cpu_numbers) * FAMILIES as u64;
    let each = budget.0 / 2 / tables.max(1);
    let indexed = |bits| {
        let index = (size_of::<Bucket>() as u64) << bits;
        let fit = each.saturating_sub(index) / size_of::<Slot4>() as u64;
        fit.min((BUCKET_SLOTS as u64) << bits)
    };
    let largest = (MOST_SLOTS / BUCKET_SLOTS as u32).ilog2();
    let fit = (0..=largest).map(indexed).max().unwrap_or(0);
    fit.max(FEWEST_SLOTS.into()) as u32
}

/// The most flows that fit. What maps take grows with the flows, so halving finds it.
fn within(maps: &[Definition], budget: Size, machine: Machine) -> Result<Capacity> {
    let capacity = |entries: u32, budget: Size| {
        let slots = slots_within(budget, machine);
        Capacity::of(slots, entries, machine)
    };
    let takes = |entries: u32, budget: Size| -> Result<Size> {
        Ok(Demand::of(maps, &capacity(entries, budget), machine)?.total())
    };
    if takes(LEAST_FLOWS, budget)? > budget {
        // A larger budget has more slots, too.
        let mut needed = budget;
        while takes(LEAST_FLOWS, needed)? > needed {
            needed = Size((needed.0 + 1).next_multiple_of(1 << 20));
        }
        bail!(
            "--map-memory: {budget} is not enough for {LEAST_FLOWS} flows on {} possible CPUs: \
             give at least {}MiB",
            machine.cpus,
            needed.0 >> 20,
        );
    }
    let (mut fits, mut too_many) = (LEAST_FLOWS, MOST_FLOWS + 1);
    while too_many - fits > 1 {
        let middle = fits + (too_many - fits) / 2;
        match takes(middle, budget)? <= budget {
            true => fits = middle,
            false => too_many = middle,
        }
    }
    Ok(capacity(fits, budget))
}

#[cfg(test)]
mod tests;
