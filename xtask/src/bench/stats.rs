//! The kernel's run time statistics of bpf programs.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::exec::{self, Cmd};

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// Statistics are on while this lives; then they are as they were before.
pub(super) struct Enabled {
    before: String,
}

impl Enabled {
    pub(super) fn switch_on() -> Result<Self> {
        let before = fs::read_to_string(SWITCH).with_context(|| format!("reading {SWITCH}"))?;
        fs::write(SWITCH, "1").with_context(|| format!("writing {SWITCH}"))?;
        Ok(Self { before })
    }
}

impl Drop for Enabled {
    fn drop(&mut self) {
        let _ = fs::write(SWITCH, &self.before);
    }
}

/// What a program has cost since it was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) run_time_ns: u64,
    pub(super) runs: u64,
}

impl Cost {
    /// Nanoseconds per run since `earlier`; none when it did not run.
    pub(super) fn per_run_since(self, earlier: Self) -> Option<f64> {
        let runs = self
            .runs
            .checked_sub(earlier.runs)
            .filter(|runs| *runs > 0)?;
        let time = self.run_time_ns.saturating_sub(earlier.run_time_ns);
        Some(time as f64 / runs as f64)
    }
}

/// Nanoseconds of a run of two programs between two readings: their mean, or that of the one that ran.
pub(super) fn mean_per_run(before: [Cost; 2], after: [Cost; 2]) -> Option<f64> {
    let [transmit, receive] = [0, 1].map(|index| after[index].per_run_since(before[index]));
    match (transmit, receive) {
        (Some(transmit), Some(receive)) => Some(f64::midpoint(transmit, receive)),
        (one, other) => one.or(other),
    }
}

/// Reads one file of `/proc/PID/fdinfo`: a program's id and cost, or none when the descriptor is
/// something else (`bpf_prog_show_fdinfo` in the kernel's `kernel/bpf/syscall.c`).
pub(super) fn read(file: &Path) -> Result<Option<(u32, Cost)>> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    Ok(parse(&text))
}

/// The name of a program, as bpftool tells it.
pub(super) fn name_of(id: u32) -> Result<String> {
    let show = ["--json", "prog", "show", "id", &id.to_string()];
    let shown = exec::output(Cmd::new("bpftool").args(show))?;
    let program: Value = serde_json::from_str(&shown).context("bpftool's answer")?;
    Ok(program["name"].as_str().unwrap_or_default().to_owned())
}

fn parse(text: &str) -> Option<(u32, Cost)> {
    let field = |name: &str| {
        text.lines().find_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix(':')?
                .trim()
                .parse()
                .ok()
        })
    };
    let cost = Cost {
        run_time_ns: field("run_time_ns")?,
        runs: field("run_cnt")?,
    };
    Some((u32::try_from(field("prog_id")?).ok()?, cost))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_told_from_other_descriptors() {
        let text = "pos:\t0\nprog_type:\t3\nprog_id:\t77\nrun_time_ns:\t5000\nrun_cnt:\t100\n";
        assert_eq!(
            parse(text),
            Some((
                77,
                Cost {
                    run_time_ns: 5_000,
                    runs: 100
                }
            ))
        );
        assert_eq!(parse("pos:\t0\nmap_type:\t1\nmap_id:\t3\n"), None);
    }

    #[test]
    fn cost_is_told_per_run_between_two_readings() {
        let earlier = Cost {
            run_time_ns: 1_000,
            runs: 10,
        };
        let later = Cost {
            run_time_ns: 4_000,
            runs: 110,
        };
        assert_eq!(later.per_run_since(earlier), Some(30.0));
        assert_eq!(earlier.per_run_since(earlier), None);
    }
}
