//! What maps take, against what the kernel says of each.

use std::fs;

use super::Bench;
use crate::{
    facts,
    memory::{self, DEFAULT_BUDGET, Machine, Plan},
};

/// Since then the kernel counts what a map takes; from 5.11 on it had told an estimate.
const COUNTED: (u32, u32) = (6, 4);

/// Name, entries and `memlock` of every map that this process holds.
fn held() -> Vec<(u32, u64, u64)> {
    let descriptors = fs::read_dir("/proc/self/fdinfo").expect("descriptors");
    let of = |text: &str, name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(entry.ok()?.path()).ok()?;
        let id = of(&text, "map_id:")? as u32;
        Some((id, of(&text, "max_entries:")?, of(&text, "memlock:")?))
    };
    descriptors.filter_map(read).collect()
}

#[tokio::test]
#[ignore = "needs root"]
async fn what_was_computed_is_what_the_kernel_says() {
    let before = held();
    let plan = Plan::new(DEFAULT_BUDGET, None, Machine::this().unwrap()).unwrap();
    let bench = Bench::with(|settings| settings.plan = plan);
    let mut maps: Vec<_> = held();
    maps.retain(|map| !before.contains(map));
    maps.sort();
    maps.dedup();
    let told: u64 = maps.iter().map(|(.., memlock)| memlock).sum();
    let computed: u64 = memory::definitions()
        .unwrap()
        .iter()
        .map(|map| {
            map.taken(&plan.capacity, Machine::this().unwrap())
                .unwrap()
                .reported
        })
        .sum();
    println!(
        "{plan}; {} maps: computed {computed}, the kernel says {told}",
        maps.len()
    );
    assert!(maps.len() >= 12, "{maps:?}");
    assert!(computed >= told, "{computed} {told} {maps:?}");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let estimated =
        (facts::CHARGED_TO_CGROUP..COUNTED).contains(&facts::version(&release).unwrap());
    assert!(
        estimated || computed <= told + told / 20,
        "{computed} {told} {maps:?}"
    );
    drop(bench);
}
