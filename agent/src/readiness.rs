//! Whether the agent is ready, and which loops must keep turning.
//!
//! **Ready** means: counting, and able to name what is counted. A DaemonSet's rollout goes on to
//! the next node when this becomes true, so it must not be true of a version that cannot attach
//! or cannot read the cluster. It takes every [`Condition`]: each holds, or holds
//! [in part](Status::InPart), which is shown in the body, because another process in this one's
//! place would be no better off.
//!
//! Once the agent was ready, losing a condition is shown in the body but does not make the agent
//! unready: with the API server away it still counts, and names by what it knows. Were it unready
//! then, an upgrade of the control plane would turn every agent of the cluster unready at once,
//! hold up rollouts, and take the agents out of endpoint lists that scrapers follow. Only the loss
//! of a condition without which [nothing is counted](needed_always) makes it unready again.
//!
//! **Alive** means that every loop has turned within its deadline. It says nothing about the
//! cluster: restarting the agent does not bring an API server back.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use zonemeter_metrics::{Health, Verdict};
use zonemeter_model::{
    condition::{Condition, Status},
    text::visible,
};

/// True where without it nothing is counted.
fn needed_always(condition: Condition) -> bool {
    matches!(condition, Condition::Counting | Condition::PodsCounted)
}

/// Knows which conditions hold and which loops turn. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Mutex<ReadinessState>>);

impl Readiness {
    /// Nothing is known yet, and a guard for each condition in the same order.
    pub fn new<const N: usize>(conditions: [Condition; N]) -> (Self, [Guard; N]) {
        let state = Arc::new(Mutex::new(ReadinessState::new(&conditions, Instant::now())));
        let guards = std::array::from_fn(|index| Guard {
            state: Arc::clone(&state),
            index,
        });
        (Self(state), guards)
    }

    /// A loop begins that must turn at least once in `deadline`.
    pub fn pulse(&self, name: &'static str, deadline: Duration) -> Pulse {
        lock(&self.0).beat(name, deadline, Instant::now());
        Pulse {
            state: Arc::clone(&self.0),
            name,
            deadline,
        }
    }
}

impl Health for Readiness {
    fn live(&self) -> Verdict {
        lock(&self.0).live(Instant::now())
    }

    fn ready(&self) -> Verdict {
        lock(&self.0).ready(Instant::now())
    }

    fn holds(&self) -> Vec<(Condition, bool)> {
        let state = lock(&self.0);
        let holds = |entry: &Entry| (entry.condition, entry.status == Status::Holds);
        state.entries.iter().map(holds).collect()
    }
}

/// Reports on one condition.
#[derive(Clone, Debug)]
pub struct Guard {
    state: Arc<Mutex<ReadinessState>>,
    index: usize,
}

impl Guard {
    /// It holds.
    pub fn met(&self) {
        self.set(Status::Holds);
    }

    /// It does not hold, or no longer: one line with the thing, the value and the cause.
    pub fn missing(&self, why: impl Into<String>) {
        self.set(Status::Fails(why.into()));
    }

    /// It does not hold, which is no reason to be unready.
    pub fn in_part(&self, why: impl Into<String>) {
        self.set(Status::InPart(why.into()));
    }

    /// Whether it holds; the log has it once at each change, for reporters that log nothing
    /// themselves.
    pub fn report(&self, status: Status) {
        let line = status.text().map(one_line);
        let Some(condition) = self.set(status) else {
            return;
        };
        match line {
            Some(line) => tracing::warn!("{}: {line}", condition.name()),
            None => tracing::info!("{}: holds again", condition.name()),
        }
    }

    fn set(&self, status: Status) -> Option<Condition> {
        lock(&self.state).set(self.index, status, Instant::now())
    }
}

/// Reports that one loop turns.
#[derive(Clone, Debug)]
pub struct Pulse {
    state: Arc<Mutex<ReadinessState>>,
    name: &'static str,
    deadline: Duration,
}

impl Pulse {
    /// The loop has turned once more.
    pub fn beat(&self) {
        lock(&self.state).beat(self.name, self.deadline, Instant::now());
    }
}

/// A panic elsewhere leaves the state whole: each change is one assignment.
fn lock(state: &Mutex<ReadinessState>) -> MutexGuard<'_, ReadinessState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pure part: time is an argument.
#[derive(Debug)]
struct ReadinessState {
    entries: Vec<Entry>,
    /// Every condition held, at least in part, at the same time once.
    started: bool,
    loops: BTreeMap<&'static str, LoopPulse>,
}

#[derive(Debug)]
struct Entry {
    condition: Condition,
    status: Status,
    /// Since when it holds or does not.
    since: Instant,
}

#[derive(Debug)]
struct LoopPulse {
    last: Instant,
    deadline: Duration,
}

impl ReadinessState {
    fn new(conditions: &[Condition], now: Instant) -> Self {
        let unknown = |condition: &Condition| Entry {
            condition: *condition,
            status: Status::Unknown("not known yet".to_owned()),
            since: now,
        };
        Self {
            entries: conditions.iter().map(unknown).collect(),
            started: false,
            loops: BTreeMap::new(),
        }
    }

    /// The condition where this is news for the log. A new reason does not change since when it
    /// does not hold.
    fn set(&mut self, index: usize, status: Status, now: Instant) -> Option<Condition> {
        let entry = &mut self.entries[index];
        let before = std::mem::replace(&mut entry.status, status);
        let after = &entry.status;
        if (before == Status::Holds) != (*after == Status::Holds) {
            entry.since = now;
        }
        let is_news = match (&before, after) {
            (_, Status::Unknown(_)) | (Status::Unknown(_), Status::Holds) => false,
            _ => std::mem::discriminant(&before) != std::mem::discriminant(after),
        };
        let news = is_news.then_some(entry.condition);
        self.started |= self.entries.iter().all(|entry| !entry.status.is_amiss());
        news
    }

    fn beat(&mut self, name: &'static str, deadline: Duration, now: Instant) {
        self.loops.insert(
            name,
            LoopPulse {
                last: now,
                deadline,
            },
        );
    }

    fn ready(&self, now: Instant) -> Verdict {
        let mut lines = String::new();
        let mut ok = true;
        for entry in &self.entries {
            let Some(text) = entry.status.text() else {
                continue;
            };
            let excused = self.started && !needed_always(entry.condition);
            ok &= excused || !entry.status.is_amiss();
            let seconds = now.saturating_duration_since(entry.since).as_secs();
            let (name, text) = (entry.condition.name(), one_line(text));
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{name}: {text} (for {seconds} s)");
        }
        let head = if ok { "ready\n" } else { "" };
        Verdict {
            ok,
            text: format!("{head}{lines}"),
        }
    }

    fn live(&self, now: Instant) -> Verdict {
        let mut lines = String::new();
        for (name, turn) in &self.loops {
            let since = now.saturating_duration_since(turn.last);
            if since > turn.deadline {
                let (since, allowed) = (since.as_secs(), turn.deadline.as_secs());
                let _ = writeln!(lines, "{name}: stalled for {since} s (limit {allowed} s)");
            }
        }
        match lines.is_empty() {
            true => Verdict {
                ok: true,
                text: "alive\n".to_owned(),
            },
            false => Verdict {
                ok: false,
                text: lines,
            },
        }
    }
}

/// An error's text may hold line breaks, and what others wrote; each condition has one line.
fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    visible(&words.join(" ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONDITIONS: [Condition; 2] = [Condition::Cluster, Condition::Counting];
    const CLUSTER: usize = 0;
    const COUNTING: usize = 1;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn fails(why: &str) -> Status {
        Status::Fails(why.to_owned())
    }

    fn started(now: Instant) -> ReadinessState {
        let mut state = ReadinessState::new(&CONDITIONS, now);
        state.set(CLUSTER, Status::Holds, now);
        state.set(COUNTING, Status::Holds, now);
        state
    }

    #[test]
    fn names_everything_that_is_missing_and_since_when() {
        let start = Instant::now();
        let mut state = ReadinessState::new(&CONDITIONS, start);
        let why = fails("open /x:\nno such file");
        state.set(CLUSTER, why, start + seconds(5));
        let Verdict { ok, text } = state.ready(start + seconds(12));
        assert!(!ok);
        assert_eq!(
            text,
            "cluster: open /x: no such file (for 12 s)\n\
             counting: not known yet (for 12 s)\n"
        );
    }

    #[test]
    fn is_ready_when_all_is_there() {
        let start = Instant::now();
        let mut state = ReadinessState::new(&CONDITIONS, start);
        state.set(COUNTING, Status::Holds, start);
        assert!(!state.ready(start).ok);
        state.set(CLUSTER, Status::Holds, start);
        let ready = Verdict {
            ok: true,
            text: "ready\n".to_owned(),
        };
        assert_eq!(state.ready(start), ready);
    }

    #[test]
    fn a_later_loss_of_the_cluster_is_shown_but_not_unready() {
        let start = Instant::now();
        let mut state = started(start);
        state.set(CLUSTER, fails("connection refused"), start + seconds(60));
        let Verdict { ok, text } = state.ready(start + seconds(90));
        assert!(ok);
        assert_eq!(text, "ready\ncluster: connection refused (for 30 s)\n");
    }

    #[test]
    fn a_loss_before_everything_was_there_is_unready() {
        let start = Instant::now();
        let mut state = ReadinessState::new(&CONDITIONS, start);
        state.set(CLUSTER, Status::Holds, start);
        state.set(CLUSTER, fails("connection refused"), start);
        state.set(COUNTING, Status::Holds, start);
        assert!(!state.ready(start).ok);
    }

    /// Counting itself, and that there is a pod that is counted.
    #[test]
    fn a_loss_of_counting_is_unready_until_it_is_back() {
        for condition in [Condition::Counting, Condition::PodsCounted] {
            let start = Instant::now();
            let mut state = ReadinessState::new(&[condition], start);
            state.set(0, Status::Holds, start);
            state.set(0, fails("gone"), start);
            assert!(!state.ready(start).ok);
            state.set(0, Status::InPart("some".to_owned()), start);
            assert!(state.ready(start).ok);
            state.set(0, Status::Holds, start);
            assert_eq!(state.ready(start).text, "ready\n");
        }
    }

    #[test]
    fn what_holds_in_part_keeps_nobody_from_being_ready() {
        let start = Instant::now();
        let mut state = ReadinessState::new(&[Condition::Cluster, Condition::Interfaces], start);
        state.set(CLUSTER, Status::Holds, start);
        assert!(!state.ready(start).ok);
        state.set(1, Status::InPart("eni1: barred".to_owned()), start);
        let ready = Verdict {
            ok: true,
            text: "ready\ninterfaces: eni1: barred (for 0 s)\n".to_owned(),
        };
        assert_eq!(state.ready(start), ready);
        state.set(1, Status::Holds, start);
        assert_eq!(state.ready(start).text, "ready\n");
    }

    /// Not that it begins to hold as it should, not another reason.
    #[test]
    fn each_change_is_news_once() {
        let start = Instant::now();
        let mut state = ReadinessState::new(&[Condition::OwnNode], start);
        let some = || Status::InPart("some".to_owned());
        let unknown = Status::Unknown("not listed yet".to_owned());
        let statuses = [
            unknown,
            Status::Holds,
            fails("a"),
            fails("b"),
            some(),
            some(),
        ];
        let mut news = statuses.map(|status| state.set(0, status, start).is_some());
        assert_eq!(news, [false, false, true, false, true, false]);
        news[0] = state.set(0, Status::Holds, start).is_some();
        assert!(news[0] && state.set(0, Status::Holds, start).is_none());
    }

    #[test]
    fn a_stalled_loop_is_named() {
        let start = Instant::now();
        let mut state = ReadinessState::new(&CONDITIONS, start);
        state.beat("drain", seconds(30), start);
        state.beat("cluster", seconds(60), start);
        assert!(state.live(start + seconds(30)).ok);
        let Verdict { ok, text } = state.live(start + seconds(31));
        assert!(!ok);
        assert_eq!(text, "drain: stalled for 31 s (limit 30 s)\n");
        state.beat("drain", seconds(30), start + seconds(31));
        assert!(state.live(start + seconds(31)).ok);
    }
}
