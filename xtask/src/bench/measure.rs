//! One measurement: a case, with something on the veths or nothing.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::Value;
use zonemeter_lab::{Agent, Lab};

use super::{
    case::Case,
    floor::{Floor, Rule},
    stats::{self, Cost},
};
use crate::{
    exec::{self, Cmd},
    repository,
};

const NODE: &str = "a1";
/// Until caches, maps and connections are as they stay.
const WARM_UP: Duration = Duration::from_millis(500);
/// The programs' names, as `agent-common` has them.
const PROGRAMS: [&str; 2] = ["zonemeter_tx", "zonemeter_rx"];

/// What is on the veths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Nothing,
    Empty,
    Pairs,
    Agent,
}

/// One result.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) mode: Mode,
    pub(super) case: Case,
    /// Nanoseconds per run of the transmit and the receive program.
    pub(super) cost_ns: [Option<f64>; 2],
    /// Bytes per second that went to the receiving pod, without the kernel's statistics.
    pub(super) bytes_per_s: f64,
}

/// A mode in force.
pub(super) struct Attached {
    mode: Mode,
    floor: Option<Floor>,
    agent: Option<Agent>,
}

impl Mode {
    pub(super) const ALL: [Self; 4] = [Self::Nothing, Self::Empty, Self::Pairs, Self::Agent];

    /// Puts it on.
    pub(super) fn attach(self, lab: &Lab) -> Result<Attached> {
        let mut attached = Attached {
            mode: self,
            floor: None,
            agent: None,
        };
        match self {
            Self::Nothing => {}
            Self::Empty => attached.floor = Some(floor(lab, Rule::Empty)?),
            Self::Pairs => attached.floor = Some(floor(lab, Rule::Pairs)?),
            Self::Agent => {
                let binary = repository::release_folder()?.join("zonemeter");
                attached.agent = Some(lab.agent(NODE)?.binary(&binary).start_ready()?);
            }
        }
        Ok(attached)
    }
}

impl Attached {
    /// Sends the case's traffic and reads every counter before and after: for half of the time
    /// without the kernel's statistics, for the other half with them.
    pub(super) fn measure(&self, lab: &Lab, case: Case, duration: Duration) -> Result<Sample> {
        let (_, receiver) = case.pods(lab)?;
        let load = case.start(lab, WARM_UP + duration + WARM_UP)?;
        thread::sleep(WARM_UP);
        let (started, count) = (Instant::now(), receiver.interface_count()?);
        thread::sleep(duration / 2);
        let (seconds, count_after) = (started.elapsed().as_secs_f64(), receiver.interface_count()?);
        let statistics = stats::Enabled::switch_on()?;
        let cost = self.cost()?;
        thread::sleep(duration / 2);
        let cost_after = self.cost()?;
        drop(statistics);
        load.finish()?;
        let per_s = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
        Ok(Sample {
            mode: self.mode,
            case,
            cost_ns: [0, 1].map(|index| cost_after[index].per_run_since(cost[index])),
            bytes_per_s: per_s(count.sent.bytes, count_after.sent.bytes),
        })
    }

    /// Takes it off.
    pub(super) fn detach(self) -> Result<()> {
        match self.agent {
            Some(mut agent) => agent.stop().map(|_| ()),
            None => Ok(()),
        }
    }

    fn cost(&self) -> Result<[Cost; 2]> {
        match (&self.floor, &self.agent) {
            (Some(floor), _) => floor.cost(),
            (None, Some(agent)) => agent_cost(agent.pid()),
            (None, None) => Ok([Cost::default(); 2]),
        }
    }
}

fn floor(lab: &Lab, rule: Rule) -> Result<Floor> {
    Floor::attach(&lab.node(NODE)?, lab.pods(), rule)
}

/// From the descriptors that the agent holds: another agent on this machine does not disturb.
fn agent_cost(pid: u32) -> Result<[Cost; 2]> {
    let folder = format!("/proc/{pid}/fdinfo");
    let mut costs = [None; 2];
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {folder}"))? {
        let file = entry.with_context(|| format!("reading {folder}"))?.path();
        // A descriptor may be closed in between.
        let Ok(Some((id, cost))) = stats::read(&file) else {
            continue;
        };
        let name = program_name(id)?;
        if let Some(index) = PROGRAMS.iter().position(|program| *program == name) {
            costs[index] = Some(cost);
        }
    }
    let known = |index: usize| {
        costs[index].with_context(|| format!("the agent holds no {}", PROGRAMS[index]))
    };
    Ok([known(0)?, known(1)?])
}

fn program_name(id: u32) -> Result<String> {
    let shown =
        exec::output(Cmd::new("bpftool").args(["--json", "prog", "show", "id", &id.to_string()]))?;
    let program: Value = serde_json::from_str(&shown).context("bpftool's answer")?;
    Ok(program["name"].as_str().unwrap_or_default().to_owned())
}
