//! Whether somebody looks at what only people read: it is made only then.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// When somebody asked last. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Interest(Arc<Mutex<Option<Instant>>>);

impl Interest {
    /// Somebody asks.
    pub fn asks(&self, now: Instant) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *asked = (*asked).max(Some(now));
    }

    /// True where somebody asked within `time` before `now`.
    pub fn within(&self, time: Duration, now: Instant) -> bool {
        let asked = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|asked| now.saturating_duration_since(asked) < time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lasts_for_a_time_after_the_last_question() {
        let (interest, start) = (Interest::default(), Instant::now());
        let minute = Duration::from_secs(60);
        assert!(!interest.within(minute, start));
        interest.asks(start);
        assert!(interest.within(minute, start + minute / 2));
        assert!(!interest.within(minute, start + minute));
    }
}
