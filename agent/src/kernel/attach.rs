//! Puts the programs on the host-side veths.
//!
//! With TCX, at the head of the chain ([`tcx`]); with clsact, at the priority and protocol of the
//! AWS network policy agent but under another handle ([`tc`]). [`front`] keeps them there.

pub mod front;
mod refusal;
pub(super) mod tc;
pub(super) mod tcx;
mod tries;

use std::{
    collections::BTreeMap,
    io, mem,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow, bail};
use aya::{programs::TcAttachType, util::KernelVersion};

use self::{refusal::cause, tries::Tries};
use super::{
    hooks::{netlink::Route, qdisc::Qdisc},
    links::Link,
    object::Programs,
    pins::Pins,
};
use crate::model::traffic::{AttachMode, Direction};

/// First kernel with TCX links.
const TCX_SINCE: (u8, u8, u16) = (6, 6, 0);

/// The best that this kernel has.
///
/// # Errors
/// When the kernel does not say which one it is.
pub fn best_mode() -> Result<AttachMode> {
    let kernel = KernelVersion::current().context("reading the kernel's version")?;
    let (major, minor, patch) = TCX_SINCE;
    Ok(match kernel >= KernelVersion::new(major, minor, patch) {
        true => AttachMode::Tcx,
        false => AttachMode::Tc,
    })
}

/// What was asked for, if this kernel has it, or the best.
///
/// # Errors
/// One line for TCX on a kernel without.
pub(super) fn choose_mode(asked: Option<AttachMode>) -> Result<AttachMode> {
    let best = best_mode()?;
    if asked == Some(AttachMode::Tcx) && best == AttachMode::Tc {
        let (major, minor, _) = TCX_SINCE;
        bail!(
            "--attach tcx: this kernel has no TCX, which came with Linux {major}.{minor}: \
             accepted here are auto and tc"
        );
    }
    Ok(asked.unwrap_or(best))
}

/// The programs, and the interfaces that they are attached to.
pub struct Attachments {
    programs: Programs,
    mode: AttachMode,
    has_tcx: bool,
    may_add_clsact: bool,
    pins: Option<Arc<Pins>>,
    route: Route,
    attached: BTreeMap<u32, Attached>,
    /// Interfaces that are not counted at all, and why.
    failed: BTreeMap<u32, String>,
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
    program: Option<Placed>,
    /// Our program cannot be there.
    barred: bool,
    /// Who runs first, as it was when last looked at.
    ahead: Option<String>,
    tries: Tries,
}

/// A program on a hook.
enum Placed {
    Tcx(OwnedFd),
    Filter,
}

/// How counting on an interface began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    /// Nothing of ours was there.
    Now,
    /// Programs of an earlier process were counting, without a gap.
    Before,
}

/// What came of attaching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counting {
    /// Since when.
    pub began: Began,
    /// One line for a direction that cannot be counted.
    pub lacks: Option<String>,
}

/// What filters can hang on, on an interface as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Both,
    FromPod,
}

impl Room {
    fn bars(self, direction: Direction) -> bool {
        self == Self::FromPod && direction == Direction::Receive
    }
}

impl Attachments {
    /// # Errors
    /// When there is no netlink socket, or the kernel does not tell its version.
    pub(super) fn new(
        programs: Programs,
        mode: AttachMode,
        may_add_clsact: bool,
        pins: Option<Arc<Pins>>,
    ) -> Result<Self> {
        Ok(Self {
            programs,
            mode,
            has_tcx: best_mode()? == AttachMode::Tcx,
            may_add_clsact,
            pins,
            route: Route::open().context("asking for filters (rtnetlink)")?,
            attached: BTreeMap::new(),
            failed: BTreeMap::new(),
        })
    }

    /// How programs are attached.
    pub fn mode(&self) -> AttachMode {
        self.mode
    }

    /// True where the programs are on the interface with this index.
    pub fn contains(&self, index: u32) -> bool {
        self.attached.contains_key(&index)
    }

    /// Indices of the interfaces that are counted now.
    pub fn indices(&self) -> Vec<u32> {
        self.attached.keys().copied().collect()
    }

    /// True where attaching failed.
    pub fn has_failed(&self, index: u32) -> bool {
        self.failed.contains_key(&index)
    }

    /// One line for a direction of this interface that is not counted.
    pub fn lacks(&self, index: u32) -> Option<String> {
        self.attached.get(&index).and_then(Attached::lacks)
    }

    /// One line for each interface that is not counted, or not in both directions.
    pub fn uncounted(&self) -> Vec<String> {
        let in_part = self.attached.values().filter_map(Attached::lacks);
        self.failed.values().cloned().chain(in_part).collect()
    }

    /// Runs a program once on a crafted frame and returns its verdict.
    #[cfg(test)]
    pub(super) fn test_run(
        &mut self,
        direction: Direction,
        frame: &[u8],
        context: &[u8],
    ) -> Result<i32> {
        use aya::{TestRun as _, TestRunOptions};
        let options = TestRunOptions {
            data_in: Some(frame),
            ctx_in: Some(context),
            ..TestRunOptions::new()
        };
        Ok(self
            .programs
            .get(direction)?
            .test_run(options)?
            .return_value as i32)
    }

    /// Attaches both programs, or none; the one from the pod where the other is barred.
    ///
    /// # Errors
    /// When the interface is gone, or the kernel refuses; the message names both. Then nothing of
    /// ours is on the interface, and nothing is pinned for it.
    pub fn attach(&mut self, link: &Link) -> Result<Counting> {
        let attached = self.try_attach(link);
        match &attached {
            Ok(_) => {
                self.failed.remove(&link.index);
            }
            Err(error) => {
                self.take_off(link);
                self.failed.insert(link.index, format!("{error:#}"));
            }
        }
        attached
    }

    fn try_attach(&mut self, link: &Link) -> Result<Counting> {
        self.clear_other_mode(link)?;
        let room = self.prepare(link)?;
        let mut began = Began::Now;
        let mut on = |direction| -> Result<Hook> {
            let barred = room.bars(direction);
            let program = match barred {
                true => None,
                false => {
                    let (program, adopted) = self.attach_one(link, direction)?;
                    if adopted {
                        began = Began::Before;
                    }
                    Some(program)
                }
            };
            Ok(Hook {
                program,
                barred,
                ahead: None,
                tries: Tries::new(Instant::now()),
            })
        };
        let attached = Attached {
            hooks: [on(Direction::ALL[0])?, on(Direction::ALL[1])?],
            link: link.clone(),
        };
        let lacks = attached.lacks();
        self.attached.insert(link.index, attached);
        Ok(Counting { began, lacks })
    }

    /// Takes what a failed attempt put on the interface off it. Links without a pin went with
    /// their descriptors.
    fn take_off(&mut self, link: &Link) {
        let taken_off = match (self.mode, &self.pins) {
            (AttachMode::Tcx, Some(pins)) => pins.unlink(link.index),
            (AttachMode::Tcx, None) => Ok(()),
            (AttachMode::Tc, _) => Direction::ALL
                .into_iter()
                .try_for_each(|direction| tc::remove(&mut self.route, link, direction).map(drop)),
        };
        if let Err(error) = taken_off {
            tracing::debug!(interface = &*link.name, "after a failed attempt: {error:#}");
        }
    }

    /// Gives filters something to hang on.
    fn prepare(&mut self, link: &Link) -> Result<Room> {
        match self.mode {
            AttachMode::Tcx => Ok(Room::Both),
            AttachMode::Tc => match tc::prepare(&mut self.route, link, self.may_add_clsact)? {
                Qdisc::Clsact => Ok(Room::Both),
                Qdisc::Ingress => Ok(Room::FromPod),
            },
        }
    }

    /// An earlier process may have counted here in the other mode: both at once would count
    /// every byte twice.
    fn clear_other_mode(&mut self, link: &Link) -> Result<()> {
        match (self.mode, &self.pins) {
            (AttachMode::Tc, Some(pins)) => pins.unlink(link.index),
            (AttachMode::Tc, None) => Ok(()),
            (AttachMode::Tcx, _) => Direction::ALL
                .into_iter()
                .try_for_each(|direction| tc::remove(&mut self.route, link, direction).map(drop)),
        }
    }

    fn attach_one(&mut self, link: &Link, direction: Direction) -> Result<(Placed, bool)> {
        let name = self.programs.name(direction);
        let program = self.programs.get(direction)?.fd()?.as_fd();
        let attached = match self.mode {
            AttachMode::Tcx => tcx::attach(program, link.index, direction, self.pins.as_deref())
                .map(|(link, adopted)| (Placed::Tcx(link), adopted)),
            AttachMode::Tc => tc::attach((name, program), &mut self.route, link, direction)
                .map(|adopted| (Placed::Filter, adopted)),
        };
        attached.map_err(|error| {
            let (name, mode, hook) = (&link.name, self.mode.name(), hook(direction));
            anyhow!("attaching to {name} ({hook:?}, {mode}): {}", cause(&error))
        })
    }

    /// False when nothing was attached there. The kernel has dropped the programs together with
    /// the interface, so that closing their links cannot fail in a way that matters.
    ///
    /// # Errors
    /// When its pinned links cannot be removed.
    pub fn detach(&mut self, index: u32) -> Result<bool> {
        let failed = self.failed.remove(&index).is_some();
        let attached = self.attached.remove(&index).is_some();
        if let Some(pins) = self.pins.as_ref().filter(|_| attached || failed) {
            pins.unlink(index)?;
        }
        Ok(attached)
    }

    /// Removes pinned links of interfaces that went while no agent ran.
    pub fn forget_all_but(&mut self, present: &[u32]) -> Result<()> {
        self.failed.retain(|index, _| present.contains(index));
        let Some(pins) = &self.pins else {
            return Ok(());
        };
        let pinned = pins.linked_interfaces()?;
        let gone = pinned.into_iter().filter(|index| !present.contains(index));
        gone.into_iter().try_for_each(|index| pins.unlink(index))
    }
}

impl Attached {
    /// The direction that is not counted, and why.
    fn lacks(&self) -> Option<String> {
        let without = |direction: &Direction| self.hooks[*direction as usize].program.is_none();
        let direction = Direction::ALL.into_iter().find(without)?;
        let place = hook(direction);
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

fn hook(direction: Direction) -> TcAttachType {
    match direction {
        Direction::Transmit => TcAttachType::Ingress,
        Direction::Receive => TcAttachType::Egress,
    }
}

/// True while the interface with this index is there.
fn is_there(link: &Link) -> bool {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: there is room for a name.
    let found = unsafe { libc::if_indextoname(link.index, name.as_mut_ptr()) };
    // Other errors, such as a limit of open files, say nothing about the interface.
    !found.is_null() || io::Error::last_os_error().raw_os_error() != Some(libc::ENXIO)
}
