//! Others on the hooks of pods' veths and of cgroups: programs that decide over packets beside the
//! agent.
//!
//! Programs are written out as instructions and loaded by the system call itself, so that nothing
//! here shares code with the agent's way to the kernel.

mod cgroup;
mod frame;
mod policy_agent;
mod program;
mod tcx;

pub use cgroup::{Sharing, attach_to_cgroup, cgroup_programs};
pub use frame::{send_frame, udp_frame};
pub use policy_agent::PolicyAgent;
pub use program::{Program, Verdict};
pub use tcx::{Tcx, index, tcx_programs};

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::{node::Node, pod::Pod, tool};

/// A hook of a host-side veth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Packets from the pod.
    Ingress,
    /// Packets to the pod.
    Egress,
}

impl Hook {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ingress, Self::Egress];

    /// As `tc filter` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// Runs `tc` on the node of `pod` and returns what it printed; words are separated by spaces, and
/// `VETH` stands for the pod's.
pub fn tc(pod: &Pod, line: &str) -> anyhow::Result<String> {
    let words = line.split(' ').map(|word| match word {
        "VETH" => pod.veth(),
        word => word,
    });
    tool::output(pod.node().namespace().command("tc").args(words))
}

/// Gives `program` the name `name`, unique in the lab, on the bpf file system; it goes with the
/// lab.
pub fn pin(program: &Program, node: &Node, name: &str) -> anyhow::Result<PathBuf> {
    let folder = node.pin_directory().with_file_name("foreign");
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let path = folder.join(name);
    program.pin(&path)?;
    Ok(path)
}

/// Adds a pinned program as a filter of priority 1, for all protocols and with direct action.
pub fn add_filter(pod: &Pod, hook: Hook, handle: u32, pinned: &Path) -> anyhow::Result<()> {
    let line = format!(
        "filter add dev VETH {} prio 1 handle {handle:#x} protocol all bpf da object-pinned {}",
        hook.name(),
        pinned.display()
    );
    tc(pod, &line).map(|_| ())
}
