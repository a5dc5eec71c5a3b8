//! Gives memory back to the node that the allocator keeps for later.
//!
//! What is needed for a moment is much beside what stays: the kernel's type information at the
//! start, a list of ten thousand pods, the body of a large scrape. glibc returns the top of its
//! heap only, and a single allocation above keeps all below it resident.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{MissedTickBehavior, interval};

/// Short against the minutes over which memory is charged and watched; a pass takes about a
/// millisecond.
const EVERY: Duration = Duration::from_secs(10);

/// Gives back now and then, for ever.
pub async fn give_back() -> Result<()> {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        trim();
    }
}

/// All arenas, also between allocations (`malloc_trim(3)`).
#[cfg(target_env = "gnu")]
fn trim() {
    // SAFETY: takes the allocator's own locks and touches free memory only.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give back by themselves.
#[cfg(not(target_env = "gnu"))]
fn trim() {}

#[cfg(test)]
mod tests {
    use std::{fs, hint::black_box};

    use super::*;

    /// Heap and stacks that are resident, in kB (`proc_pid_status(5)`).
    fn resident() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.unwrap().parse().unwrap()
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn what_lies_below_the_last_allocation_is_given_back() {
        // Each too small to be mapped apart; of one size, so that the last lies above the others.
        let mut pieces: Vec<_> = (0..1_000)
            .map(|_| black_box(vec![1_u8; 32 << 10]))
            .collect();
        let last = pieces.pop();
        drop(pieces);
        let before = resident();
        trim();
        let after = resident();
        drop(last);
        assert!(after + 20_000 < before, "{before} kB, then {after} kB");
    }
}
