//! What must be there before the agent is ready, and which loops must keep turning.
//!
//! **Ready** means: counting, and able to name what is counted. A DaemonSet's rollout goes on to
//! the next node when this becomes true, so it must not be true of a version that cannot attach
//! or cannot read the cluster.
//!
//! Once every guard was met, losing one that is needed [at the start](Need::Start) is shown in
//! the body but does not make the agent unready: with the API server away it still counts, and
//! names by what it knows. Were it unready then, an upgrade of the control plane would turn
//! every agent of the cluster unready at once, hold up rollouts, and take the agents out of
//! endpoint lists that scrapers follow. Only the loss of a guard that is needed
//! [always](Need::Always), without which nothing is counted, makes it unready again.
//!
//! **Alive** means that every loop has turned within its deadline. It says nothing about the
//! cluster: restarting the agent does not bring an API server back.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::expose::{Health, Verdict};

/// Something that must be there for the agent to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    name: &'static str,
    /// What to say until something is known; empty where it is there from the start.
    missing: &'static str,
    always: bool,
    decides: bool,
}

impl Need {
    /// Needed before the agent is ready for the first time.
    pub const fn at_start(name: &'static str, missing: &'static str) -> Self {
        Self {
            name,
            missing,
            always: false,
            decides: true,
        }
    }

    /// Without it nothing is counted: its loss makes the agent unready at any time.
    pub const fn always(name: &'static str, missing: &'static str) -> Self {
        Self {
            name,
            missing,
            always: true,
            decides: true,
        }
    }

    /// There from the start. Its loss is shown and never makes the agent unready: what it stands
    /// for lacks in part, and another process in this one's place would lack it too.
    pub const fn shown(name: &'static str) -> Self {
        Self {
            name,
            missing: "",
            always: false,
            decides: false,
        }
    }
}

/// Knows what is missing and which loops turn. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Mutex<Board>>);

impl Readiness {
    /// A board on which everything is missing, and a guard for each need in the same order.
    pub fn new<const N: usize>(needs: [Need; N]) -> (Self, [Guard; N]) {
        let board = Arc::new(Mutex::new(Board::new(&needs, Instant::now())));
        let guards = std::array::from_fn(|index| Guard {
            board: Arc::clone(&board),
            index,
        });
        (Self(board), guards)
    }

    /// A loop begins that must turn at least once in `deadline`.
    pub fn pulse(&self, name: &'static str, deadline: Duration) -> Pulse {
        lock(&self.0).beat(name, deadline, Instant::now());
        Pulse {
            board: Arc::clone(&self.0),
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
}

/// Reports on one need.
#[derive(Clone, Debug)]
pub struct Guard {
    board: Arc<Mutex<Board>>,
    index: usize,
}

impl Guard {
    /// It is there.
    pub fn met(&self) {
        lock(&self.board).met(self.index);
    }

    /// It is not there, or no longer: one line with the thing, the value and the cause.
    pub fn missing(&self, why: impl Into<String>) {
        lock(&self.board).missing(self.index, why.into(), Instant::now());
    }
}

/// Reports that one loop turns.
#[derive(Clone, Debug)]
pub struct Pulse {
    board: Arc<Mutex<Board>>,
    name: &'static str,
    deadline: Duration,
}

impl Pulse {
    /// The loop has turned once more.
    pub fn beat(&self) {
        lock(&self.board).beat(self.name, self.deadline, Instant::now());
    }
}

/// A panic elsewhere leaves the board whole: each change is one assignment.
fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pure part: time is an argument.
#[derive(Debug)]
struct Board {
    guards: Vec<Entry>,
    /// Every guard was met at the same time once.
    started: bool,
    loops: BTreeMap<&'static str, Turn>,
}

#[derive(Debug)]
struct Entry {
    need: Need,
    /// Why and since when; `None` when it is there.
    missing: Option<(String, Instant)>,
}

#[derive(Debug)]
struct Turn {
    last: Instant,
    deadline: Duration,
}

impl Board {
    fn new(needs: &[Need], now: Instant) -> Self {
        let entry = |need: &Need| Entry {
            need: *need,
            missing: need.decides.then(|| (need.missing.to_owned(), now)),
        };
        Self {
            guards: needs.iter().map(entry).collect(),
            started: needs.iter().all(|need| !need.decides),
            loops: BTreeMap::new(),
        }
    }

    fn met(&mut self, index: usize) {
        self.guards[index].missing = None;
        let there = |entry: &Entry| entry.missing.is_none() || !entry.need.decides;
        self.started |= self.guards.iter().all(there);
    }

    /// A new reason does not change since when it is missing.
    fn missing(&mut self, index: usize, why: String, now: Instant) {
        let missing = &mut self.guards[index].missing;
        let since = missing.as_ref().map_or(now, |(_, since)| *since);
        *missing = Some((why, since));
    }

    fn beat(&mut self, name: &'static str, deadline: Duration, now: Instant) {
        self.loops.insert(
            name,
            Turn {
                last: now,
                deadline,
            },
        );
    }

    fn ready(&self, now: Instant) -> Verdict {
        let mut lines = String::new();
        let mut ok = true;
        for (need, why, since) in self.guards.iter().filter_map(Entry::absence) {
            ok &= !need.decides || self.started && !need.always;
            let seconds = now.saturating_duration_since(since).as_secs();
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{}: {} (for {seconds} s)", need.name, one_line(why));
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
                let _ = writeln!(lines, "{name}: no turn for {since} s, allowed {allowed} s");
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

impl Entry {
    fn absence(&self) -> Option<(Need, &str, Instant)> {
        let (why, since) = self.missing.as_ref()?;
        Some((self.need, why, *since))
    }
}

/// An error's text may hold line breaks; each guard has one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: [Need; 2] = [
        Need::at_start("cluster", "Pod list not read yet"),
        Need::always("counting", "programs not loaded yet"),
    ];
    const CLUSTER: usize = 0;
    const COUNTING: usize = 1;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn started(now: Instant) -> Board {
        let mut board = Board::new(&NEEDS, now);
        board.met(CLUSTER);
        board.met(COUNTING);
        board
    }

    #[test]
    fn names_everything_that_is_missing_and_since_when() {
        let start = Instant::now();
        let mut board = Board::new(&NEEDS, start);
        board.missing(
            CLUSTER,
            "Pod list not read yet: open /x:\nno such file".to_owned(),
            start + seconds(5),
        );
        let Verdict { ok, text } = board.ready(start + seconds(12));
        assert!(!ok);
        assert_eq!(
            text,
            "cluster: Pod list not read yet: open /x: no such file (for 12 s)\n\
             counting: programs not loaded yet (for 12 s)\n"
        );
    }

    #[test]
    fn is_ready_when_all_is_there() {
        let start = Instant::now();
        let mut board = Board::new(&NEEDS, start);
        board.met(COUNTING);
        assert!(!board.ready(start).ok);
        board.met(CLUSTER);
        let ready = Verdict {
            ok: true,
            text: "ready\n".to_owned(),
        };
        assert_eq!(board.ready(start), ready);
    }

    #[test]
    fn a_later_loss_of_the_cluster_is_shown_but_not_unready() {
        let start = Instant::now();
        let mut board = started(start);
        board.missing(
            CLUSTER,
            "connection refused".to_owned(),
            start + seconds(60),
        );
        let Verdict { ok, text } = board.ready(start + seconds(90));
        assert!(ok);
        assert_eq!(text, "ready\ncluster: connection refused (for 30 s)\n");
    }

    #[test]
    fn a_loss_before_everything_was_there_is_unready() {
        let start = Instant::now();
        let mut board = Board::new(&NEEDS, start);
        board.met(CLUSTER);
        board.missing(CLUSTER, "connection refused".to_owned(), start);
        board.met(COUNTING);
        assert!(!board.ready(start).ok);
    }

    #[test]
    fn a_loss_of_counting_is_unready_until_it_is_back() {
        let start = Instant::now();
        let mut board = started(start);
        board.missing(COUNTING, "programs gone".to_owned(), start);
        assert!(!board.ready(start).ok);
        board.met(COUNTING);
        assert!(board.ready(start).ok);
    }

    #[test]
    fn what_is_only_shown_keeps_nobody_from_being_ready() {
        let start = Instant::now();
        let mut board = Board::new(&[NEEDS[0], Need::shown("interfaces")], start);
        board.missing(1, "eni1: barred".to_owned(), start);
        board.met(CLUSTER);
        let ready = Verdict {
            ok: true,
            text: "ready\ninterfaces: eni1: barred (for 0 s)\n".to_owned(),
        };
        assert_eq!(board.ready(start), ready);
        board.met(1);
        assert_eq!(board.ready(start).text, "ready\n");
    }

    #[test]
    fn a_stalled_loop_is_named() {
        let start = Instant::now();
        let mut board = Board::new(&NEEDS, start);
        board.beat("drain", seconds(30), start);
        board.beat("cluster", seconds(60), start);
        assert!(board.live(start + seconds(30)).ok);
        let Verdict { ok, text } = board.live(start + seconds(31));
        assert!(!ok);
        assert_eq!(text, "drain: no turn for 31 s, allowed 30 s\n");
        board.beat("drain", seconds(30), start + seconds(31));
        assert!(board.live(start + seconds(31)).ok);
    }
}
