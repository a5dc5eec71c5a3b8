//! What a feed has and what it lacks: for `/readyz`, for the metrics and for the log.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use tokio::sync::watch;
use zonemeter_model::cluster::Kind;

/// The state of a feed, by part: each watch of the API is one, the cluster file is one.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Always the same parts in the same order.
    pub parts: Vec<Part>,
    /// `zonemeter_cluster_watch_errors_total`: failed lists and watches of the API, in the order
    /// of [`Kind::ALL`].
    pub watch_errors: [u64; 4],
    /// `zonemeter_cluster_unread_fields_total`: fields of objects that could not be read and were
    /// passed over, in the order of [`Kind::ALL`].
    pub unread_fields: [u64; 4],
    /// What the cluster file adds to `zonemeter_config_reload_failures_total`.
    pub reload_failures: u64,
}

impl Health {
    /// Whether every part was listed once: the names of the cluster are known. Never goes back.
    pub fn listed(&self) -> bool {
        self.parts.iter().all(|part| part.listed)
    }

    /// One line for each part that is missing or failing at `now`.
    pub fn missing(&self, now: SystemTime) -> Vec<String> {
        self.parts
            .iter()
            .filter_map(|part| part.missing(now))
            .collect()
    }
}

/// One part of a feed.
#[derive(Clone, Debug)]
pub struct Part {
    /// For example `pods of this node` or `cluster file`.
    pub name: &'static str,
    /// When the feed began.
    pub began: SystemTime,
    /// Listed in full at least once. What was listed stays in force while the part fails.
    pub listed: bool,
    /// Set while it does not work.
    pub failing: Option<PartFailure>,
}

impl Part {
    /// Since when it does not work, or was not listed yet; `None` while it works.
    pub fn missing_since(&self) -> Option<SystemTime> {
        let failing = self.failing.as_ref().map(|failing| failing.since);
        failing.or((!self.listed).then_some(self.began))
    }

    fn missing(&self, now: SystemTime) -> Option<String> {
        match &self.failing {
            Some(failing) => {
                let seconds = now
                    .duration_since(failing.since)
                    .unwrap_or_default()
                    .as_secs();
                Some(format!("{}: {} (for {seconds} s)", self.name, failing.line))
            }
            None if self.listed => None,
            None => Some(format!("{}: not listed yet", self.name)),
        }
    }
}

/// Why a part does not work.
#[derive(Clone, Debug)]
pub struct PartFailure {
    /// When it last worked, or the first attempt.
    pub since: SystemTime,
    /// The latest error with its remedy, one line.
    pub line: String,
}

/// Which counter a failure of a part goes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counter {
    WatchErrors(Kind),
    ReloadFailures,
}

/// Writes the health of one part, and logs what changes.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    health: Arc<watch::Sender<Health>>,
    /// What was said of fields that cannot be read.
    said: Arc<Mutex<HashSet<String>>>,
    counter: Counter,
    part: usize,
}

/// A reporter for each of the parts, by their names.
pub(super) fn reporters<const N: usize>(
    parts: [(&'static str, Counter); N],
) -> ([Reporter; N], watch::Receiver<Health>) {
    let began = SystemTime::now();
    let silent = |(name, _)| Part {
        name,
        began,
        listed: false,
        failing: None,
    };
    let (sender, receiver) = watch::channel(Health {
        parts: parts.map(silent).into(),
        ..Health::default()
    });
    let health = Arc::new(sender);
    let said = Arc::default();
    let reporter = |part: usize| Reporter {
        health: Arc::clone(&health),
        said: Arc::clone(&said),
        counter: parts[part].1,
        part,
    };
    (std::array::from_fn(reporter), receiver)
}

impl Reporter {
    /// The part was listed in full: it works.
    pub(super) fn listed(&self) {
        self.works(true);
    }

    /// The part gave something: it works.
    pub(super) fn alive(&self) {
        self.works(false);
    }

    fn works(&self, listed: bool) {
        self.health.send_if_modified(|health| {
            let Some(part) = health.parts.get_mut(self.part) else {
                return false;
            };
            if let Some(failing) = part.failing.take() {
                let seconds = failing.since.elapsed().unwrap_or_default().as_secs();
                tracing::info!(part = part.name, after_seconds = seconds, "works again");
            } else if part.listed || !listed {
                return false;
            }
            part.listed |= listed;
            true
        });
    }

    /// The part failed, for the reason that `line` names. The log has each new reason once.
    pub(super) fn failed(&self, line: &dyn fmt::Display) {
        let line = line.to_string();
        self.health.send_modify(|health| {
            self.count(health);
            let Some(part) = health.parts.get_mut(self.part) else {
                return;
            };
            let known = part.failing.as_ref();
            if known.is_none_or(|failing| failing.line != line) {
                tracing::warn!(part = part.name, "{line}");
            }
            let since = known.map_or_else(SystemTime::now, |failing| failing.since);
            part.failing = Some(PartFailure { since, line });
        });
    }

    fn count(&self, health: &mut Health) {
        match self.counter {
            Counter::WatchErrors(kind) => health.watch_errors[kind as usize] += 1,
            Counter::ReloadFailures => health.reload_failures += 1,
        }
    }

    /// Fields of an object could not be read and were passed over: counted, and in the log once,
    /// for the same object comes again with each change. Past [`MOST_SAID`] they are only counted.
    pub(super) fn unread(&self, kind: Kind, object: &str, lines: &[String]) {
        let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        self.health
            .send_modify(|health| health.unread_fields[kind as usize] += count);
        let kind = kind.name();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines {
            let line = format!("{kind} {object}: {line}");
            if said.len() >= MOST_SAID || said.contains(&line) {
                continue;
            }
            tracing::warn!("{line}; that is passed over");
            said.insert(line);
            if said.len() == MOST_SAID {
                tracing::warn!(
                    "further fields of objects that cannot be read are counted, and not in the log"
                );
            }
        }
    }
}

/// Lines about fields that the log has at most.
const MOST_SAID: usize = 500;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn says_what_is_missing_and_since_when() {
        let ([nodes, pods], health) = reporters([
            ("nodes", Counter::WatchErrors(Kind::Node)),
            ("pods", Counter::WatchErrors(Kind::Pod)),
        ]);
        let now = SystemTime::now();
        assert_eq!(
            health.borrow().missing(now),
            ["nodes: not listed yet", "pods: not listed yet"]
        );
        nodes.listed();
        pods.failed(&"missing RBAC: list pods");
        pods.failed(&"missing RBAC: list pods");
        let since = health.borrow().parts[1].missing_since().unwrap();
        assert_eq!(health.borrow().parts[0].missing_since(), None);
        assert_eq!(
            health.borrow().missing(since + Duration::from_secs(61)),
            ["pods: missing RBAC: list pods (for 61 s)"]
        );
        assert_eq!(health.borrow().watch_errors, [0, 2, 0, 0]);
        pods.listed();
        assert_eq!(health.borrow().missing(now), [""; 0]);
    }

    /// Of a failure that lasts, the first moment counts; of the next failure its own.
    #[test]
    fn a_failure_that_lasts_began_once() {
        let ([pods], health) = reporters([("pods", Counter::WatchErrors(Kind::Pod))]);
        let since = || health.borrow().parts[0].missing_since().unwrap();
        pods.failed(&"connection refused");
        let first = since();
        std::thread::sleep(Duration::from_millis(5));
        pods.failed(&"timed out");
        assert_eq!(since(), first);
        pods.listed();
        pods.failed(&"connection refused");
        assert!(since() > first);
    }

    #[test]
    fn a_failure_does_not_take_back_what_was_listed() {
        let ([file], health) = reporters([("cluster file", Counter::ReloadFailures)]);
        file.listed();
        file.failed(&"half written");
        assert!(health.borrow().listed());
        assert_eq!(health.borrow().missing(SystemTime::now()).len(), 1);
        assert_eq!(
            (
                health.borrow().reload_failures,
                health.borrow().watch_errors
            ),
            (1, [0; 4])
        );
    }

    #[test]
    fn a_sign_of_life_is_not_a_full_list() {
        let ([pods], health) = reporters([("pods", Counter::WatchErrors(Kind::Pod))]);
        pods.failed(&"connection refused");
        pods.alive();
        assert_eq!(
            health.borrow().missing(SystemTime::now()),
            ["pods: not listed yet"]
        );
    }
}
