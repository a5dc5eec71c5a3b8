//! Who is on the hooks of interfaces, for `zonemeter check`, asked in the ways the agent would use.

use std::{io, sync::Arc};

use anyhow::{Context as _, Result};
use aya::programs::{ProgramError, SchedClassifier};
use zonemeter_model::traffic::{AttachMode, Direction};

use super::{
    attachments::{best_mode, tc::PRIORITY},
    hooks::{
        filter::{self, Filter},
        hook,
        netlink::Route,
        qdisc::{self, Qdisc},
    },
};

/// Somebody else's program or filter on a hook that the agent uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbour {
    /// Which hook, by what passes there.
    pub direction: Direction,
    /// How it is attached, and its name where that is known.
    pub what: String,
    /// It runs before this agent would, in the mode asked about: what it lets pass or drops for
    /// good is not counted.
    pub ahead: bool,
}

/// Who is on the hooks of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Everybody but this agent, sorted.
    pub neighbours: Vec<Neighbour>,
    /// The interface has an `ingress` qdisc, which bars clsact.
    pub ingress_qdisc: bool,
    /// What could not be told, and why.
    pub unknown: Option<String>,
}

/// Asks for the hooks of one interface after another.
pub struct Surveyor {
    route: Route,
    mode: AttachMode,
    has_tcx: bool,
}

impl Surveyor {
    /// Opens a netlink socket.
    ///
    /// # Errors
    /// When there is no socket, or the kernel does not tell its version.
    pub fn new(mode: AttachMode) -> Result<Self> {
        Ok(Self {
            route: Route::open().context("asking for filters (rtnetlink)")?,
            mode,
            has_tcx: best_mode()? == AttachMode::Tcx,
        })
    }

    /// Who is on the hooks of this interface.
    ///
    /// # Errors
    /// When the kernel does not answer, for an interface that is gone.
    pub fn hooks(&mut self, index: u32, name: &Arc<str>) -> Result<Hooks> {
        let qdisc = qdisc::of(&mut self.route, index);
        let qdisc = qdisc.with_context(|| format!("reading the qdisc of {name}"))?;
        let mut hooks = Hooks {
            ingress_qdisc: qdisc == Some(Qdisc::Ingress),
            ..Hooks::default()
        };
        for direction in Direction::ALL {
            if self.has_tcx {
                tcx(name, direction, self.mode, &mut hooks)?;
            }
            // The kernel would list those from the pod once more.
            if direction == Direction::Receive && hooks.ingress_qdisc {
                continue;
            }
            let filters = filter::list(&mut self.route, index, direction);
            let filters = filters.with_context(|| format!("reading the filters of {name}"))?;
            let others = filters.iter().filter(|filter| filter.mark.is_none());
            hooks
                .neighbours
                .extend(others.map(|filter| neighbour(filter, direction, self.mode)));
        }
        hooks.neighbours.sort();
        Ok(hooks)
    }
}

/// In its own priority this agent's filter is put in front; one of a lower number is before.
fn neighbour(filter: &Filter, direction: Direction, mode: AttachMode) -> Neighbour {
    Neighbour {
        direction,
        what: filter.what.clone(),
        ahead: mode == AttachMode::Tc && filter.priority < PRIORITY,
    }
}

/// TCX programs run in the order of the list, in which this agent puts itself first, and before
/// every filter of clsact.
fn tcx(name: &str, direction: Direction, mode: AttachMode, hooks: &mut Hooks) -> Result<()> {
    match SchedClassifier::query_tcx(name, hook(direction).name) {
        Ok((_, programs)) => {
            let names = programs
                .iter()
                .map(|program| program.name_as_str().unwrap_or("?"));
            let others = names.filter(|name| !name.starts_with("zonemeter_"));
            hooks.neighbours.extend(others.map(|name| Neighbour {
                direction,
                what: format!("tcx {name}"),
                ahead: mode == AttachMode::Tc,
            }));
            Ok(())
        }
        Err(error) if is_not_permitted(&error) => {
            hooks.unknown = Some("naming TCX programs takes CAP_SYS_ADMIN".to_owned());
            Ok(())
        }
        Err(error) => Err(error).with_context(|| format!("reading the TCX programs of {name}")),
    }
}

fn is_not_permitted(error: &ProgramError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.raw_os_error() == Some(libc::EPERM);
        }
        cause = error.source();
    }
    false
}
