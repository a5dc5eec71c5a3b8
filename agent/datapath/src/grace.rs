//! Waits until every program run that had begun is over.

use std::io;

/// `MEMBARRIER_CMD_GLOBAL` (`include/uapi/linux/membarrier.h`): on more than one CPU it is
/// `synchronize_rcu()` (`kernel/sched/membarrier.c`). tc programs run inside an RCU read-side
/// section, so afterwards none can still hold a map that it found before. On one CPU there is
/// nothing to wait for: a program runs with bottom halves off, so this process cannot run amid.
const MEMBARRIER_CMD_GLOBAL: libc::c_long = 1;

/// Returns once no program run that began before the call is still under way. Takes one RCU grace
/// period, some milliseconds to tens of them.
///
/// # Errors
/// `EINVAL` where the kernel runs with `nohz_full`, `ENOSYS` where it has no membarrier.
pub(super) fn wait() -> io::Result<()> {
    // SAFETY: membarrier takes integers only and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
