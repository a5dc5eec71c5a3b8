//! How often this agent puts itself in front on one hook. Two programs that both insist on being
//! first would else take turns without an end.

use std::time::{Duration, Instant};

/// In a row.
const FREE: u32 = 10;
/// After those; each further pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(6);
/// Who has been in front for so long begins anew.
const PEACE: Duration = Duration::from_secs(60);

/// What has happened on one hook.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenBucket {
    taken: u32,
    last: Instant,
    /// Since when our program is not in front, as far as was seen.
    displaced: Option<Instant>,
}

impl TokenBucket {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            taken: 0,
            last: now,
            displaced: None,
        }
    }

    /// Our program is in front.
    pub(super) fn in_front(&mut self) {
        self.displaced = None;
    }

    /// Our program is not in front; true where it may be put there.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let since = *self.displaced.get_or_insert(now);
        if since.saturating_duration_since(self.last) >= PEACE {
            self.taken = 0;
        }
        let allowed = now.saturating_duration_since(self.last) >= self.pause();
        if allowed {
            self.taken = self.taken.saturating_add(1);
            self.last = now;
            self.displaced = None;
        }
        allowed
    }

    fn pause(&self) -> Duration {
        match self.taken.checked_sub(FREE) {
            None => Duration::ZERO,
            Some(past) => FIRST_PAUSE.saturating_mul(1 << past.min(20)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When tries are allowed, in seconds, on a hook whose other program always comes first.
    fn allowed(tries: &mut TokenBucket, start: Instant, seconds: std::ops::Range<u64>) -> Vec<u64> {
        seconds
            .filter(|second| tries.take(start + Duration::from_secs(*second)))
            .collect()
    }

    #[test]
    fn ten_in_a_row_and_then_after_pauses_that_double() {
        let start = Instant::now();
        let mut tries = TokenBucket::new(start);
        let first: Vec<u64> = (0..10).collect();
        assert_eq!(allowed(&mut tries, start, 0..10), first);
        // 9 + 6, + 12, + 24 and so on.
        let day = allowed(&mut tries, start, 10..86_400);
        assert_eq!(day[..4], [15, 27, 51, 99]);
        assert_eq!(day.len(), 13);
    }

    #[test]
    fn who_was_left_in_front_begins_anew() {
        let start = Instant::now();
        let mut tries = TokenBucket::new(start);
        assert_eq!(allowed(&mut tries, start, 0..20).len(), 11);
        tries.in_front();
        assert_eq!(allowed(&mut tries, start, 80..90).len(), 10);
    }
}
