//! `cargo xtask bench`: what counting costs per packet, with real packets between two pods of a
//! node of the lab; `cargo xtask bench series`: what many pairs cost the agent;
//! `cargo xtask bench neighbours`: what pods that attack at full size take from others;
//! `cargo xtask bench answers`: how soon the page, its JSON and `top` answer;
//! `cargo xtask bench sizing`: what a cluster of a size takes.
//!
//! Of the first, each round runs every case with nothing on the veths, with a program that does
//! nothing, with a counter of pairs, and with the agent. The kernel's own statistics
//! (`kernel.bpf_stats_enabled`) tell how long each program ran; they cost more than the programs, so
//! that throughput is measured without them.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use zonemeter_lab::{Family, Lab, Plan, PodPlan, interrupt};

use crate::{
    exec::{self, Cmd},
    go::{self, recipes},
    privilege, progress, repository, setup,
    test::BUILD_AGENT,
};

mod case;
mod floor;
mod lab_test;
mod machine;
mod measure;
mod report;
mod sizing;
mod stats;
#[path = "../../agent/datapath/src/tests/yardstick.rs"]
mod yardstick;

use case::Case;
use measure::{Mode, Sample};
use report::Report;

const LAB: &str = "bench";
const DOCUMENT: &str = "docs/bench-datapath.md";

/// How much to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure
    #[arg(value_enum, default_value = "datapath")]
    what: What,
    /// Rounds; the table shows medians over them
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=101))]
    rounds: u32,
    /// How long to measure each case in each round, in seconds
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Write the result to docs/bench-datapath.md, docs/series.md, docs/fairness.md or
    /// docs/read-the-numbers.md
    #[arg(long)]
    write: bool,
}

/// What there is to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Nanoseconds per packet
    Datapath,
    /// Memory and scrapes with many series
    Series,
    /// What attacks of one pod cost the others
    Neighbours,
    /// How soon the page, its JSON and `top` answer: with 100,000 flows, and of a whole cluster
    Answers,
    /// What a cluster of a size takes: docs/sizing.md out of what the others wrote; with --write
    /// all of them are measured anew, as root
    Sizing,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.what == What::Sizing && !args.write {
        return sizing::run(false);
    }
    setup::ensure()?;
    progress::step("building the agent (release)", build_agent)?;
    match args.what {
        What::Datapath => {}
        What::Sizing => return sizing::run(true),
        What::Series => {
            go::ensure(recipes::PROMETHEUS)?;
            return lab_test::run("cardinality", args.write);
        }
        What::Neighbours => return lab_test::run("neighbours", args.write),
        What::Answers => {
            go::ensure(recipes::PROMETHEUS)?;
            answers(args.write)?;
            return lab_test::run("whole_cluster", args.write);
        }
    }
    let mut again = vec![
        "bench".to_owned(),
        "--rounds".to_owned(),
        args.rounds.to_string(),
    ];
    again.extend(["--seconds".to_owned(), args.seconds.to_string()]);
    again.extend(args.write.then(|| "--write".to_owned()));
    privilege::as_root(&again, || measure_all(args))
}

fn build_agent() -> Result<()> {
    exec::run(Cmd::cargo().args(BUILD_AGENT).arg("--release"))
}

/// Of one agent: by its own unit tests, which hold a release build to what is promised.
fn answers(write: bool) -> Result<()> {
    let tests = "test --release --locked --package zonemeter-inspect --package zonemeter-cluster --lib speed";
    let mut command = Cmd::cargo().words(tests);
    command = command.words("-- --nocapture --test-threads=1");
    if write {
        command = command.env("ZONEMETER_UPDATE_DOCS", "1");
    }
    progress::step("asking an agent with 100,000 flows (release)", || {
        exec::run(command)
    })
}

fn measure_all(args: &Args) -> Result<()> {
    interrupt::watch()?;
    let lab = progress::quiet_step("raising the lab", || Lab::raise(plan()))?;
    let samples = rounds(&lab, args);
    progress::quiet_step("removing the lab", || lab.end())?;
    let report = Report {
        samples: samples?,
        rounds: args.rounds,
        seconds: args.seconds,
    };
    let table = report.table();
    progress::say(&table);
    if args.write {
        let text = report.document(&table, &machine::describe()?);
        fs::write(repository::root().join(DOCUMENT), text)
            .with_context(|| format!("writing {DOCUMENT}"))?;
        progress::say(&format!("written to {DOCUMENT}"));
    }
    Ok(())
}

/// Two pairs of pods on one node: one that hands super-packets to the kernel, and one that does
/// not.
fn plan() -> Plan {
    let pod = |name: &str| PodPlan::new("bench", name, "a1");
    Plan::new(LAB)
        .family(Family::Dual)
        .veth_offloads(true)
        .pod(pod("sender"))
        .pod(pod("receiver"))
        .pod(pod("plain-sender").without_offloads())
        .pod(pod("plain-receiver").without_offloads())
}

fn rounds(lab: &Lab, args: &Args) -> Result<Vec<Sample>> {
    case::prepare(lab)?;
    let duration = Duration::from_secs(args.seconds);
    let mut samples = Vec::new();
    for round in 1..=args.rounds {
        let what = format!("round {round} of {}", args.rounds);
        samples.extend(progress::quiet_step(&what, || one_round(lab, duration))?);
    }
    Ok(samples)
}

fn one_round(lab: &Lab, duration: Duration) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for mode in Mode::ALL {
        let attached = mode.attach(lab)?;
        for case in Case::ALL {
            ensure!(!interrupt::interrupted(), "interrupted");
            samples.push(attached.measure(lab, case, duration)?);
        }
        attached.detach()?;
    }
    Ok(samples)
}
