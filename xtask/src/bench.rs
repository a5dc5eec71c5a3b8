//! `cargo xtask bench`: what counting costs per packet, with real packets between two pods of a
//! node of the lab; `cargo xtask bench series`: what many pairs cost the agent;
//! `cargo xtask bench neighbours`: what pods that attack at full size take from others;
//! `cargo xtask bench answers`: how soon the page, its JSON and `top` answer;
//! `cargo xtask bench agent`: how long its drains take, and its share of a CPU;
//! `cargo xtask bench sizing`: what a cluster of a size takes.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use zonemeter_lab::{Agent, Family, HostGroups, Lab, Plan, PodPlan, agent_binary, interrupt};

use crate::{
    exec::{self, Cmd},
    go::{self, recipes},
    privilege, progress, repository, setup,
    test::BUILD_AGENT,
};

mod agent;
mod case;
mod hooks;
mod host;
mod lab_test;
mod machine;
mod measure;
mod median;
mod programs;
mod report;
mod sizing;
mod stats;
#[path = "../../agent/datapath/src/tests/yardstick.rs"]
mod yardstick;

use case::Case;
use host::OfHost;
use measure::Measured;
use programs::Programs;
use report::Report;

const NODE: &str = "a1";
const LAB: &str = "bench";
const DOCUMENT: &str = "docs/bench-datapath.md";
/// How often the programs are loaded for each case.
const LOADS: u32 = 3;

/// How much to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure
    #[arg(value_enum, default_value = "datapath")]
    what: What,
    /// How long to measure each case of datapath [default: 15], or each state of agent [default: 60]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: Option<u64>,
    /// Measure only the cases of datapath with this in their name
    #[arg(long, conflicts_with = "write")]
    case: Option<String>,
    /// Write the result to docs/bench-datapath.md, docs/bench-agent.md, docs/series.md, docs/fairness.md
    /// or docs/read-the-numbers.md
    #[arg(long)]
    write: bool,
}

/// What there is to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Nanoseconds per packet
    Datapath,
    /// Drains of many flows, and the agent's share of a CPU
    Agent,
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
    ensure!(
        args.case.is_none() || args.what == What::Datapath,
        "--case: only datapath has cases"
    );
    if args.what == What::Sizing && !args.write {
        return sizing::run(false);
    }
    setup::ensure()?;
    progress::step("building the agent (release)", build_agent)?;
    match args.what {
        What::Datapath => {
            let seconds = args.seconds.unwrap_or(15);
            as_root("datapath", seconds, args, || measure_all(seconds, args))
        }
        What::Agent => {
            let seconds = args.seconds.unwrap_or(60);
            as_root("agent", seconds, args, || agent::run(seconds, args.write))
        }
        What::Sizing => sizing::run(true),
        What::Series => {
            go::ensure(recipes::PROMETHEUS)?;
            lab_test::run("cardinality", args.write)
        }
        What::Neighbours => lab_test::run("neighbours", args.write),
        What::Answers => {
            go::ensure(recipes::PROMETHEUS)?;
            answers(args.write)?;
            lab_test::run("whole_cluster", args.write)
        }
    }
}

fn as_root(
    what: &str,
    seconds: u64,
    args: &Args,
    measure: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let mut again = vec!["bench".to_owned(), what.to_owned()];
    again.extend(["--seconds".to_owned(), seconds.to_string()]);
    again.extend(args.write.then(|| "--write".to_owned()));
    let case = args.case.iter();
    again.extend(case.flat_map(|case| ["--case".to_owned(), case.clone()]));
    privilege::as_root(&again, measure)
}

/// The agent that is measured: what `ZONEMETER_BIN` names, else a release build of this tree.
fn binary() -> Result<PathBuf> {
    match std::env::var_os("ZONEMETER_BIN") {
        Some(_) => agent_binary(),
        None => Ok(repository::release_folder()?.join("zonemeter")),
    }
}

fn build_agent() -> Result<()> {
    match std::env::var_os("ZONEMETER_BIN") {
        Some(_) => Ok(()),
        None => exec::run(Cmd::cargo().args(BUILD_AGENT).arg("--release")),
    }
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

fn measure_all(seconds: u64, args: &Args) -> Result<()> {
    let only = args.case.as_deref().unwrap_or_default();
    let cases = Case::ALL.into_iter();
    let asked: Vec<Case> = cases.filter(|case| case.title().contains(only)).collect();
    ensure!(
        !asked.is_empty(),
        "--case: no case has {only:?} in its name"
    );
    interrupt::watch()?;
    let mut lab = progress::quiet_step("raising the lab", || Lab::raise(plan()))?;
    let measured = measure_lab(&mut lab, seconds, &asked);
    progress::quiet_step("removing the lab", || lab.end())?;
    let (cases, hosts) = measured?;
    let report = Report {
        cases,
        hosts,
        seconds,
    };
    let tables = report.tables();
    progress::say(&tables);
    if args.write {
        let text = report.document(&tables, &machine::describe()?);
        fs::write(repository::root().join(DOCUMENT), text)
            .with_context(|| format!("writing {DOCUMENT}"))?;
        progress::say(&format!("written to {DOCUMENT}"));
    }
    Ok(())
}

/// Two pairs of pods on one node, one that hands super-packets to the kernel and one that does not; a
/// pod of another node; and one whose interface the agent counts, as it must count on one.
fn plan() -> Plan {
    let pod = |name: &str| PodPlan::new("bench", name, NODE);
    Plan::new(LAB)
        .family(Family::Dual)
        .veth_offloads(true)
        .uplink_gro(true)
        .without_flow_truth()
        .pod(pod("sender"))
        .pod(pod("receiver"))
        .pod(pod("plain-sender").without_offloads())
        .pod(pod("plain-receiver").without_offloads())
        .pod(pod("bystander"))
        .pod(PodPlan::new("bench", "remote", "a2"))
}

fn measure_lab(
    lab: &mut Lab,
    seconds: u64,
    asked: &[Case],
) -> Result<(Vec<Measured>, Vec<OfHost>)> {
    case::prepare(lab)?;
    let groups = HostGroups::new(&lab.name())?;
    groups.add(host::GROUP)?;
    let mut cases = Vec::new();
    for case in asked.iter().copied() {
        let duration = Duration::from_secs(seconds * case.times());
        let measure = || measure_case(lab, &groups, case, duration);
        cases.push(progress::quiet_step(&case.title(), measure)?);
    }
    let mut agent = start_agent(lab, &groups)?;
    let duration = Duration::from_secs(seconds) / 2;
    let measure = || host::measure(lab, &groups, agent.pid(), duration);
    let hosts = progress::quiet_step("the node's own bytes", measure)?;
    agent.stop()?;
    Ok((cases, hosts))
}

/// With the programs loaded several times: where their maps lie in memory is another place each time.
fn measure_case(
    lab: &Lab,
    groups: &HostGroups,
    case: Case,
    duration: Duration,
) -> Result<Measured> {
    let mut measured = Measured::nothing(case);
    for _ in 0..LOADS {
        let mut agent = start_agent(lab, groups)?;
        let programs = Programs::new(agent.pid())?;
        measured.extend(measure::measure(lab, case, &programs, duration / LOADS)?);
        agent.stop()?;
    }
    Ok(measured)
}

/// It attaches to one pod's interface, which nothing passes, and to the uplink and the cgroup: what is
/// on the hooks of the other pods is changed many times a second.
fn start_agent(lab: &Lab, groups: &HostGroups) -> Result<Agent> {
    let bystander = lab.pod("bench/bystander")?;
    let plan = lab.agent(NODE)?.binary(&binary()?);
    let plan = plan
        .flag("--pin-dir", "")
        .flag("--interface", bystander.veth())
        .flag("--uplink", host::UPLINK)
        .flag("--cgroup-dir", groups.directory());
    let mut agent = plan.start()?;
    agent.wait_ready(Duration::from_secs(60))?;
    agent.wait_until(Duration::from_secs(30), |metrics| {
        metrics.sum("zonemeter_host_cgroups", &[("state", "linked")]) >= 1
    })?;
    agent.settled()?;
    Ok(agent)
}
