//! `cargo xtask test`: everything there is to run, and one closing line that counts it.
//!
//! A test's place says as whom it runs. *Unit* tests live beside the code, in a library or a
//! program, and run as whoever calls. *Root* tests load kernel programs and build network
//! namespaces: everything in a package's `tests` folder, and unit tests marked
//! `#[ignore = "needs root"]`. They run as root: kernel programs and what measures one at a time,
//! for they share one kernel, the others some at a time. What needs [`others`] that a fresh
//! machine has yet to build comes last. Beside all that the kernel's own tests run on the oldest
//! supported kernel, in an emulator. `--units` and `--quick` ([`quick`]) are parts of that.

use anyhow::{Result, bail};
use zonemeter_lab::container::IMAGE_ROOT;

use crate::{
    demo,
    exec::{self, Cmd},
    image, kernels, lint, manifests,
    privilege::Privilege,
    progress, release, rules, setup,
};

mod executables;
mod others;
mod outcome;
mod quick;
mod runs;

use executables::Tier;
pub(crate) use executables::{Executable, build as build_tests, build_for};
pub(crate) use others::Others;
pub(crate) use outcome::Outcome;
pub(crate) use runs::Run;

/// What cargo has to do for the agent's executable.
pub(crate) const BUILD_AGENT: [&str; 6] = [
    "build",
    "--locked",
    "--package",
    "zonemeter-agent",
    "--bin",
    "zonemeter",
];

/// What to run.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Only tests whose name contains this
    filter: Option<String>,
    /// Only unit tests: no root
    #[arg(long, conflicts_with = "quick")]
    units: bool,
    /// Lint, unit tests, kernel programs on crafted packets, the main scenarios of the lab
    #[arg(long, conflicts_with = "filter")]
    quick: bool,
}

impl Args {
    fn is_everything(&self) -> bool {
        !self.units && !self.quick && self.filter.is_none()
    }
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let others = match args.is_everything() {
        true => Others::start()?,
        false => Others::default(),
    };
    run_with(args, others)
}

/// As [`run`], with builds that have begun.
pub(crate) fn run_with(args: &Args, mut others: Others) -> Result<()> {
    setup::ensure()?;
    let privilege = Privilege::find();
    if privilege == Privilege::Absent && !args.units {
        bail!(
            "the kernel's tests and the lab need root or passwordless sudo; without, `--units` runs the unit tests"
        );
    }
    if args.quick {
        lint::run()?;
    }
    let executables = progress::step("building the agent and the tests", build_tests)?;
    let mut runs = plan(&executables, args, privilege)?;
    let mut image = None;
    if runs.iter().any(Run::needs_image) {
        let image = image.insert(image::dev()?);
        // The image's is static: no library can be put in front of it, as a test of a slow disk does.
        build_agent()?;
        let with_image = |run: Run| match run.needs_image() {
            true => run.env(IMAGE_ROOT, image.root.clone()),
            false => run,
        };
        runs = runs.into_iter().map(with_image).collect();
    }
    let (waiting, ready): (Vec<_>, Vec<_>) =
        runs.into_iter().partition(|run| !run.needs.is_empty());
    let oldest = match args.is_everything() {
        true => Some(kernels::Oldest::start(&executables)?),
        false => None,
    };
    let mut outcome = run_all(ready, &mut others)?;
    outcome.add(run_all(waiting, &mut others)?);
    if args.quick {
        outcome.add(quick::run(&executables, privilege)?);
    }
    if let Some(oldest) = oldest {
        outcome.add(oldest.wait()?);
    }
    outcome.report();
    match outcome.failed {
        0 if outcome.passed == 0 => bail!("no test ran: does the filter fit?"),
        0 if !args.is_everything() => Ok(()),
        0 => {
            progress::step("rules, scrapes and dashboards", rules::check)?;
            progress::step("chart and plain manifests", manifests::check)?;
            if let Some(image) = &image {
                progress::step("a release of the tests' image", || release::check(image))?;
            }
            progress::step("README.md shows what the demo prints", demo::check_readme)
        }
        _ => bail!("tests failed"),
    }
}

/// The agent as the demo runs it: optimised in the kernel, quick to build elsewhere. The tests take
/// the one that is built with them.
pub(crate) fn build_agent() -> Result<()> {
    exec::run(Cmd::cargo().args(BUILD_AGENT))
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
    if args.units || args.quick {
        return Ok(runs);
    }
    if filter.is_none() {
        runs.push(Run::documentation());
    }
    for executable in executables {
        let threads = executable.threads();
        let filters: Vec<&str> = filter.into_iter().collect();
        runs.extend(Run::as_root(executable, &filters, threads, privilege)?);
    }
    runs.sort_by_key(|run| run.needs.iter().max());
    Ok(runs)
}

fn run_all(runs: Vec<Run>, others: &mut Others) -> Result<Outcome> {
    let mut total = Outcome::default();
    for mut run in runs {
        others.check()?;
        for need in run.needs {
            let (variable, folder) = others.wait(*need)?;
            run = run.env(variable, folder);
        }
        let outcome =
            progress::judged_step(&run.title, || run.execute(), |outcome| outcome.failed == 0)?;
        total.add(outcome);
    }
    Ok(total)
}
