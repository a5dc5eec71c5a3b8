//! How long to wait before the next attempt.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(250);
/// With jitter at most 15 s: what a new pod waits for its name after a long outage.
const LONGEST: Duration = Duration::from_secs(10);
/// A failure so long after the one before is a first one again.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Over how long the agents of a cluster spread their lists.
const SPREAD: Duration = Duration::from_secs(3);

/// How long to wait before a list for which all agents of a cluster have the same occasion: their
/// start after an update, or a server that has forgotten its history.
pub(super) fn spread() -> Duration {
    SPREAD.mul_f64(fastrand::f64())
}

/// Doubles with each failure. The jitter spreads the agents of a cluster, which all lose the
/// same server at the same moment.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    last: Option<Instant>,
}

impl Backoff {
    /// The delay after a failure at `now`.
    pub(super) fn after_failure(&mut self, now: Instant) -> Duration {
        if self
            .last
            .is_none_or(|last| now.duration_since(last) > FORGET_AFTER)
        {
            self.failures = 0;
        }
        self.last = Some(now);
        self.failures += 1;
        delay(self.failures, fastrand::f64())
    }
}

/// Between half and one and a half times the doubled delay; `random` is from 0 to 1.
fn delay(failures: u32, random: f64) -> Duration {
    let doubled = FIRST * 2_u32.pow(failures.saturating_sub(1).min(16));
    doubled.min(LONGEST).mul_f64(0.5 + random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_a_limit() {
        let delays: Vec<_> = (1..=8).map(|n| delay(n, 0.5).as_millis()).collect();
        let expected = [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000];
        for (delay, expected) in delays.iter().zip(expected) {
            assert!(delay.abs_diff(expected) <= 1, "{delays:?}");
        }
        assert_eq!(delay(u32::MAX, 1.0), Duration::from_secs(15));
        assert_eq!(delay(1, 0.0), Duration::from_millis(125));
    }

    #[test]
    fn a_failure_long_after_is_a_first_one() {
        let (mut backoff, start) = (Backoff::default(), Instant::now());
        for _ in 0..10 {
            backoff.after_failure(start);
        }
        assert!(backoff.after_failure(start + FORGET_AFTER) >= LONGEST / 2);
        let later = start + 3 * FORGET_AFTER;
        assert!(backoff.after_failure(later) <= FIRST.mul_f64(1.5));
    }

    #[test]
    fn agents_do_not_come_back_in_step() {
        let delays: std::collections::HashSet<_> = (0..100)
            .map(|_| Backoff::default().after_failure(Instant::now()))
            .collect();
        assert!(delays.len() > 50);
        let spreads: std::collections::HashSet<_> = (0..100).map(|_| spread()).collect();
        assert!(spreads.len() > 50);
        assert!(spreads.iter().all(|spread| *spread <= SPREAD));
    }
}
