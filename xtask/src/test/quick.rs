//! `cargo xtask test --quick`: what finds most faults within minutes. Kernel programs on crafted
//! packets, and the main scenarios of the lab.

use anyhow::{Context as _, Result};

use super::{Executable, Run};
use crate::privilege::Privilege;

/// Test programs, and what a test's name contains; nothing means all. The longest first.
const SCENARIOS: [(&str, &[&str]); 11] = [
    ("datapath: zonemeter_datapath", &[]),
    (
        "tests: exactness",
        &[
            "cluster_file::",
            "ipv6_is",
            "known_amounts",
            "packets_joined",
            "the_node_itself",
        ],
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

/// Their runs.
///
/// # Errors
/// A program is not there, or has no such test.
pub(super) fn runs(executables: &[Executable], privilege: Privilege) -> Result<Vec<Run>> {
    let run = |(name, tests): &(&str, &[&str])| {
        let executable = executables.iter().find(|one| one.name == *name);
        let executable = executable.with_context(|| format!("no test program {name}"))?;
        let run = Run::as_root(executable, tests, privilege)?;
        run.with_context(|| format!("{name} has no test of the names {}", tests.join(", ")))
    };
    SCENARIOS.iter().map(run).collect()
}
