//! The TCX programs of a hook, in the order in which they run (Linux 6.6 and newer).
//!
//! By number: to name a program takes CAP_SYS_ADMIN, which the agent does without.

use std::io;

use aya_obj::generated::{bpf_attach_type, bpf_cmd};

use super::Place;
use crate::{kernel::syscall, model::traffic::Direction};

/// A hook has no room for more (`BPF_MPROG_MAX`).
const MOST: usize = 64;

/// Numbers of the programs, the first to run first. Needs CAP_NET_ADMIN.
///
/// # Errors
/// `ENODEV` when the interface is gone, `EINVAL` on a kernel without TCX.
pub(in crate::kernel) fn programs(interface: u32, direction: Direction) -> io::Result<Vec<u32>> {
    let mut ids = [0u32; MOST];
    let hook = match direction {
        Direction::Transmit => bpf_attach_type::BPF_TCX_INGRESS,
        Direction::Receive => bpf_attach_type::BPF_TCX_EGRESS,
    };
    let mut attr = syscall::attr();
    attr.query.__bindgen_anon_1.target_ifindex = interface;
    attr.query.attach_type = hook as u32;
    attr.query.prog_ids = ids.as_mut_ptr() as u64;
    attr.query.__bindgen_anon_2.prog_cnt = MOST as u32;
    // SAFETY: there is room for as many numbers as the question says.
    unsafe { syscall::bpf(bpf_cmd::BPF_PROG_QUERY, &mut attr) }?;
    // SAFETY: the member that the command answers in.
    let count = unsafe { attr.query.__bindgen_anon_2.prog_cnt } as usize;
    Ok(ids[..count.min(MOST)].to_vec())
}

/// Where program `own` is in this list.
pub(in crate::kernel) fn place(programs: &[u32], own: u32) -> Place {
    match programs.iter().position(|id| *id == own) {
        Some(0) => Place::First,
        Some(at) => Place::Behind(named(&programs[..at])),
        None => Place::Missing,
    }
}

/// What filters of clsact have before them.
pub(in crate::kernel) fn above(programs: &[u32]) -> Option<Place> {
    (!programs.is_empty()).then(|| Place::Beneath(named(programs)))
}

/// Programs as `bpftool prog show id` takes them.
fn named(programs: &[u32]) -> String {
    let ids: Vec<String> = programs.iter().map(u32::to_string).collect();
    format!("TCX program {}", ids.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_before_our_program_are_named() {
        assert_eq!(place(&[7, 9], 7), Place::First);
        let behind = Place::Behind("TCX program 9, 8".to_owned());
        assert_eq!(place(&[9, 8, 7, 6], 7), behind);
        assert_eq!(place(&[9], 7), Place::Missing);
        assert_eq!(above(&[]), None);
        let beneath = Place::Beneath("TCX program 9".to_owned());
        assert_eq!(above(&[9]), Some(beneath));
    }
}
