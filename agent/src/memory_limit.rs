//! Whether the container's memory limit leaves the process what it may need beside its maps. The
//! kernel kills a process without a word where it does not, so it is said before.

use zonemeter_datapath::{
    facts::Facts,
    memory::{Plan, Size},
};

/// Without series: the code, the kernel's types at the start, and the names of 10,000 pods
/// (docs/live-cluster.md).
const PROCESS: u64 = 32 << 20;
/// A series, and what of pairs beyond the ceiling is kept beside it (docs/series.md).
const SERIES: u64 = 3 << 10;

/// What the process may need with so many series, its maps apart.
pub fn needed(max_series: usize) -> Size {
    Size(PROCESS + SERIES * max_series as u64)
}

/// What to say where the lowest limit is below the maps and [`needed`] together. Where it is below
/// the maps alone nothing: the agent ends then, with a message of its own.
pub fn too_low(facts: &Facts, plan: &Plan, max_series: usize) -> Option<String> {
    let limit = facts.cgroup.as_ref()?;
    let (maps, process) = (plan.demand.total(), needed(max_series));
    // Before Linux 5.11 maps do not count against it.
    let counted = if facts.locks_memory() { 0 } else { maps.0 };
    let range = counted..counted + process.0;
    range.contains(&limit.size.0).then(|| {
        format!(
            "the memory cgroup allows {} ({}), the maps take {} and the process may need {} \
             beside them, by --max-series {max_series}: the kernel may kill it (OOMKilled): raise \
             the container's memory limit, or give a lower --map-memory or --max-series",
            limit.size.rounded(),
            limit.file.display(),
            maps.rounded(),
            process.rounded(),
        )
    })
}

#[cfg(test)]
mod tests {
    use zonemeter_datapath::{
        facts::Limit,
        memory::{DEFAULT_BUDGET, Machine},
    };

    use super::*;

    /// The chart's default and half of it, with the default number of series.
    #[test]
    fn half_of_the_default_limit_is_too_low() {
        let machine = Machine {
            cpus: 2,
            cpu_numbers: 2,
            is_preemptible: false,
            page: 4096,
        };
        let plan = Plan::new(DEFAULT_BUDGET, None, machine).unwrap();
        let with = |mebibytes: u64, release: &str| Facts {
            release: release.to_owned(),
            cgroup: Some(Limit {
                size: Size(mebibytes << 20),
                file: "/cg/memory.max".into(),
            }),
            ..Facts::default()
        };
        for enough_or_ended in [256, 48] {
            assert_eq!(
                too_low(&with(enough_or_ended, "6.1.0"), &plan, 20_000),
                None
            );
        }
        let said = too_low(&with(128, "6.1.0"), &plan, 20_000).unwrap();
        for word in ["128.0 MiB (/cg/memory.max)", "90.6 MiB", "OOMKilled"] {
            assert!(said.contains(word), "{said}");
        }
        assert_eq!(too_low(&with(128, "6.1.0"), &plan, 1_000), None);
        assert_eq!(too_low(&with(128, "5.10.0"), &plan, 20_000), None);
        assert_eq!(too_low(&Facts::default(), &plan, 20_000), None);
    }
}
