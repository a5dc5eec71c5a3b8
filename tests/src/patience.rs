//! How long the lab waits for others. Deadlines are for things that hang: a machine that is
//! known to be slow, such as an emulated one, gets more of them by `ZONEMETER_LAB_PATIENCE`.

use std::{env, time::Duration};

/// `ZONEMETER_LAB_PATIENCE` times as long, for a whole number from 1 to 100.
pub(crate) fn stretched(patience: Duration) -> Duration {
    let factor = env::var("ZONEMETER_LAB_PATIENCE").ok();
    let factor = factor.and_then(|factor| factor.parse().ok()).unwrap_or(1);
    patience * u32::clamp(factor, 1, 100)
}
