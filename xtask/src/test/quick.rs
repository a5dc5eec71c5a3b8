//! `cargo xtask test --quick`: what finds most faults within minutes. Kernel programs on crafted
//! packets, then the main scenarios of the lab, some programs side by side: each lab has namespaces
//! of its own, and mostly waits.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, Result, anyhow};

use super::{Executable, Outcome, Run};
use crate::{privilege::Privilege, progress};

/// The tests of the kernel programs; one at a time, for they share one kernel.
const KERNEL: &str = "datapath: zonemeter_datapath";

/// Test programs of the lab, and what a test's name contains; nothing means all. The longest first.
const SCENARIOS: [(&str, &[&str]); 10] = [
    (
        "tests: exactness",
        &["cluster_file::", "packets_joined", "the_node_itself"],
    ),
    (
        "tests: totals",
        &["double_nothing_with_tcx", "cannot_be_used"],
    ),
    ("tests: second_veths", &["ipv4_egress_is", "a_second_nic"]),
    ("tests: restart", &["after_a_kill"]),
    ("tests: attach", &[]),
    ("tests: hooks", &["a_tcx_program_that_decides"]),
    ("tests: removal", &[]),
    ("tests: conditions", &[]),
    ("tests: debug", &[]),
    ("tests: refusal", &[]),
];
/// Programs at a time, and tests of each.
const PROGRAMS: usize = 2;
const THREADS: usize = 2;

/// Runs them.
///
/// # Errors
/// A program is not there, has no such test, or cannot be started.
pub(super) fn run(executables: &[Executable], privilege: Privilege) -> Result<Outcome> {
    let kernel = root_run(executables, KERNEL, &[], 1, privilege)?;
    let mut outcome = progress::judged_step(
        &kernel.title,
        || kernel.execute(),
        |outcome| outcome.failed == 0,
    )?;
    let mut scenarios = Vec::new();
    for (program, tests) in SCENARIOS.iter().rev() {
        scenarios.push(root_run(executables, program, tests, THREADS, privilege)?);
    }
    outcome.add(progress::judged_step(
        "the main scenarios of the lab",
        || side_by_side(scenarios),
        |outcome| outcome.failed == 0,
    )?);
    Ok(outcome)
}

fn root_run(
    executables: &[Executable],
    name: &str,
    tests: &[&str],
    threads: usize,
    privilege: Privilege,
) -> Result<Run> {
    let executable = executables.iter().find(|one| one.name == name);
    let executable = executable.with_context(|| format!("no test program {name}"))?;
    let run = Run::as_root(executable, tests, threads, privilege)?;
    run.with_context(|| format!("{name} has no test of the names {}", tests.join(", ")))
}

/// Takes the runs from the end of the list, some at a time.
fn side_by_side(runs: Vec<Run>) -> Result<Outcome> {
    let runs = Mutex::new(runs);
    let next = || runs.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let work = || {
        let mut outcome = Outcome::default();
        while let Some(run) = next() {
            outcome.add(run.execute_beside()?);
        }
        anyhow::Ok(outcome)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..PROGRAMS).map(|_| scope.spawn(work)).collect();
        let mut total = Outcome::default();
        for worker in workers {
            let outcome = worker.join();
            total.add(outcome.map_err(|_| anyhow!("a worker panicked"))??);
        }
        Ok(total)
    })
}
