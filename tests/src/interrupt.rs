//! Ctrl-C: a flag that loops look at, so that a lab is taken down in order.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on SIGINT, SIGTERM and SIGHUP only set the flag that [`interrupted`] reads. A second
/// signal ends the process at once; the next run of the same lab then cleans up.
pub fn watch() -> Result<()> {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let handler = note as extern "C" fn(libc::c_int);
        // SAFETY: the handler only stores to an atomic and restores the default action, both
        // async-signal-safe.
        let previous = unsafe { libc::signal(signal, handler as libc::sighandler_t) };
        if previous == libc::SIG_ERR {
            return Err(io::Error::last_os_error()).context(format!("watch signal {signal}"));
        }
    }
    Ok(())
}

/// True once a signal came.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

extern "C" fn note(signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
    // SAFETY: signal is async-signal-safe and takes no pointers here.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}
