//! Programs on cgroups (`BPF_PROG_TYPE_CGROUP_SKB`).

use std::{fs::File, os::fd::AsRawFd as _, path::Path};

use anyhow::{Context as _, Result};

use super::{
    Hook, Program,
    program::{PROG_ATTACH, PROG_QUERY, bpf},
};

/// What else a cgroup, and those below it, may have (`include/uapi/linux/bpf.h`). systemd attaches
/// with [`Self::Multi`], earlier ones to a service without flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// No flags: nothing else of this kind on the cgroup, nor below it.
    None,
    /// `BPF_F_ALLOW_OVERRIDE`: one that is below it is run in its place.
    Override,
    /// `BPF_F_ALLOW_MULTI`: all are run.
    Multi,
}

impl Hook {
    /// `BPF_CGROUP_INET_INGRESS`, `BPF_CGROUP_INET_EGRESS`: seen from the processes in the cgroup.
    fn of_cgroup(self) -> u32 {
        match self {
            Self::Ingress => 0,
            Self::Egress => 1,
        }
    }
}

/// Attaches `program` to the cgroup at `folder`, until one of them goes.
pub fn attach_to_cgroup(
    program: &Program,
    folder: &Path,
    hook: Hook,
    sharing: Sharing,
) -> Result<()> {
    #[repr(C)]
    struct Attach {
        cgroup: u32,
        program: u32,
        hook: u32,
        flags: u32,
    }
    let cgroup = File::open(folder).with_context(|| folder.display().to_string())?;
    let attach = Attach {
        cgroup: cgroup.as_raw_fd() as u32,
        program: program.number(),
        hook: hook.of_cgroup(),
        flags: match sharing {
            Sharing::None => 0,
            Sharing::Override => 1,
            Sharing::Multi => 2,
        },
    };
    bpf(PROG_ATTACH, attach).with_context(|| format!("attach to {}", folder.display()))?;
    Ok(())
}

/// Numbers of the programs on the cgroup at `folder`; with those `above` all that packets meet.
pub fn cgroup_programs(folder: &Path, hook: Hook, above: bool) -> Result<Vec<u32>> {
    #[repr(C)]
    struct Query {
        cgroup: u32,
        hook: u32,
        flags: u32,
        attach_flags: u32,
        programs: u64,
        count: u32,
        padding: u32,
        more: [u64; 4],
    }
    /// `BPF_F_QUERY_EFFECTIVE`
    const EFFECTIVE: u32 = 1;
    let cgroup = File::open(folder).with_context(|| folder.display().to_string())?;
    let mut found = [0u32; 64];
    let query = Query {
        cgroup: cgroup.as_raw_fd() as u32,
        hook: hook.of_cgroup(),
        flags: if above { EFFECTIVE } else { 0 },
        attach_flags: 0,
        programs: found.as_mut_ptr() as u64,
        count: found.len() as u32,
        padding: 0,
        more: [0; 4],
    };
    bpf(PROG_QUERY, query).with_context(|| format!("programs of {}", folder.display()))?;
    Ok(found.into_iter().take_while(|id| *id != 0).collect())
}
