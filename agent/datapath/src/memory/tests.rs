use std::{env, fmt::Write as _, fs};

use zonemeter_common::names;

use super::*;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/map-memory.md");
/// Compiled in: an emulated kernel has no sources beside its tests.
const FOUND: &str = include_str!("../../../../docs/map-memory.md");
/// Set to any value, the test writes the file instead of comparing it.
const UPDATE: &str = "ZONEMETER_UPDATE_DOCS";
const HEAD: &str = include_str!("head.md");
const MIB: u64 = 1 << 20;

fn machine(cpus: u64) -> Machine {
    Machine {
        cpus,
        cpu_numbers: cpus as u32,
        is_preemptible: false,
        page: 4096,
    }
}

fn plan(mebibytes: u64, cpus: u64) -> Result<Plan> {
    Plan::new(Size(mebibytes * MIB), None, machine(cpus))
}

fn taken(kind: bpf_map_type, [key, value, entries]: [u64; 3], cpus: u64) -> MapMemory {
    let map = Definition {
        name: "M".to_owned(),
        kind,
        key,
        value,
        entries,
        is_mapped: false,
    };
    let capacity = Capacity::of(0, 1, machine(cpus));
    map.taken(&capacity, machine(cpus)).unwrap()
}

/// Worked out by hand from the structures of Linux 6.12.
#[test]
fn each_kind_of_map_takes_what_its_structures_take() {
    // 48 + 24 + 80 bytes, and one element and one pointer more for each CPU; 1024 buckets of 16
    // bytes; 2 CPUs with 8 locks of 4 bytes; 1024 for the map.
    let tracked = taken(BPF_MAP_TYPE_HASH, [20, 80, 1000], 2);
    assert_eq!(
        tracked.reported,
        1002 * 152 + 16 + 1024 * 16 + 2 * 32 + 1024
    );
    assert_eq!(tracked.unreported, 0);
    // A pointer and the values.
    let totals = taken(BPF_MAP_TYPE_PERCPU_ARRAY, [4, 64, 1], 192);
    assert_eq!(totals.reported, 8 + 192 * 64 + 1024);
    assert_eq!(totals.unreported, 128);
    assert_eq!(
        taken(BPF_MAP_TYPE_ARRAY, [4, 8192, 1], 2).reported,
        3 * 4096
    );
    // A page for the map, and pages of its own for the slots.
    let tables = Definition {
        name: names::MAP_TABLES4.to_owned(),
        kind: BPF_MAP_TYPE_ARRAY,
        key: 4,
        value: 64,
        entries: 1,
        is_mapped: true,
    };
    let capacity = Capacity::of(1024, 1, machine(3));
    let taken_by_tables = tables.taken(&capacity, machine(3)).unwrap();
    assert_eq!(taken_by_tables.reported, 4096 + 3 * 2 * 1024 * 64);
    let ring = taken(BPF_MAP_TYPE_RINGBUF, [0, 0, 64 * 4096], 2).reported;
    assert_eq!(ring, 67 * 4096 + 67 * 16 + 1024);
}

#[test]
fn the_default_fits_every_number_of_cpus() {
    let mut last = MOST_FLOWS;
    for cpus in [1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 448] {
        let plan = Plan::new(DEFAULT_BUDGET, None, machine(cpus)).unwrap();
        let total = plan.demand.total();
        assert!(total <= DEFAULT_BUDGET, "{plan}");
        // One flow more takes less than 2 % of the budget, but where the buckets double.
        assert!(total.0 * 100 > DEFAULT_BUDGET.0 * 90, "{plan}");
        let Capacity { slots, entries, .. } = plan.capacity;
        assert!(slots <= last && entries >= LEAST_FLOWS, "{plan}");
        assert_eq!(plan.capacity.flows(), slots + entries);
        last = slots;
    }
}

#[test]
fn a_budget_that_is_too_small_is_refused_with_what_is_needed() {
    let refused = plan(4, 192).unwrap_err().to_string();
    let start = "--map-memory: 4MiB is not enough for 1024 flows on 192 possible CPUs: give ";
    assert!(refused.starts_with(start), "{refused}");
    let (_, needed) = refused.rsplit_once("give at least ").unwrap();
    let needed = needed.strip_suffix("MiB").unwrap().parse().unwrap();
    assert!(plan(needed, 192).unwrap().capacity.flows() >= LEAST_FLOWS);
    assert!(plan(needed - 1, 192).is_err());
    assert!(plan(8, 2).unwrap().capacity.flows() > LEAST_FLOWS);
}

#[test]
fn max_flows_overrides_the_budget() {
    let plan = Plan::new(DEFAULT_BUDGET, Some(2_097_152), machine(2)).unwrap();
    assert_eq!(plan.capacity.flows(), 2_097_152);
    assert_eq!(
        (plan.capacity.slots, plan.capacity.entries),
        (65_536, 2_031_616)
    );
    // Two sets of 96 and 120 bytes for an entry, and of 152 and 176 for a connection; of 88 and 112
    // for a flow of the node's own sockets. 16 more for each bucket.
    let entries = 2_031_616u64;
    let buckets = 2_097_152 * 16 * 8 + 524_288 * 16 * 4;
    let hand = entries * 2 * (96 + 120 + 152 + 176) + entries / 4 * 2 * (88 + 112) + buckets;
    let tables = 2 * 2 * 2 * 65_536 * (64 + 4);
    let total = plan.demand.total().0;
    assert!(
        (hand + tables..hand + tables + 8 * MIB).contains(&total),
        "{hand} {plan}"
    );
    assert!(
        plan.to_string().contains("by --max-flows 2097152"),
        "{plan}"
    );
}

#[test]
fn a_cpu_has_its_part_of_all_flows_in_slots() {
    for (flows, slots) in [
        (1, 0),
        (7, 3),
        (8, 4),
        (64, 32),
        (1000, 500),
        (131_072, 65_536),
    ] {
        let plan = Plan::new(DEFAULT_BUDGET, Some(flows), machine(2)).unwrap();
        assert_eq!((plan.capacity.slots, plan.capacity.flows()), (slots, flows));
    }
    let plan = Plan::new(DEFAULT_BUDGET, Some(65_536), machine(192)).unwrap();
    assert_eq!((plan.capacity.slots, plan.capacity.flows()), (341, 65_536));
}

#[test]
fn a_bucket_of_the_index_is_for_eight_slots_at_most() {
    for (slots, buckets) in [(1, 1), (8, 1), (9, 2), (61_440, 8192), (65_536, 8192)] {
        let capacity = Capacity::of(slots, 1, machine(3));
        assert_eq!(capacity.buckets(), buckets);
        assert_eq!(capacity.entries(names::MAP_INDEX6), Some(6 * buckets));
        assert_eq!(capacity.entries(names::MAP_TABLES6), Some(6 * slots));
    }
    let none = Capacity::of(0, 1, machine(3));
    assert_eq!(none.entries(names::MAP_INDEX4), Some(1));
}

#[test]
fn a_preemptible_kernel_has_no_tables() {
    let machine = Machine {
        is_preemptible: true,
        ..machine(16)
    };
    let plan = Plan::new(DEFAULT_BUDGET, None, machine).unwrap();
    assert_eq!(plan.capacity.slots, 0);
    assert!(plan.capacity.entries > 40_000, "{plan}");
    assert!(
        plan.to_string()
            .contains("no tables on a PREEMPT_RT kernel"),
        "{plan}"
    );
    let total = plan.demand.total();
    assert!(
        total <= DEFAULT_BUDGET && total.0 * 10 > DEFAULT_BUDGET.0 * 9,
        "{plan}"
    );
}

#[test]
fn sizes_read_as_they_are_typed() {
    for (bytes, shown) in [
        (64 * MIB, "64MiB"),
        (1 << 30, "1GiB"),
        (1536, "1536"),
        (2048, "2KiB"),
        (0, "0"),
    ] {
        assert_eq!(Size(bytes).to_string(), shown);
    }
    assert_eq!(Size(64 * MIB).rounded(), "64.0 MiB");
    assert_eq!(Size(64 * MIB + 1).rounded(), "64.1 MiB");
}

#[test]
fn the_table_of_the_docs_is_what_the_arithmetic_says() {
    let mut expected = HEAD.to_owned();
    for cpus in [2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 448] {
        let default = Plan::new(DEFAULT_BUDGET, None, machine(cpus)).unwrap();
        let total = default.demand.total().rounded();
        let flows = |mebibytes| match plan(mebibytes, cpus) {
            Ok(plan) => room(&plan),
            Err(_) => "refused".to_owned(),
        };
        let fixed = Plan::new(DEFAULT_BUDGET, Some(65_536), machine(cpus)).unwrap();
        writeln!(
            expected,
            "| {cpus} | {} | {total} | {} | {} | {} | {} |",
            room(&default),
            flows(16),
            flows(128),
            flows(512),
            fixed.demand.total().rounded(),
        )
        .unwrap();
    }
    if env::var_os(UPDATE).is_some() {
        return fs::write(PATH, &expected).unwrap();
    }
    assert!(
        FOUND == expected,
        "docs/map-memory.md differs: {UPDATE}=1 cargo test -p zonemeter-datapath memory::"
    );
}

/// `61440 + 23807`: slots of each CPU, and entries.
fn room(plan: &Plan) -> String {
    format!("{} + {}", plan.capacity.slots, plan.capacity.entries)
}
