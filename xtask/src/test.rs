//! `cargo xtask test`: everything there is to run, and one closing line that counts it.
//!
//! Two tiers, told apart by where a test stands. *Unit* tests live beside the code, in a
//! library or a program, and run as whoever calls. *Root* tests load kernel programs and build
//! network namespaces: everything in a package's `tests` folder, and unit tests marked
//! `#[ignore = "needs root"]`. They run as root, one at a time, for they share one kernel. Last,
//! the kernel's own tests run on the oldest supported kernel, in an emulator.

use anyhow::{Result, bail};
use zonemeter_lab::go_tools::KUBERNETES;

use crate::{
    exec::{self, Cmd},
    kernels, kubernetes,
    privilege::Privilege,
    progress, prometheus, rules, setup,
};

mod executables;
mod outcome;
mod runs;

use executables::Tier;
pub(crate) use executables::{Executable, build as build_tests, build_with};
pub(crate) use outcome::Outcome;
pub(crate) use runs::Run;

/// Test programs that talk to a real Kubernetes API server, which takes minutes to build once.
const NEED_KUBERNETES: [&str; 6] = [
    "agent: live_cluster",
    "tests: capacity",
    "tests: clusters",
    "tests: exactness",
    "tests: late",
    "tests: live",
];

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only tests whose name contains this
    filter: Option<String>,
    /// Only what needs neither root nor the lab
    #[arg(long)]
    quick: bool,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::ensure()?;
    let privilege = Privilege::find();
    if privilege == Privilege::Absent && !args.quick {
        bail!(
            "the kernel's tests and the lab need root or passwordless sudo; without, `--quick` runs the unit tests"
        );
    }
    if !args.quick {
        prometheus::ensure()?;
    }
    progress::step("building the agent", build_agent)?;
    let executables = progress::step("building the tests", build_tests)?;
    let mut outcome = run_all(&plan(&executables, args, privilege)?)?;
    if !args.quick && args.filter.is_none() {
        outcome.add(kernels::on_the_oldest(&executables)?);
    }
    outcome.report();
    match outcome.failed {
        0 if outcome.passed == 0 => bail!("no test ran: does the filter fit?"),
        0 if args.quick || args.filter.is_some() => Ok(()),
        0 => progress::step("rules, scrapes and dashboards", rules::check),
        _ => bail!("tests failed"),
    }
}

/// The agent as tests and the demo run it: optimised in the kernel, quick to build elsewhere.
pub(crate) fn build_agent() -> Result<()> {
    exec::run(Cmd::cargo().args([
        "build",
        "--locked",
        "--package",
        "zonemeter-agent",
        "--bin",
        "zonemeter",
    ]))
}

/// Unit tests first: they are quick, and when they fail the lab's failures mean little.
fn plan(executables: &[Executable], args: &Args, privilege: Privilege) -> Result<Vec<Run>> {
    let filter = args.filter.as_deref();
    let mut runs = Vec::new();
    for executable in executables
        .iter()
        .filter(|executable| executable.tier == Tier::Unit)
    {
        runs.extend(Run::units(executable, filter)?);
    }
    if args.quick {
        return Ok(runs);
    }
    if filter.is_none() {
        runs.push(Run::documentation());
    }
    for executable in executables {
        let run = Run::as_root(executable, filter, privilege)?;
        runs.extend(
            run.map(|run| with_requirements(run, executable))
                .transpose()?,
        );
    }
    Ok(runs)
}

/// Whether it talks to a real Kubernetes API server.
pub(crate) fn needs_kubernetes(executable: &Executable) -> bool {
    NEED_KUBERNETES.contains(&executable.name.as_str())
}

/// Brings what only some test programs need, when one of them is about to run.
fn with_requirements(run: Run, executable: &Executable) -> Result<Run> {
    if !needs_kubernetes(executable) {
        return Ok(run);
    }
    Ok(run.env(KUBERNETES.variable, kubernetes::ensure()?))
}

fn run_all(runs: &[Run]) -> Result<Outcome> {
    let mut total = Outcome::default();
    for run in runs {
        let outcome =
            progress::judged_step(&run.title, || run.execute(), |outcome| outcome.failed == 0)?;
        total.add(outcome);
    }
    Ok(total)
}
