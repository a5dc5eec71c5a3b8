//! Puts the programs on the host-side veths and on the uplinks.
//!
//! With TCX, at the head of the chain ([`tcx`]); with clsact, at the priority and protocol of the
//! AWS network policy agent but under another handle ([`tc`]). [`front`] keeps them there.

mod attempt;
mod failed;
pub mod front;
mod mode;
mod others;
mod pin_state;
mod refusal;
pub(super) mod tc;
pub(super) mod tcx;
mod token_bucket;
mod uplinks;

use std::{
    collections::BTreeMap,
    mem,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow};
use aya::{
    maps::{Array, MapData},
    programs::TcAttachType,
};
use zonemeter_common::Uplinks;
use zonemeter_datapath::{
    object::{Programs, Role},
    pins::Pins,
};
use zonemeter_model::traffic::{AttachMode, Count, Direction};

use self::{
    failed::Failed, front::Detached, refusal::cause, tc::Identity, token_bucket::TokenBucket,
    uplinks::UplinkTable,
};
pub use self::{
    mode::{best_mode, choose_mode},
    pin_state::PinState,
};
use super::{
    hooks::{
        agents::{Agents, Announced, announce},
        hook,
        netlink::Route,
        qdisc::Qdisc,
        rounds::Rounds,
    },
    links::Link,
};

/// The programs, and the interfaces that they are attached to.
pub struct Attachments {
    programs: Programs,
    /// By which the kernel lists them, of pods' interfaces and of uplinks, by [`Direction`] code.
    numbers: [[u32; 2]; 2],
    /// Tells other agents that they are an agent's.
    _announced: Vec<Announced>,
    identity: Identity,
    mode: AttachMode,
    has_tcx: bool,
    may_add_clsact: bool,
    pins: Option<Arc<Pins>>,
    route: Route,
    agents: Agents,
    rounds: Rounds,
    attached: BTreeMap<u32, Attached>,
    uplinks: UplinkTable,
    /// Interfaces that are not counted at all.
    failed: Failed,
}

/// How programs are put on hooks.
pub(super) struct Hooks {
    pub(super) identity: Identity,
    pub(super) mode: AttachMode,
    pub(super) may_add_clsact: bool,
}

/// An interface with our programs on it.
struct Attached {
    link: Link,
    /// By [`Direction`] code.
    hooks: [Hook; 2],
}

/// Our program on one hook.
struct Hook {
    /// `None` where the hook is barred, and for the moment in which it moves.
    program: Option<AttachedProgram>,
    /// Our program cannot be there.
    barred: bool,
    /// Who runs first, as it was when last looked at.
    ahead: Option<String>,
    tries: TokenBucket,
    /// Our program is not there, as far as was seen: what the interface had carried then, in this
    /// direction.
    off: Option<Detached>,
}

/// A program on a hook.
enum AttachedProgram {
    Tcx(OwnedFd),
    Filter,
}

/// What came of attaching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counting {
    /// What the interface carried before, by [`Direction`] code, by its own counters read right
    /// before the call that attached; zero where the program of an earlier process was counting.
    pub before_attach: [Count; 2],
    /// One line for a direction that cannot be counted.
    pub lacks: Option<String>,
}

/// Attaching failed.
#[derive(Debug)]
pub struct NotCounted {
    /// The interface and why.
    pub why: anyhow::Error,
    /// It is not what was said about the interface before.
    pub is_new: bool,
}

/// What filters can hang on, on an interface as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AvailableHooks {
    Both,
    FromPod,
}

impl AvailableHooks {
    fn bars(self, direction: Direction) -> bool {
        self == Self::FromPod && direction == Direction::Receive
    }
}

impl Attachments {
    /// # Errors
    /// When there is no netlink socket, or the kernel does not tell its version.
    pub(super) fn new(
        mut programs: Programs,
        hooks: Hooks,
        uplinks: Array<MapData, Uplinks>,
        pins: Option<Arc<Pins>>,
    ) -> Result<Self> {
        let Hooks {
            identity,
            mode,
            may_add_clsact,
        } = hooks;
        let [first, second] = Direction::ALL;
        let mut numbers = |role| -> Result<[u32; 2]> {
            Ok([
                programs.number(role, first)?,
                programs.number(role, second)?,
            ])
        };
        let numbers = [numbers(Role::Pod)?, numbers(Role::Uplink)?];
        Ok(Self {
            programs,
            numbers,
            _announced: numbers
                .into_iter()
                .flatten()
                .filter_map(announced)
                .collect(),
            identity,
            mode,
            has_tcx: best_mode()? == AttachMode::Tcx,
            may_add_clsact,
            pins,
            route: Route::open().context("asking for filters (rtnetlink)")?,
            agents: Agents::default(),
            rounds: Rounds::default(),
            attached: BTreeMap::new(),
            uplinks: UplinkTable::new(uplinks)?,
            failed: Failed::default(),
        })
    }

    /// How programs are attached.
    pub fn mode(&self) -> AttachMode {
        self.mode
    }

    /// True where the programs are on the interface with this index, or it needs none.
    pub fn contains(&self, index: u32) -> bool {
        self.attached.contains_key(&index) || self.uplinks.is_above(index)
    }

    /// Indices of the interfaces that are counted now, uplinks among them.
    pub fn indices(&self) -> Vec<u32> {
        self.attached.keys().copied().collect()
    }

    /// How many interfaces of this kind are counted now.
    pub fn count(&self, role: Role) -> usize {
        let of_role = |attached: &&Attached| attached.link.role == role;
        self.attached.values().filter(of_role).count()
    }

    /// An uplink, or an interface above one, is described anew.
    pub fn uplink_described(&mut self, link: &Link) {
        self.uplinks.described(link);
    }

    /// True for an interface that is counted and is no pod's.
    pub fn is_uplink(&self, index: u32) -> bool {
        let attached = self.attached.get(&index);
        attached.is_some_and(|attached| attached.link.role == Role::Uplink)
    }

    /// True where attaching failed.
    pub fn has_failed(&self, index: u32) -> bool {
        self.failed.contains(index)
    }

    /// Interfaces to which attaching failed and is to be tried again now.
    pub fn to_try_again(&self, now: Instant) -> Vec<Link> {
        self.failed.due(now)
    }

    /// One line for a direction of this interface that is not counted.
    pub fn lacks(&self, index: u32) -> Option<String> {
        self.attached.get(&index).and_then(Attached::lacks)
    }

    /// One line for each interface that is not counted, or not in both directions.
    pub fn uncounted(&self) -> Vec<String> {
        let in_part = self.attached.values().filter_map(Attached::lacks);
        self.failed.reasons().chain(in_part).collect()
    }

    /// Takes what a failed attempt put on the interface off it. Links without a pin went with
    /// their descriptors.
    fn take_off(&mut self, link: &Link) {
        let taken_off = match (self.mode, &self.pins) {
            (AttachMode::Tcx, Some(pins)) => pins.unlink(link.index),
            (AttachMode::Tcx, None) => Ok(()),
            (AttachMode::Tc, _) => self.remove_filters(link),
        };
        if let Err(error) = taken_off {
            tracing::debug!(interface = &*link.name, "after a failed attempt: {error:#}");
        }
    }

    /// Gives filters something to hang on.
    fn prepare(&mut self, link: &Link) -> Result<AvailableHooks> {
        match self.mode {
            AttachMode::Tcx => Ok(AvailableHooks::Both),
            AttachMode::Tc => {
                // The CNI's plugins have no business on an uplink.
                let may_add_clsact = self.may_add_clsact || link.role == Role::Uplink;
                match tc::prepare(&mut self.route, link, may_add_clsact)? {
                    Qdisc::Clsact => Ok(AvailableHooks::Both),
                    Qdisc::Ingress => Ok(AvailableHooks::FromPod),
                }
            }
        }
    }

    fn remove_filters(&mut self, link: &Link) -> Result<()> {
        Direction::ALL.into_iter().try_for_each(|direction| {
            tc::remove(&mut self.route, link, direction, &self.identity).map(drop)
        })
    }

    fn attach_one(&mut self, link: &Link, direction: Direction) -> Result<(AttachedProgram, bool)> {
        let name = self.programs.name(link.role, direction);
        let program = self.programs.get(link.role, direction)?.fd()?.as_fd();
        let attached = match self.mode {
            AttachMode::Tcx => {
                // Pinned as soon as that is possible again.
                let pins = self.pins.as_deref().filter(|pins| pins.are_usable());
                tcx::attach(program, link.index, direction, pins)
                    .map(|(link, adopted)| (AttachedProgram::Tcx(link), adopted))
            }
            AttachMode::Tc => {
                let program = (name, program);
                tc::attach(program, &self.identity, &mut self.route, link, direction)
                    .map(|adopted| (AttachedProgram::Filter, adopted))
            }
        };
        attached.map_err(|error| {
            let (name, mode, hook) = (&link.name, self.mode.name(), hook(direction).name);
            anyhow!("attaching to {name} ({hook:?}, {mode}): {}", cause(&error))
        })
    }

    /// False when nothing was attached there. The kernel has dropped the programs together with
    /// the interface, so that closing their links cannot fail in a way that matters.
    ///
    /// # Errors
    /// When its pinned links cannot be removed.
    pub fn detach(&mut self, index: u32) -> Result<bool> {
        self.uplinks.remove(index)?;
        let failed = self.failed.remove(index);
        let attached = self.attached.remove(&index).is_some();
        if let Some(pins) = self.pins.as_ref().filter(|_| attached || failed) {
            pins.unlink(index)?;
        }
        Ok(attached)
    }

    /// Removes what an earlier process left: pinned links of interfaces that went while no agent ran, and
    /// the programs on those that are not counted any more (`--uplink`, `--interface`). Those that are
    /// counted must be attached to by now.
    ///
    /// Returns on how many interfaces that failed, each of which is said.
    ///
    /// # Errors
    /// When the pins, the table of uplinks or the qdiscs cannot be read or written.
    pub fn forget_all_but(&mut self, present: &[u32]) -> Result<u64> {
        self.failed.retain(present);
        self.uplinks.retain(present)?;
        if let Some(pins) = self.pins.as_ref().filter(|pins| pins.are_usable()) {
            let pinned = pins.linked_interfaces()?;
            let mut gone = pinned.into_iter().filter(|index| !present.contains(index));
            gone.try_for_each(|index| pins.unlink(index))?;
        }
        self.clear_others()
    }
}

impl Attached {
    /// The direction that is not counted, and why.
    fn lacks(&self) -> Option<String> {
        let without = |direction: &Direction| self.hooks[*direction as usize].program.is_none();
        let direction = Direction::ALL.into_iter().find(without)?;
        let place = hook(direction).name;
        Some(match self.hooks[direction as usize].barred {
            true => barred_by_ingress(&self.link, place),
            false => format!(
                "{} ({place:?}): the program was taken away and could not be put there again",
                self.link.name
            ),
        })
    }
}

fn barred_by_ingress(link: &Link, hook: TcAttachType) -> String {
    format!(
        "{} ({hook:?}): its ingress qdisc bars clsact: to be counted there it takes TCX (Linux 6.6)",
        link.name
    )
}

/// With a pin directory, counting goes on without a process: pinned links outlive their
/// descriptors, and filters stay.
impl Drop for Attachments {
    fn drop(&mut self) {
        if self.pins.is_some() || self.mode == AttachMode::Tcx {
            return;
        }
        for attached in mem::take(&mut self.attached).into_values() {
            self.take_off(&attached.link);
        }
    }
}

/// Without, another agent takes the program for one that may hide packets, and puts its own in
/// front of it with pauses that grow.
fn announced(program: u32) -> Option<Announced> {
    let announced = announce(program);
    let warn = |error| tracing::warn!(program, "not told to other agents on this node: {error}");
    announced.map_err(warn).ok()
}
