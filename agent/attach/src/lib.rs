//! Puts the loaded programs on every pod veth, on the uplinks and on cgroups, and keeps them there.
//!
//! In the order of the data: [`links`] follows the veths and uplinks as they come and go, [`attachments`] puts
//! the programs on them and keeps them in front of others on their [`hooks`]; [`cgroups`] follows the node's
//! cgroups, by which its own sockets are named. [`survey`] answers `zonemeter check`, [`remove`] takes away what
//! nobody owns any more.

pub mod attachments;
pub mod cgroups;
pub mod hooks;
pub mod links;
pub mod remove;
pub mod survey;

use anyhow::Result;
use zonemeter_datapath::Attachable;
use zonemeter_model::traffic::AttachMode;

use self::{
    attachments::{Attachments, tc::Identity},
    cgroups::link::Linker,
    hooks::filter::Mark,
};

/// Takes over what was loaded: the programs of interfaces and that of cgroups, each for a thread of
/// its own. Where `may_add_clsact` is false, clsact on a pod's veth would keep the pod from starting:
/// a filter then takes what is there.
///
/// # Errors
/// When there is no netlink socket, or the kernel does not tell its version.
pub fn prepare(
    attachable: Attachable,
    mode: AttachMode,
    may_add_clsact: bool,
) -> Result<(Attachments, Linker)> {
    let Attachable {
        programs,
        host_program,
        uplinks,
        control_map,
        inherited,
        pins,
    } = attachable;
    let mark = Mark {
        map: control_map,
        pinned: pins.is_some(),
    };
    let hooks = attachments::Hooks {
        identity: Identity { mark, inherited },
        mode,
        may_add_clsact,
    };
    let attachments = Attachments::new(programs, hooks, uplinks, pins.clone())?;
    Ok((attachments, Linker::new(host_program, pins)))
}
