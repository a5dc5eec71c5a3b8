//! Socket options that the standard library does not know.

use std::{io, os::fd::AsRawFd, time::Duration};

use anyhow::{Result, ensure};

/// Room for a burst: 8 MB, past the system's limit as root may ask.
pub(super) fn enlarge(socket: &impl AsRawFd) -> Result<()> {
    let bytes: libc::c_int = 8 << 20;
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes)
}

/// Datagrams of `size` bytes are cut out of larger ones as late as possible (udp(7)).
pub(super) fn segment(socket: &impl AsRawFd, size: usize) -> Result<()> {
    let size = size as libc::c_int;
    set(socket, libc::SOL_UDP, libc::UDP_SEGMENT, &size)
}

/// How long an `accept` waits.
///
/// # Errors
/// It is no socket.
pub fn receive_timeout(socket: &impl AsRawFd, patience: Duration) -> Result<()> {
    let patience = libc::timeval {
        tv_sec: patience.as_secs() as libc::time_t,
        tv_usec: libc::suseconds_t::from(patience.subsec_micros()),
    };
    set(socket, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &patience)
}

fn set<T>(socket: &impl AsRawFd, level: i32, name: i32, value: &T) -> Result<()> {
    // SAFETY: the pointer and the length describe `value`, which lives through the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    ensure!(
        result == 0,
        "setsockopt {level}/{name}: {}",
        io::Error::last_os_error()
    );
    Ok(())
}
