//! TCX links (Linux 6.6 and newer): at the head of the chain, pinned so that they outlive the
//! process, and adopted by the next one without missing a packet. By interface index: a name may
//! be another interface's by the time the kernel looks it up.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

use anyhow::{Context as _, Result};
use aya_obj::generated::{BPF_F_BEFORE, bpf_cmd, bpf_link_info, bpf_link_type};
use zonemeter_datapath::{
    pins::Pins,
    syscall::{self, descriptor, open, pin, remove, update},
};
use zonemeter_model::traffic::Direction;

use crate::hooks::hook;

/// Attaches `program` to a hook of interface `index`, in place of its pinned predecessor or at the
/// head of the chain; true where there was a predecessor. Where it fails, nothing stays.
pub(super) fn attach(
    program: BorrowedFd<'_>,
    index: u32,
    direction: Direction,
    pins: Option<&Pins>,
) -> Result<(OwnedFd, bool)> {
    let Some(pins) = pins else {
        return Ok((create(program, index, direction)?, false));
    };
    let path = pins.link(index, direction);
    if let Some(adopted) = adopt(program, index, direction, &path)? {
        return Ok((adopted, true));
    }
    let link = create(program, index, direction)?;
    // Its only descriptor is dropped on failure, and the link with it.
    pin(&link, &path).with_context(|| format!("pinning {}", path.display()))?;
    Ok((link, false))
}

/// Replaces the program of a pinned link in one step (`BPF_LINK_UPDATE`). `None` where nothing is
/// pinned. What is pinned there and is not a link of this very hook, the kernel says, is removed.
fn adopt(
    program: BorrowedFd<'_>,
    index: u32,
    direction: Direction,
    path: &Path,
) -> Result<Option<OwnedFd>> {
    let link = match open(path) {
        Ok(link) => link,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let on = hook_of(&link);
    let meant = (index, hook(direction).tcx as u32);
    if on.as_ref().is_ok_and(|on| *on == Some(meant)) {
        match update(&link, program) {
            Ok(()) => return Ok(Some(link)),
            // The interface went, or another process took the program off.
            Err(error) => tracing::debug!("{}: {error}", path.display()),
        }
    } else {
        tracing::warn!(
            "{}: pinned for interface {index} and not a link of it: removed",
            path.display()
        );
    }
    drop(link);
    remove(path)?;
    Ok(None)
}

/// Interface and attach type of a TCX link, `None` for anything else; interface 0 where it is gone.
fn hook_of(link: &OwnedFd) -> io::Result<Option<(u32, u32)>> {
    // SAFETY: all zeroes is a value of `bpf_link_info`, which is made of integers.
    let mut info: bpf_link_info = unsafe { std::mem::zeroed() };
    let mut attr = syscall::attr();
    attr.info.bpf_fd = link.as_raw_fd() as u32;
    attr.info.info_len = size_of::<bpf_link_info>() as u32;
    attr.info.info = &raw mut info as u64;
    // SAFETY: there is room for as much as the question says.
    unsafe { syscall::bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr) }?;
    if info.type_ != bpf_link_type::BPF_LINK_TYPE_TCX as u32 {
        return Ok(None);
    }
    // SAFETY: the member that links of this type have.
    let tcx = unsafe { info.__bindgen_anon_1.tcx };
    Ok(Some((tcx.ifindex, tcx.attach_type)))
}

fn create(program: BorrowedFd<'_>, index: u32, direction: Direction) -> io::Result<OwnedFd> {
    let mut attr = syscall::attr();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attr.link_create.__bindgen_anon_2.target_ifindex = index;
    attr.link_create.attach_type = hook(direction).tcx as u32;
    attr.link_create.flags = BPF_F_BEFORE;
    // SAFETY: no pointers.
    unsafe { descriptor(bpf_cmd::BPF_LINK_CREATE, &mut attr) }
}
