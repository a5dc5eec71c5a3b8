//! How often this agent puts itself in front on one hook. Two programs that both insist on being
//! first would else take turns without an end.

use std::time::{Duration, Instant};

/// In a row.
const MOST: u32 = 10;
/// After which one more is allowed.
const REGAINED: Duration = Duration::from_secs(6);

/// What is left on one hook.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries {
    left: u32,
    since: Instant,
}

impl Tries {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: MOST,
            since: now,
        }
    }

    /// True where one was left.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        while self.left < MOST && now.saturating_duration_since(self.since) >= REGAINED {
            self.left += 1;
            self.since += REGAINED;
        }
        if self.left == MOST {
            self.since = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_in_a_row_and_then_one_in_six_seconds() {
        let start = Instant::now();
        let mut tries = Tries::new(start);
        let later = start + Duration::from_secs(3600);
        let allowed = |tries: &mut Tries, now| (0..20).filter(|_| tries.take(now)).count();
        assert_eq!(allowed(&mut tries, later), 10);
        assert_eq!(allowed(&mut tries, later + Duration::from_secs(5)), 0);
        assert_eq!(allowed(&mut tries, later + Duration::from_secs(13)), 2);
        assert_eq!(allowed(&mut tries, later + Duration::from_secs(3600)), 10);
    }
}
