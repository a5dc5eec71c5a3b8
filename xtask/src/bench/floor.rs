//! The programs to compare with, loaded and attached by bare system calls, so that nothing but
//! the hook and they themselves are measured.

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use zonemeter_lab::{Node, Pod};

use super::{
    stats::{self, Cost},
    yardstick,
};

/// `bpf` commands, program and attach types (`include/uapi/linux/bpf.h`).
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_TCX_INGRESS: u32 = 46;
const BPF_TCX_EGRESS: u32 = 47;

/// The first fields of `union bpf_attr` for [`BPF_LINK_CREATE`].
#[repr(C)]
struct LinkAttributes {
    program: RawFd,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Does nothing.
    Empty,
    /// Counts by interface and peer in a per-CPU hash.
    Pairs,
}

impl Rule {
    /// For what comes from a pod, and for what goes to it.
    fn load(self) -> io::Result<[OwnedFd; 2]> {
        Ok(match self {
            Self::Empty => [yardstick::empty()?, yardstick::empty()?],
            Self::Pairs => [yardstick::pairs(30)?, yardstick::pairs(26)?],
        })
    }
}

/// A program on both hooks of every pod's veth; gone when dropped.
pub(super) struct Floor {
    transmit: OwnedFd,
    receive: OwnedFd,
    _links: Vec<OwnedFd>,
}

impl Floor {
    /// Loads one for each direction, so that their costs are told apart, and attaches them.
    pub(super) fn attach(node: &Node, pods: &[Pod], rule: Rule) -> Result<Self> {
        let [transmit, receive] = rule.load().with_context(|| format!("loading {rule:?}"))?;
        let mut links = Vec::new();
        for pod in pods {
            let attach = || {
                let interface = interface_index(pod.veth())?;
                Ok([
                    link(&transmit, interface, BPF_TCX_INGRESS)?,
                    link(&receive, interface, BPF_TCX_EGRESS)?,
                ])
            };
            let attached: Result<[OwnedFd; 2]> = node.namespace().run(attach)?;
            links.extend(attached.with_context(|| format!("{rule:?} on {}", pod.veth()))?);
        }
        Ok(Self {
            transmit,
            receive,
            _links: links,
        })
    }

    /// What both have cost so far: transmit, receive.
    pub(super) fn cost(&self) -> Result<[Cost; 2]> {
        let own = |program: &OwnedFd| {
            stats::read(
                Path::new("/proc/self/fdinfo")
                    .join(program.as_raw_fd().to_string())
                    .as_path(),
            )?
            .context("the kernel tells no statistics of the program")
        };
        Ok([own(&self.transmit)?.1, own(&self.receive)?.1])
    }
}

fn link(program: &OwnedFd, interface: u32, attach_type: u32) -> Result<OwnedFd> {
    let attributes = LinkAttributes {
        program: program.as_raw_fd(),
        interface,
        attach_type,
        flags: 0,
    };
    bpf(BPF_LINK_CREATE, &attributes).context("attaching it by TCX (Linux 6.6 or newer)")
}

/// A `bpf` call that returns a file descriptor.
fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: `attributes` is laid out as the kernel reads it for `command`, of the length that
    // is told, and whatever it points to is constant.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both commands return a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) })
}

/// In the calling thread's network namespace.
fn interface_index(name: &str) -> Result<u32> {
    let text = CString::new(name).context("an interface's name")?;
    // SAFETY: the pointer leads to a NUL-terminated string that outlives the call.
    let index = unsafe { libc::if_nametoindex(text.as_ptr()) };
    ensure!(
        index != 0,
        "no interface {name}: {}",
        io::Error::last_os_error()
    );
    Ok(index)
}
