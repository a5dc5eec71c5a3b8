//! In which order test programs run, and which of them side by side.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::{Result, anyhow};

use super::{Outcome, Run, others::Others};
use crate::progress;

/// Programs at a time that may run beside others. A lab has namespaces of its own, and mostly waits.
const PROGRAMS: usize = 2;

/// Runs them all, what needs no build of others first: some side by side, then one after the other
/// what cannot bear company.
///
/// # Errors
/// A program cannot be started, or a build that it needs failed.
pub(super) fn run(runs: &mut [Run], others: &mut Others) -> Result<Outcome> {
    let mut total = Outcome::default();
    runs.sort_by_key(|run| (run.minutes_of_builds(), run.is_alone));
    for group in runs.chunk_by_mut(|a, b| a.minutes_of_builds() == b.minutes_of_builds()) {
        for run in group.iter_mut() {
            for need in run.needs {
                let (variable, folder) = others.wait(need)?;
                run.set_env(variable, folder);
            }
        }
        let shared = group.partition_point(|run| !run.is_alone);
        let (shared, alone) = group.split_at(shared);
        match shared {
            [] => {}
            [one] => total.add(in_turn(one)?),
            several => total.add(side_by_side(several)?),
        }
        for run in alone {
            others.check()?;
            total.add(in_turn(run)?);
        }
    }
    Ok(total)
}

fn in_turn(run: &Run) -> Result<Outcome> {
    let went_well = |outcome: &Outcome| outcome.failed == 0;
    progress::judged_step(&run.title, || run.execute(), went_well)
}

/// Each worker takes the next run until none is left.
fn side_by_side(runs: &[Run]) -> Result<Outcome> {
    let runs = Mutex::new(runs.iter());
    let next = || runs.lock().unwrap_or_else(PoisonError::into_inner).next();
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
