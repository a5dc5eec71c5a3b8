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
    floor::Floor,
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
    Floor,
    Agent,
}

/// One result.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) mode: Mode,
    pub(super) case: Case,
    /// Nanoseconds per run of the transmit and the receive program.
    pub(super) cost_ns: [Option<f64>; 2],
    /// Bytes per second that went to the receiving pod.
    pub(super) bytes_per_s: f64,
    /// Packets or super-packets per second that did.
    pub(super) packets_per_s: f64,
}

/// A mode in force.
pub(super) struct Attached {
    mode: Mode,
    floor: Option<Floor>,
    agent: Option<Agent>,
}

impl Mode {
    pub(super) const ALL: [Self; 3] = [Self::Nothing, Self::Floor, Self::Agent];

    /// Puts it on.
    pub(super) fn attach(self, lab: &Lab) -> Result<Attached> {
        let mut attached = Attached {
            mode: self,
            floor: None,
            agent: None,
        };
        match self {
            Self::Nothing => {}
            Self::Floor => attached.floor = Some(Floor::attach(&lab.node(NODE)?, lab.pods())?),
            Self::Agent => {
                let binary = repository::release_folder()?.join("zonemeter");
                attached.agent = Some(lab.agent(NODE)?.binary(&binary).start_ready()?);
            }
        }
        Ok(attached)
    }
}

impl Attached {
    /// Sends the case's traffic and reads every counter before and after.
    pub(super) fn measure(&self, lab: &Lab, case: Case, duration: Duration) -> Result<Sample> {
        let (_, receiver) = case.pods(lab)?;
        let load = case.start(lab, WARM_UP + duration + WARM_UP)?;
        thread::sleep(WARM_UP);
        let (started, cost, count) = (Instant::now(), self.cost()?, receiver.interface_count()?);
        thread::sleep(duration);
        let (seconds, cost_after, count_after) = (
            started.elapsed().as_secs_f64(),
            self.cost()?,
            receiver.interface_count()?,
        );
        load.finish()?;
        let per_s = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
        Ok(Sample {
            mode: self.mode,
            case,
            cost_ns: [0, 1].map(|index| cost_after[index].per_run_since(cost[index])),
            bytes_per_s: per_s(count.sent.bytes, count_after.sent.bytes),
            packets_per_s: per_s(count.sent.packets, count_after.sent.packets),
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
