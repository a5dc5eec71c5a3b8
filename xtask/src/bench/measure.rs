//! One case: what is on the hooks takes turns, many and short, while the traffic goes on. What else
//! happens on a machine lasts longer than a turn and meets all of them alike, so that turns are
//! compared with their neighbours.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use zonemeter_lab::{Lab, Pod, interrupt};

use super::{
    case::Case,
    hooks::Hooks,
    programs::{Mode, Programs},
    stats,
};

/// Until caches, maps and connections are as they stay.
const WARM_UP: Duration = Duration::from_secs(1);
/// After a change of what is on the hooks.
const SETTLE: Duration = Duration::from_millis(20);
/// How long each turn is measured.
const TURN: Duration = Duration::from_millis(100);
const OF_THROUGHPUT: [Mode; 3] = [Mode::Nothing, Mode::Empty, Mode::Agent];
const OF_COST: [Mode; 3] = [Mode::Empty, Mode::Pairs, Mode::Agent];

/// What was measured of a case: in each list one value for each round of turns.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) case: Case,
    /// Bytes per second, the kernel's statistics off.
    pub(super) rates: Vec<(Mode, Vec<f64>)>,
    /// Nanoseconds per run, the mean of both programs, by those statistics.
    pub(super) costs: Vec<(Mode, Vec<f64>)>,
}

impl Measured {
    /// To be extended.
    pub(super) fn nothing(case: Case) -> Self {
        let of = |modes: [Mode; 3]| modes.map(|mode| (mode, Vec::new())).into();
        Self {
            case,
            rates: of(OF_THROUGHPUT),
            costs: of(OF_COST),
        }
    }

    /// Takes in what was measured of the same case.
    pub(super) fn extend(&mut self, more: Self) {
        let lists = [(&mut self.rates, more.rates), (&mut self.costs, more.costs)];
        for (all, more) in lists {
            for ((_, values), (_, more)) in all.iter_mut().zip(more) {
                values.extend(more);
            }
        }
    }
}

/// Two thirds of the time go to the throughput. For iperf3, whose super-packets differ much from
/// moment to moment, all of it does.
pub(super) fn measure(
    lab: &Lab,
    case: Case,
    programs: &Programs,
    duration: Duration,
) -> Result<Measured> {
    let pods = case.measured(lab)?;
    let mut hooks = Hooks::of(&pods, programs, case.way())?;
    // Some turns' time: the traffic is there until the last one is over.
    let load = case.start(lab, WARM_UP + duration + Duration::from_secs(2))?;
    thread::sleep(WARM_UP);
    let share = if case.is_iperf3() {
        duration
    } else {
        duration * 2 / 3
    };
    let watched = pods.last().context("no pod")?;
    let rates = turns(&OF_THROUGHPUT, share, |mode| {
        hooks.switch(mode)?;
        thread::sleep(SETTLE);
        rate(watched).map(Some)
    })?;
    let statistics = stats::Enabled::switch_on()?;
    let costs = turns(&OF_COST, duration - share, |mode| {
        if mode == Mode::Pairs && !case.has_pairs() {
            return Ok(None);
        }
        hooks.switch(mode)?;
        thread::sleep(SETTLE);
        cost(programs, mode)
    })?;
    drop(statistics);
    drop(hooks);
    load.finish()?;
    Ok(Measured { case, rates, costs })
}

/// Rounds of turns until the time is over; every other one goes backwards, so that what changes
/// steadily meets all alike.
fn turns(
    modes: &[Mode],
    duration: Duration,
    mut turn: impl FnMut(Mode) -> Result<Option<f64>>,
) -> Result<Vec<(Mode, Vec<f64>)>> {
    let mut all: Vec<(Mode, Vec<f64>)> = modes.iter().map(|mode| (*mode, Vec::new())).collect();
    let began = Instant::now();
    let mut is_backwards = false;
    while began.elapsed() < duration {
        ensure!(!interrupt::interrupted(), "interrupted");
        let number = all.len();
        for index in 0..number {
            let index = if is_backwards {
                number - 1 - index
            } else {
                index
            };
            let (mode, values) = &mut all[index];
            values.extend(turn(*mode)?);
        }
        is_backwards = !is_backwards;
    }
    Ok(all)
}

/// Bytes per second through a pod's veth, both ways.
fn rate(pod: &Pod) -> Result<f64> {
    let bytes = || -> Result<u64> {
        let count = pod.interface_count()?;
        Ok(count.sent.bytes + count.received.bytes)
    };
    let (before, began) = (bytes()?, Instant::now());
    thread::sleep(TURN);
    let (after, took) = (bytes()?, began.elapsed());
    Ok(after.saturating_sub(before) as f64 / took.as_secs_f64())
}

/// Nanoseconds of a run, the mean of both programs; of one where the other does not run.
fn cost(programs: &Programs, mode: Mode) -> Result<Option<f64>> {
    let before = programs.cost(mode)?;
    thread::sleep(TURN);
    let after = programs.cost(mode)?;
    Ok(stats::mean_per_run(before, after))
}
