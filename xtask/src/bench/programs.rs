//! The programs that take turns on a hook: one that does nothing, one that counts pairs, and those of
//! a running agent.

use std::{
    fs, io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
    path::Path,
};

use anyhow::{Context, Result};

use super::{
    stats::{self, Cost},
    yardstick,
};

/// Commands of bpf(2) and types (`include/uapi/linux/bpf.h`).
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_GET_FD_BY_ID: libc::c_long = 13;
const BPF_PROG_TYPE_CGROUP_SKB: u32 = 8;

/// What is on a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Nothing,
    Empty,
    Pairs,
    Agent,
}

/// A program for what comes from a pod, and one for what goes to it, so that their costs are told
/// apart.
pub(super) type Both = [OwnedFd; 2];

/// All of them, loaded.
pub(super) struct Programs {
    empty: Both,
    pairs: Both,
    agent: Both,
}

impl Programs {
    /// Loads those to compare with, and gets hold of those of the agent with this process id.
    pub(super) fn new(agent: u32) -> Result<Self> {
        Ok(Self {
            empty: [yardstick::empty()?, yardstick::empty()?],
            // Where the peer's address is in a frame.
            pairs: [yardstick::pairs(30)?, yardstick::pairs(26)?],
            agent: [
                of_agent(agent, "zonemeter_tx")?,
                of_agent(agent, "zonemeter_rx")?,
            ],
        })
    }

    /// Those of a mode.
    pub(super) fn of(&self, mode: Mode) -> Option<&Both> {
        match mode {
            Mode::Nothing => None,
            Mode::Empty => Some(&self.empty),
            Mode::Pairs => Some(&self.pairs),
            Mode::Agent => Some(&self.agent),
        }
    }

    /// What those of a mode have cost so far.
    pub(super) fn cost(&self, mode: Mode) -> Result<[Cost; 2]> {
        match self.of(mode) {
            None => Ok([Cost::default(); 2]),
            Some([transmit, receive]) => Ok([cost(transmit)?, cost(receive)?]),
        }
    }
}

/// What a program has cost so far.
pub(super) fn cost(program: &OwnedFd) -> Result<Cost> {
    let path = format!("/proc/self/fdinfo/{}", program.as_raw_fd());
    let (_, cost) = stats::read(Path::new(&path))?.context("no statistics of the program")?;
    Ok(cost)
}

/// The program of this name that a process holds.
pub(super) fn of_agent(pid: u32, name: &str) -> Result<OwnedFd> {
    let folder = format!("/proc/{pid}/fdinfo");
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {folder}"))? {
        let file = entry.with_context(|| format!("reading {folder}"))?.path();
        // A descriptor may be closed in between.
        let Ok(Some((id, _))) = stats::read(&file) else {
            continue;
        };
        if stats::name_of(id)? == name {
            // `next_id` and `open_flags` are nothing.
            return bpf(BPF_PROG_GET_FD_BY_ID, &[id, 0, 0])
                .with_context(|| format!("opening program {id}"));
        }
    }
    anyhow::bail!("the agent holds no {name}")
}

/// A program for a cgroup's ingress that lets everything pass.
pub(super) fn empty_of_cgroup() -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        program_type: u32,
        instruction_count: u32,
        instructions: u64,
        license: u64,
    }
    // `r0 = 1`, `exit` (RFC 9669, section 3).
    let instructions: [u64; 2] = [0xb7 | 1 << 32, 0x95];
    let attributes = Attributes {
        program_type: BPF_PROG_TYPE_CGROUP_SKB,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
    };
    bpf(BPF_PROG_LOAD, &attributes)
}

/// A `bpf` call that returns a file descriptor.
pub(super) fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    let descriptor = bpf_call(command, attributes)?;
    // SAFETY: the callers' commands return a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// A `bpf` call.
pub(super) fn bpf_call<T>(command: libc::c_long, attributes: &T) -> io::Result<RawFd> {
    // SAFETY: `attributes` is laid out as the kernel reads it for `command`, of the length that
    // is told, and whatever it points to outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    match result {
        0.. => Ok(result as RawFd),
        _ => Err(io::Error::last_os_error()),
    }
}
