//! What is asked of the kernel itself, by doing what the agent would do.

use anyhow::{Error, Result, anyhow};
use zonemeter_attach::{attachments::best_mode, cgroups::Hierarchy};
use zonemeter_datapath::{
    Settings, facts::Facts, memory::Plan, object, preflight, translate::Methods,
};
use zonemeter_model::traffic::AttachMode;

use super::report::Requirement;
use crate::{cgroups::legacy, memory_limit};

/// What the maps take, beside what there is.
pub(super) fn memory(plan: &Plan, max_series: usize) -> Requirement {
    let facts = Facts::read();
    let needed = match &facts.cgroup {
        Some(limit) => format!(
            "the memory cgroup allows {} ({})",
            limit.size.rounded(),
            limit.file.display()
        ),
        None => "no memory cgroup has a limit".to_owned(),
    };
    let needed = match facts.locked {
        Some(limit) if facts.locks_memory() => {
            format!("{needed}; RLIMIT_MEMLOCK is {limit}, and counts on this kernel")
        }
        _ => needed,
    };
    let found = Requirement::ok("map memory", plan.to_string(), needed);
    match preflight::too_much(plan) {
        Some(reason) => found.unless(reason),
        None => match memory_limit::too_low(&facts, plan, max_series) {
            Some(reason) => found.but(reason),
            None => found,
        },
    }
}

/// Really loads the programs and their maps, and lets go of them again; and how they would be
/// attached.
pub(super) fn programs(
    settings: &Settings,
    asked: Option<AttachMode>,
) -> (Requirement, Result<AttachMode>) {
    let needed = "the kernel accepts the programs and their maps";
    match object::load(settings, None) {
        Ok(_) => {
            let mode = best_mode().and_then(|best| match (asked.unwrap_or(best), best) {
                (AttachMode::Tcx, AttachMode::Tc) => {
                    Err(anyhow!("--attach tcx: this kernel has no TCX"))
                }
                (mode, _) => Ok(mode),
            });
            (Requirement::ok("programs", "accepted", needed), mode)
        }
        Err(error) => {
            let found = Requirement::ok("programs", format!("{error:#}"), needed);
            let remedy = "see the lines above; ZONEMETER_LOG=debug shows the \
                          verifier's whole log";
            (found.unless(remedy), best_mode())
        }
    }
}

pub(super) fn attach(mode: Result<&AttachMode, &Error>, asked: Option<AttachMode>) -> Requirement {
    let needed = "TCX (Linux 6.6 and newer), else filters of clsact";
    match mode {
        Ok(mode) => Requirement::ok("attach", mode.name(), needed),
        Err(error) => {
            let found = asked.map_or("none".to_owned(), |_| format!("{error:#}"));
            Requirement::ok("attach", found, needed).unless("give --attach auto")
        }
    }
}

/// The agent has a second way, so that this is never a reason not to start.
pub(super) fn connections(methods: Methods) -> Requirement {
    let needed = "the kernel's types (BTF) say where packets keep their connection";
    if !methods.packet {
        return Requirement::ok("connections", "not asked for", needed);
    }
    match preflight::connections() {
        Ok(()) => Requirement::ok("connections", "found", needed),
        Err(error) => Requirement::ok("connections", format!("{error:#}"), needed).but(
            "the connection table is asked in its place, once for each flow to a Service; load \
             nf_conntrack before the agent if it is a module that is not loaded yet",
        ),
    }
}

/// By which the node's own sockets are named.
pub(super) fn cgroups(hierarchy: &Hierarchy) -> Requirement {
    let needed = "cgroup v2, by which the node's own bytes get names";
    match hierarchy {
        Hierarchy::Unified(_) => Requirement::ok("cgroups", "v2", needed),
        Hierarchy::Hybrid(root) => {
            let found = format!("v1, and v2 at {}", root.display());
            Requirement::ok("cgroups", found, needed).but(
                "units are named, and pods of the host's network only where the container runtime \
                 puts them into v2 too: boot with systemd.unified_cgroup_hierarchy=1",
            )
        }
        Hierarchy::Legacy(_) => Requirement::ok("cgroups", "no v2", needed).but(legacy(hierarchy)),
    }
}

pub(super) fn grace_period() -> Requirement {
    let needed = "membarrier, by which a drain loses nothing";
    match preflight::grace_period() {
        Ok(()) => Requirement::ok("membarrier", "works", needed),
        Err(error) => Requirement::ok("membarrier", error.to_string(), needed)
            .unless("boot without nohz_full, and let seccomp allow membarrier"),
    }
}
