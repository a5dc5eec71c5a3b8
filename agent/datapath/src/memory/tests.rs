use std::{env, fmt::Write as _, fs};

use super::*;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/map-memory.md");
/// Compiled in: an emulated kernel has no sources beside its tests.
const FOUND: &str = include_str!("../../../../docs/map-memory.md");
/// Set to any value, the test writes the file instead of comparing it.
const UPDATE: &str = "ZONEMETER_UPDATE_DOCS";
const HEAD: &str = include_str!("head.md");
const MIB: u64 = 1 << 20;

fn machine(cpus: u64) -> Machine {
    Machine { cpus, page: 4096 }
}

fn plan(mebibytes: u64, cpus: u64) -> Result<Plan> {
    Plan::new(Size(mebibytes * MIB), None, machine(cpus))
}

fn taken(kind: bpf_map_type, [key, value, entries]: [u64; 3], cpus: u64) -> Taken {
    let map = Definition {
        name: "M".to_owned(),
        kind,
        key,
        value,
        entries,
    };
    map.taken(&Capacity::of(1, Size(0)), machine(cpus)).unwrap()
}

/// Worked out by hand from the structures of Linux 6.12.
#[test]
fn each_kind_of_map_takes_what_its_structures_take() {
    // 1000 elements of 48 + 24 + 8 bytes, two values of 16 for each; 1024 buckets of 16 bytes; 2
    // CPUs with 8 locks of 4 bytes; 1024 for the map. Not told: 4 pointers of 8 bytes for each.
    let flows = taken(BPF_MAP_TYPE_PERCPU_HASH, [20, 16, 1000], 2);
    assert_eq!(flows.told, 1000 * (80 + 32) + 1024 * 16 + 2 * 32 + 1024);
    assert_eq!(flows.untold, 1000 * 32);
    // 48 + 24 + 80 bytes, and one element and one pointer more for each CPU.
    let tracked = taken(BPF_MAP_TYPE_HASH, [20, 80, 1000], 2);
    assert_eq!(tracked.told, 1002 * 152 + 16 + 1024 * 16 + 2 * 32 + 1024);
    assert_eq!(tracked.untold, 0);
    // A pointer and the values.
    let totals = taken(BPF_MAP_TYPE_PERCPU_ARRAY, [4, 64, 1], 192);
    assert_eq!(totals.told, 8 + 192 * 64 + 1024);
    assert_eq!(totals.untold, 128);
    assert_eq!(taken(BPF_MAP_TYPE_ARRAY, [4, 8192, 1], 2).told, 3 * 4096);
    let ring = taken(BPF_MAP_TYPE_RINGBUF, [0, 0, 64 * 4096], 2).told;
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
        assert!(
            (LEAST_FLOWS..=last).contains(&plan.capacity.flows),
            "{plan}"
        );
        last = plan.capacity.flows;
    }
}

#[test]
fn a_budget_that_is_too_small_is_refused_with_what_is_needed() {
    let refused = plan(4, 192).unwrap_err().to_string();
    let start = "--map-memory: 4MiB is not enough for 1024 flows on 192 possible CPUs: give ";
    assert!(refused.starts_with(start), "{refused}");
    let (_, needed) = refused.rsplit_once("give at least ").unwrap();
    let needed = needed.strip_suffix("MiB").unwrap().parse().unwrap();
    assert!(plan(needed, 192).unwrap().capacity.flows >= LEAST_FLOWS);
    assert!(plan(needed - 1, 192).is_err());
    assert!(plan(4, 2).unwrap().capacity.flows > LEAST_FLOWS);
}

#[test]
fn max_flows_overrides_the_budget() {
    let plan = Plan::new(DEFAULT_BUDGET, Some(2_097_152), machine(2)).unwrap();
    assert_eq!(plan.capacity.flows, 2_097_152);
    // Two sets of 112 + 32 and 136 + 32 bytes for a flow, and 168 + 192 for a connection of half
    // as many; 16 more for each bucket. Flows of the node's own sockets have keys as long.
    let (flows, connections, hosts) = (2_097_152u64, 1_048_576u64, 262_144u64);
    let hand = (flows + hosts) * 2 * (144 + 168 + 32) + connections * 2 * (152 + 176 + 32);
    let total = plan.demand.total().0;
    assert!((hand..hand + 8 * MIB).contains(&total), "{hand} {plan}");
    assert!(
        plan.to_string().contains("by --max-flows 2097152"),
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
            Ok(plan) => plan.capacity.flows.to_string(),
            Err(_) => "refused".to_owned(),
        };
        let fixed = Plan::new(DEFAULT_BUDGET, Some(65_536), machine(cpus)).unwrap();
        writeln!(
            expected,
            "| {cpus} | {} | {total} | {} | {} | {} | {} |",
            default.capacity.flows,
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
