//! Small programs in the kernel's own instructions (`Documentation/bpf/standardization`).

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use anyhow::{Context as _, Result};

/// What a program says about a packet (`TCX_*` and `TC_ACT_*` in `include/uapi/linux`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The next one shall decide: `TCX_NEXT`, `TC_ACT_UNSPEC`.
    Next,
    /// It passes, and nobody else is asked: `TCX_PASS`, `TC_ACT_OK`.
    Pass,
    /// It is dropped: `TCX_DROP`, `TC_ACT_SHOT`.
    Drop,
}

impl Verdict {
    fn code(self) -> i32 {
        match self {
            Self::Next => -1,
            Self::Pass => 0,
            Self::Drop => 2,
        }
    }
}

/// Type of programs that tc and TCX run.
const SCHED_CLS: u32 = 3;
/// Type of programs that cgroups run.
const CGROUP_SKB: u32 = 8;
const PROG_LOAD: libc::c_long = 5;
const OBJ_PIN: libc::c_long = 6;
pub(super) const PROG_ATTACH: libc::c_long = 8;
pub(super) const PROG_QUERY: libc::c_long = 16;

/// A loaded program.
#[derive(Debug)]
pub struct Program(OwnedFd);

impl Program {
    /// Says `verdict` of every packet.
    pub fn always(verdict: Verdict) -> Result<Self> {
        Self::load(SCHED_CLS, &[set_result(verdict.code()), EXIT])
    }

    /// For a cgroup: lets every packet through, or none.
    pub fn in_cgroup(allows: bool) -> Result<Self> {
        Self::load(CGROUP_SKB, &[set_result(allows.into()), EXIT])
    }

    /// Drops UDP over IPv4 to port `port`, and says `else_` of everything else.
    pub fn drops_udp(port: u16, else_: Verdict) -> Result<Self> {
        // After an Ethernet header and an IPv4 header without options.
        const ETHERTYPE: i32 = 12;
        const PROTOCOL: i32 = 14 + 9;
        const UDP_DESTINATION: i32 = 14 + 20 + 2;
        let instructions = [
            KEEP_CONTEXT,
            load_16(ETHERTYPE),
            unless_equal(0x0800, 6),
            load_8(PROTOCOL),
            unless_equal(17, 4),
            load_16(UDP_DESTINATION),
            unless_equal(port.into(), 2),
            set_result(Verdict::Drop.code()),
            EXIT,
            set_result(else_.code()),
            EXIT,
        ];
        Self::load(SCHED_CLS, &instructions)
    }

    /// Gives it a name on the bpf file system.
    pub(super) fn pin(&self, path: &Path) -> Result<()> {
        #[repr(C)]
        struct Pin {
            path: u64,
            program: u32,
            flags: u32,
        }
        let name = CString::new(path.as_os_str().as_bytes())?;
        let pin = Pin {
            path: name.as_ptr() as u64,
            program: self.number(),
            flags: 0,
        };
        bpf(OBJ_PIN, pin).with_context(|| format!("pin {}", path.display()))?;
        Ok(())
    }

    /// The descriptor as system calls take it.
    pub(super) fn number(&self) -> u32 {
        self.0.as_raw_fd() as u32
    }

    fn load(kind: u32, instructions: &[u64]) -> Result<Self> {
        #[repr(C)]
        struct Load {
            kind: u32,
            count: u32,
            instructions: u64,
            license: u64,
            log: [u64; 2],
            version: u32,
            flags: u32,
            name: [u8; 16],
        }
        let load = Load {
            kind,
            count: instructions.len() as u32,
            instructions: instructions.as_ptr() as u64,
            license: c"GPL".as_ptr() as u64,
            log: [0; 2],
            version: 0,
            flags: 0,
            name: *b"lab_foreign\0\0\0\0\0",
        };
        let fd = bpf(PROG_LOAD, load).context("load a program")?;
        // SAFETY: the command returned a descriptor of our own.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }
}

/// One call of `bpf(2)`; `attributes` holds what the command reads, in its layout.
pub(super) fn bpf<T>(command: libc::c_long, mut attributes: T) -> io::Result<i64> {
    let pointer: *mut T = &raw mut attributes;
    // SAFETY: the layouts in this module are those of the commands, and what they point to lives
    // through the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, pointer, size_of::<T>()) };
    match result {
        0.. => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}

const EXIT: u64 = instruction(0x95, 0, 0, 0);
/// r6 = r1: where instructions that read packets look for it.
const KEEP_CONTEXT: u64 = instruction(0xbf, 0x16, 0, 0);

/// r0 = the two bytes at `offset` of the frame.
const fn load_16(offset: i32) -> u64 {
    instruction(0x28, 0, 0, offset)
}

/// r0 = the byte at `offset` of the frame.
const fn load_8(offset: i32) -> u64 {
    instruction(0x30, 0, 0, offset)
}

/// Goes `ahead` instructions further on unless r0 is `value`.
const fn unless_equal(value: i32, ahead: u16) -> u64 {
    instruction(0x55, 0, ahead, value)
}

const fn set_result(value: i32) -> u64 {
    instruction(0xb7, 0, 0, value)
}

/// Registers: the source in the upper half, the destination in the lower.
const fn instruction(code: u8, registers: u8, offset: u16, value: i32) -> u64 {
    code as u64 | (registers as u64) << 8 | (offset as u64) << 16 | (value as u32 as u64) << 32
}
