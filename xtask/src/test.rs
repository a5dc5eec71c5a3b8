//! `cargo xtask test`: everything there is to run, and one closing line that counts it.
//!
//! A test's place says as whom it runs. *Unit* tests live beside the code, in a library or a
//! program, and run as whoever calls. *Root* tests load kernel programs and build network
//! namespaces: everything in a package's `tests` folder, and unit tests marked
//! `#[ignore = "needs root"]`. They run as root, two programs side by side, but for kernel programs
//! and what measures ([`schedule`]). What needs [`others`] that a fresh machine has yet to build
//! comes last. Beside all that the kernel's own tests run on the oldest supported kernel, in an
//! emulator. `--units` and `--quick` ([`quick`]) are parts of that.

use anyhow::{Result, bail};
use zonemeter_lab::IMAGE_ROOT;

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
mod schedule;

pub(crate) use executables::{Executable, build as build_tests, build_for};
use others::Others;
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

/// Features of dependencies that tests have: with the same ones for the agent nothing is compiled
/// twice.
pub(crate) const AS_IN_TESTS: [&str; 2] = ["--features", "tokio/io-util,tokio/test-util"];

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

/// `cargo xtask ci`: what must hold before a change lands, `lint` and then `test`. In one process,
/// so that programs of others that tests need are built from the first second on.
pub(crate) fn ci() -> Result<()> {
    let others = Others::start()?;
    lint::run()?;
    run_with(&Args::default(), others)
}

/// As [`run`], with builds that have begun.
fn run_with(args: &Args, mut others: Others) -> Result<()> {
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
    // Unit tests first: they are quick, and when they fail the lab's failures mean little.
    let mut units = Run::units(&executables, args.filter.as_deref())?;
    let mut rooted = match (args.units, args.quick) {
        (true, _) => Vec::new(),
        (_, true) => quick::runs(&executables, privilege)?,
        _ => Run::all_as_root(&executables, args.filter.as_deref(), privilege)?,
    };
    let mut image = None;
    if rooted.iter().any(Run::needs_image) {
        let root = image.insert(image::dev()?).root.clone();
        // The image's is static: no library can be put in front of it, as a test of a slow disk does.
        build_agent()?;
        for run in rooted.iter_mut().filter(|run| run.needs_image()) {
            run.set_env(IMAGE_ROOT, root.clone());
        }
    }
    let oldest = match args.is_everything() {
        true => Some(kernels::Oldest::start(&executables)?),
        false => None,
    };
    let mut outcome = schedule::run(&mut units, &mut others)?;
    outcome.add(schedule::run(&mut rooted, &mut others)?);
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

/// The agent as tests and demo run it: optimised in the kernel, quick to build elsewhere.
pub(crate) fn build_agent() -> Result<()> {
    exec::run(Cmd::cargo().args(BUILD_AGENT).args(AS_IN_TESTS))
}
