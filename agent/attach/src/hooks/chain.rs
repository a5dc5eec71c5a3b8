//! The TCX programs of a hook, in the order in which they run (Linux 6.6 and newer).
//!
//! By number: to name a program takes CAP_SYS_ADMIN, which the agent does without.

use std::io;

use aya_obj::generated::bpf_cmd;
use zonemeter_datapath::syscall;
use zonemeter_model::traffic::Direction;

use super::{Place, agents::Agents, hook};

/// A hook has no room for more (`BPF_MPROG_MAX`).
const MOST: usize = 64;

/// Numbers of the programs, the first to run first. Needs CAP_NET_ADMIN.
///
/// # Errors
/// `ENODEV` when the interface is gone, `EINVAL` on a kernel without TCX.
pub(crate) fn programs(interface: u32, direction: Direction) -> io::Result<Vec<u32>> {
    let mut ids = [0u32; MOST];
    let mut attr = syscall::attr();
    attr.query.__bindgen_anon_1.target_ifindex = interface;
    attr.query.attach_type = hook(direction).tcx as u32;
    attr.query.prog_ids = ids.as_mut_ptr() as u64;
    attr.query.__bindgen_anon_2.prog_cnt = MOST as u32;
    // SAFETY: there is room for as many numbers as the question says.
    unsafe { syscall::bpf(bpf_cmd::BPF_PROG_QUERY, &mut attr) }?;
    // SAFETY: the member that the command answers in.
    let count = unsafe { attr.query.__bindgen_anon_2.prog_cnt } as usize;
    Ok(ids[..count.min(MOST)].to_vec())
}

/// Where program `own` is in this list; other agents' programs hide nothing from it.
pub(crate) fn place(programs: &[u32], own: u32, agents: &mut Agents) -> Place {
    let Some(at) = programs.iter().position(|id| *id == own) else {
        return Place::Missing;
    };
    others(&programs[..at], agents).map_or(Place::First, Place::Behind)
}

/// What filters of clsact have before them.
pub(crate) fn above(programs: &[u32], agents: &mut Agents) -> Option<Place> {
    others(programs, agents).map(Place::AlwaysBehind)
}

/// Those that are no agents', as `bpftool prog show id` takes them.
fn others(programs: &[u32], agents: &mut Agents) -> Option<String> {
    let others = programs.iter().filter(|id| !agents.owns(**id));
    let ids: Vec<String> = others.map(u32::to_string).collect();
    (!ids.is_empty()).then(|| format!("TCX program {}", ids.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_before_our_program_are_named() {
        let mut agents = Agents::of([5]);
        let mut place = |programs: &[u32]| place(programs, 7, &mut agents);
        assert_eq!(place(&[7, 9]), Place::First);
        assert_eq!(place(&[5, 7]), Place::First);
        let behind = Place::Behind("TCX program 9, 8".to_owned());
        assert_eq!(place(&[9, 5, 8, 7, 6]), behind);
        assert_eq!(place(&[9]), Place::Missing);
        assert_eq!(above(&[], &mut agents), None);
        assert_eq!(above(&[5], &mut agents), None);
        let beneath = Place::AlwaysBehind("TCX program 9".to_owned());
        assert_eq!(above(&[9, 5], &mut agents), Some(beneath));
    }
}
