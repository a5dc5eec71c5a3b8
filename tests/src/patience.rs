//! How long the lab waits for others. Deadlines are for things that hang: a machine that is
//! known to be slow, such as an emulated one, gets more of them by `ZONEMETER_LAB_PATIENCE`.

use std::{
    env, thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

/// How often [`until`] asks.
const PAUSE: Duration = Duration::from_millis(5);

/// `ZONEMETER_LAB_PATIENCE` times as long, for a whole number from 1 to 100.
pub(crate) fn stretched(patience: Duration) -> Duration {
    let factor = env::var("ZONEMETER_LAB_PATIENCE").ok();
    let factor = factor.and_then(|factor| factor.parse().ok()).unwrap_or(1);
    patience * u32::clamp(factor, 1, 100)
}

/// Asks until `condition` has an answer.
///
/// # Errors
/// When there is none within `patience`; names `what` was waited for.
pub fn until<T>(
    patience: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + stretched(patience);
    loop {
        if let Some(found) = condition() {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "not within {patience:?}: {what}");
        thread::sleep(PAUSE);
    }
}
