//! Calls of `bpf(2)` that aya does not have.

use std::{
    ffi::CString,
    io,
    mem::size_of,
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use anyhow::{Context as _, Result};
use aya_obj::generated::{bpf_attr, bpf_cmd};

/// One call; returns what it returned, a new file descriptor for some commands.
///
/// # Safety
/// Every pointer in `attr` must lead to memory that the command may use as long as `attr` says.
pub unsafe fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i64> {
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
pub fn attr() -> bpf_attr {
    // SAFETY: `bpf_attr` is a union of integers.
    unsafe { std::mem::zeroed() }
}

/// Takes a link off its hook at once, and its pin away; a link whose last descriptor is closed may
/// stay for a moment.
pub fn detach(link: &OwnedFd) -> io::Result<()> {
    let mut attr = attr();
    attr.link_detach.link_fd = link.as_raw_fd() as u32;
    // SAFETY: no pointers.
    unsafe { bpf(bpf_cmd::BPF_LINK_DETACH, &mut attr) }.map(|_| ())
}

/// Takes what is pinned at `path` off its hook and removes the pin; nothing there is as good.
///
/// # Errors
/// When the pin cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    // Anything but a link of an interface that is still there has nothing to take off.
    if let Ok(link) = open(path) {
        let _ = detach(&link);
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Puts another program in the place of a link's, in one step.
pub fn update(link: &OwnedFd, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = attr();
    attr.link_update.link_fd = link.as_raw_fd() as u32;
    attr.link_update.__bindgen_anon_1.new_prog_fd = program.as_raw_fd() as u32;
    // SAFETY: no pointers.
    unsafe { bpf(bpf_cmd::BPF_LINK_UPDATE, &mut attr) }.map(|_| ())
}

/// Opens any pinned object of BPF.
pub fn open(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = attr();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    // SAFETY: the path ends with a zero and lives through the call.
    unsafe { descriptor(bpf_cmd::BPF_OBJ_GET, &mut attr) }
}

/// Pins any object of BPF.
pub fn pin(object: &OwnedFd, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = attr();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    attr.__bindgen_anon_4.bpf_fd = object.as_raw_fd() as u32;
    // SAFETY: the path ends with a zero and lives through the call.
    unsafe { bpf(bpf_cmd::BPF_OBJ_PIN, &mut attr) }.map(|_| ())
}

/// # Safety
/// As for [`bpf`]; the command returns a new descriptor.
pub unsafe fn descriptor(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the caller answers for `attr`.
    let fd = unsafe { bpf(command, attr) }?;
    // SAFETY: the command returned a descriptor of our own.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
