//! Programs on TCX hooks (Linux 6.6 and newer).

use std::{ffi::CString, io};

use anyhow::{Context as _, Result};

use super::{
    Hook, Program,
    program::{PROG_ATTACH, PROG_QUERY, bpf},
};
use crate::{namespace::Namespace, pod::Pod};

const PROG_DETACH: libc::c_long = 9;
/// Before all others, when no other is named.
const BEFORE: u32 = 1 << 3;

impl Hook {
    /// `BPF_TCX_INGRESS`, `BPF_TCX_EGRESS`
    fn code(self) -> u32 {
        match self {
            Self::Ingress => 46,
            Self::Egress => 47,
        }
    }
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Attach {
    interface: u32,
    program: u32,
    hook: u32,
    flags: u32,
    replaced: u32,
    relative: u32,
    revision: u64,
}

/// A program at the head of a hook's chain; taken off when dropped.
#[derive(Debug)]
pub struct Tcx<'a> {
    node: Namespace,
    _program: &'a Program,
    attach: Attach,
}

impl<'a> Tcx<'a> {
    /// Puts `program` before all others.
    pub fn first(program: &'a Program, pod: &Pod, hook: Hook) -> Result<Self> {
        let node = pod.node().namespace().clone();
        let attach = Attach {
            interface: index(&node, pod.veth())?,
            program: program.number(),
            hook: hook.code(),
            flags: BEFORE,
            replaced: 0,
            relative: 0,
            revision: 0,
        };
        node.run(|| bpf(PROG_ATTACH, attach))?
            .with_context(|| format!("attach to {} {}", pod.veth(), hook.name()))?;
        Ok(Self {
            node,
            _program: program,
            attach,
        })
    }
}

impl Drop for Tcx<'_> {
    fn drop(&mut self) {
        let detach = Attach {
            flags: 0,
            ..self.attach
        };
        // Fails when the interface is gone, and the program with it.
        let _ = self.node.run(|| bpf(PROG_DETACH, detach));
    }
}

/// Numbers of the programs on an interface's hook, in the order in which they run.
pub fn tcx_programs(node: &Namespace, interface: u32, hook: Hook) -> Result<Vec<u32>> {
    node.run(|| programs(interface, hook))?
        .with_context(|| format!("TCX programs of interface {interface}"))
}

/// As [`tcx_programs`], for a thread that is in the node's namespace.
fn programs(interface: u32, hook: Hook) -> io::Result<Vec<u32>> {
    #[repr(C)]
    struct Query {
        interface: u32,
        hook: u32,
        flags: [u32; 2],
        programs: u64,
        count: u32,
        padding: u32,
        more: [u64; 4],
    }
    let mut found = [0u32; 64];
    let query = Query {
        interface,
        hook: hook.code(),
        flags: [0; 2],
        programs: found.as_mut_ptr() as u64,
        count: found.len() as u32,
        padding: 0,
        more: [0; 4],
    };
    bpf(PROG_QUERY, query)?;
    Ok(found.into_iter().take_while(|id| *id != 0).collect())
}

/// The index of interface `name`.
pub fn index(node: &Namespace, name: &str) -> Result<u32> {
    let name = CString::new(name)?;
    // SAFETY: `name` is a string with its terminating zero.
    let index = node.run(|| unsafe { libc::if_nametoindex(name.as_ptr()) })?;
    (index != 0)
        .then_some(index)
        .with_context(|| format!("no interface {name:?}"))
}
