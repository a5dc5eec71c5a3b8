//! Calls of `bpf(2)` that aya does not have.

use std::{io, mem::size_of};

use aya_obj::generated::{bpf_attr, bpf_cmd};

/// One call; returns what it returned, a new file descriptor for some commands.
///
/// # Safety
/// Every pointer in `attr` must lead to memory that the command may use as long as `attr` says.
pub(super) unsafe fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i64> {
    let pointer: *mut bpf_attr = attr;
    // SAFETY: `attr` lives through the call; the caller answers for what it points to.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            pointer,
            size_of::<bpf_attr>(),
        )
    };
    match result {
        0.. => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}

/// All zeroes, which is a value of every member.
pub(super) fn attr() -> bpf_attr {
    // SAFETY: `bpf_attr` is a union of integers.
    unsafe { std::mem::zeroed() }
}
