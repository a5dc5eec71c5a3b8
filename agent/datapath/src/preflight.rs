//! What `zonemeter check` asks of the kernel, in the ways the agent would use it.

use std::io;

use anyhow::Result;

use super::{conntrack::offsets, grace, memory::Plan, object};

/// Waits for program runs to end, as every drain does.
///
/// # Errors
/// Where the kernel has no membarrier.
pub fn grace_period() -> io::Result<()> {
    grace::wait()
}

/// Why the maps cannot get the memory that they take; `None` where they may. Raises what limits
/// it first, as the agent does.
pub fn too_much(plan: &Plan) -> Option<String> {
    object::check_memory(plan)
        .err()
        .map(|error| format!("{error:#}"))
}

/// Looks for a packet's connection in the kernel's type information.
///
/// # Errors
/// Where the kernel does not describe itself, or its structures are other ones.
pub fn connections() -> Result<()> {
    offsets::find().map(|_| ())
}
