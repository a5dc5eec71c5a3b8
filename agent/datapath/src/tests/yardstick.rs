//! Two programs to compare with, in bare instructions: one that does nothing, and one that counts
//! bytes and packets by interface and peer in a per-CPU hash, the least that a counter of pairs does.
//! `cargo xtask bench` includes this file, too.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
};

/// `bpf` commands, map and program types (`include/uapi/linux/bpf.h`).
const BPF_MAP_CREATE: libc::c_long = 0;
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_MAP_TYPE_PERCPU_HASH: u32 = 5;
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
const LICENSE: &[u8] = b"GPL\0";
const PAIRS: u32 = 65_536;

/// Offsets in `struct __sk_buff`.
const LEN: i16 = 0;
const IFINDEX: i16 = 40;
const DATA: i16 = 76;
const DATA_END: i16 = 80;
const GSO_SEGS: i16 = 164;

/// The first fields of `union bpf_attr` for [`BPF_MAP_CREATE`].
#[repr(C)]
struct MapAttributes {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

/// The first fields of `union bpf_attr` for [`BPF_PROG_LOAD`].
#[repr(C)]
struct LoadAttributes {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
}

/// Loads the program that does nothing.
pub(crate) fn empty() -> io::Result<OwnedFd> {
    load(&[MOV_NEXT, EXIT])
}

/// Loads the program that counts pairs of IPv4. The peer's address is at this offset in a frame: 30
/// for what a pod sends, 26 for what it gets.
pub(crate) fn pairs(peer: i16) -> io::Result<OwnedFd> {
    let map = MapAttributes {
        map_type: BPF_MAP_TYPE_PERCPU_HASH,
        key_size: 8,
        value_size: 16,
        max_entries: PAIRS,
    };
    let map = bpf(BPF_MAP_CREATE, &map)?;
    load(&counting(map.as_raw_fd(), peer))
}

fn load(instructions: &[u64]) -> io::Result<OwnedFd> {
    let attributes = LoadAttributes {
        program_type: BPF_PROG_TYPE_SCHED_CLS,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
    };
    bpf(BPF_PROG_LOAD, &attributes)
}

/// An instruction (RFC 9669, section 3), little-endian.
const fn op(code: u8, to: u8, from: u8, offset: i16, value: i32) -> u64 {
    code as u64
        | (to as u64) << 8
        | (from as u64) << 12
        | (offset as u16 as u64) << 16
        | (value as u32 as u64) << 32
}

/// `r0 = -1` (TCX_NEXT)
const MOV_NEXT: u64 = op(0xb7, 0, 0, 0, -1);
const EXIT: u64 = op(0x95, 0, 0, 0, 0);

const fn load32(to: u8, from: u8, offset: i16) -> u64 {
    op(0x61, to, from, offset, 0)
}

const fn copy(to: u8, from: u8) -> u64 {
    op(0xbf, to, from, 0, 0)
}

const fn add(to: u8, value: i32) -> u64 {
    op(0x07, to, 0, 0, value)
}

fn counting(map: RawFd, peer: i16) -> Vec<u64> {
    // Jumps are told by the number of instructions behind them; the end is the last two.
    let map_of = |to: u8| [op(0x18, to, 1, 0, map), 0];
    let mut program = vec![
        load32(2, 1, DATA),
        load32(3, 1, DATA_END),
        copy(4, 2),
        add(4, 34),
        // Shorter than an IPv4 header, or something else: not counted.
        op(0x2d, 4, 3, 34, 0),
        op(0x69, 4, 2, 12, 0),
        op(0x55, 4, 0, 32, 0x0008),
        load32(4, 2, peer),
        op(0x63, 10, 4, -4, 0),
        load32(4, 1, IFINDEX),
        op(0x63, 10, 4, -8, 0),
        load32(6, 1, LEN),
        add(6, -14),
        load32(7, 1, GSO_SEGS),
        op(0x55, 7, 0, 1, 0),
        op(0xb7, 7, 0, 0, 1),
    ];
    program.extend(map_of(1));
    program.extend([
        copy(2, 10),
        add(2, -8),
        // bpf_map_lookup_elem
        op(0x85, 0, 0, 0, 1),
        op(0x15, 0, 0, 7, 0),
        op(0x79, 1, 0, 0, 0),
        op(0x0f, 1, 6, 0, 0),
        op(0x7b, 0, 1, 0, 0),
        op(0x79, 1, 0, 8, 0),
        op(0x0f, 1, 7, 0, 0),
        op(0x7b, 0, 1, 8, 0),
        op(0x05, 0, 0, 10, 0),
        op(0x7b, 10, 6, -24, 0),
        op(0x7b, 10, 7, -16, 0),
    ]);
    program.extend(map_of(1));
    program.extend([
        copy(2, 10),
        add(2, -8),
        copy(3, 10),
        add(3, -24),
        // BPF_NOEXIST
        op(0xb7, 4, 0, 0, 1),
        // bpf_map_update_elem
        op(0x85, 0, 0, 0, 2),
    ]);
    program.extend([MOV_NEXT, EXIT]);
    program
}

/// A `bpf` call that returns a file descriptor.
fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: `attributes` is laid out as the kernel reads it for `command`, of the length that is
    // told, and whatever it points to is constant.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both commands return a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) })
}
