//! Puts the programs on the host-side veths.
//!
//! With TCX, at the head of the chain ([`tcx`]); with clsact, at the priority and protocol of the
//! AWS network policy agent but under another handle ([`tc`]).

pub(super) mod tc;
mod tcx;

use std::{collections::BTreeMap, mem, sync::Arc};

use anyhow::{Context as _, Result, anyhow, bail};
use aya::{
    programs::{TcAttachType, tc::SchedClassifierLink},
    util::KernelVersion,
};

use super::{links::Link, object::Programs, pins::Pins};
use crate::model::traffic::Direction;

/// First kernel with TCX links.
const TCX_SINCE: (u8, u8, u16) = (6, 6, 0);

/// How programs are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// TCX links: Linux 6.6 and newer.
    Tcx,
    /// Filters of the clsact qdisc: every kernel.
    Tc,
}

impl Mode {
    /// The best that this kernel has.
    pub fn best() -> Result<Self> {
        let kernel = KernelVersion::current().context("reading the kernel's version")?;
        let (major, minor, patch) = TCX_SINCE;
        Ok(match kernel >= KernelVersion::new(major, minor, patch) {
            true => Self::Tcx,
            false => Self::Tc,
        })
    }

    /// What was asked for, if this kernel has it, or the best.
    ///
    /// # Errors
    /// One line for TCX on a kernel without.
    pub(super) fn choose(asked: Option<Self>) -> Result<Self> {
        let best = Self::best()?;
        if asked == Some(Self::Tcx) && best == Self::Tc {
            let (major, minor, _) = TCX_SINCE;
            bail!(
                "--attach tcx: this kernel has no TCX, which came with Linux {major}.{minor}: \
                 accepted here are auto and tc"
            );
        }
        Ok(asked.unwrap_or(best))
    }

    /// The `mode` label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Tc => "tc",
        }
    }
}

/// The programs, and the interfaces that they are attached to.
pub(super) struct Attachments {
    programs: Programs,
    mode: Mode,
    pins: Option<Arc<Pins>>,
    links: BTreeMap<u32, [SchedClassifierLink; 2]>,
}

/// How counting on an interface began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    /// Nothing of ours was there.
    Now,
    /// Programs of an earlier process were counting, without a gap.
    Before,
}

impl Attachments {
    pub(super) fn new(programs: Programs, mode: Mode, pins: Option<Arc<Pins>>) -> Self {
        Self {
            programs,
            mode,
            pins,
            links: BTreeMap::new(),
        }
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn contains(&self, index: u32) -> bool {
        self.links.contains_key(&index)
    }

    pub(super) fn indices(&self) -> Vec<u32> {
        self.links.keys().copied().collect()
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

    /// Attaches both programs, or none.
    pub(super) fn attach(&mut self, link: &Link) -> Result<Began> {
        self.clear_other_mode(link)?;
        if self.mode == Mode::Tc {
            tc::add_clsact(&link.name)?;
        }
        let (transmit, adopted) = self.attach_one(link, Direction::Transmit)?;
        let (receive, _) = self.attach_one(link, Direction::Receive)?;
        self.links.insert(link.index, [transmit, receive]);
        Ok(if adopted { Began::Before } else { Began::Now })
    }

    /// An earlier process may have counted here in the other mode: both at once would count
    /// every byte twice.
    fn clear_other_mode(&self, link: &Link) -> Result<()> {
        match (self.mode, &self.pins) {
            (Mode::Tc, Some(pins)) => pins.unlink(link.index),
            (Mode::Tc, None) => Ok(()),
            (Mode::Tcx, _) => Direction::ALL
                .into_iter()
                .try_for_each(|direction| tc::remove(link, hook(direction))),
        }
    }

    fn attach_one(
        &mut self,
        link: &Link,
        direction: Direction,
    ) -> Result<(SchedClassifierLink, bool)> {
        let program = self.programs.get(direction)?;
        let hook = hook(direction);
        let attached = match self.mode {
            Mode::Tcx => tcx::attach(program, link, direction, hook, self.pins.as_deref()),
            Mode::Tc => tc::attach(program, link, hook),
        };
        let attached = attached.map_err(|error| {
            let (name, mode) = (&link.name, self.mode.name());
            anyhow!(
                "attaching to {name} ({hook:?}, {mode}): {}",
                error.root_cause()
            )
        })?;
        still_the_same(link)?;
        Ok(attached)
    }

    /// False when nothing was attached there. The kernel has dropped the programs together with
    /// the interface, so that letting go of them cannot fail in a way that matters.
    pub(super) fn detach(&mut self, index: u32) -> Result<bool> {
        let attached = self.links.remove(&index).is_some();
        if let Some(pins) = self.pins.as_ref().filter(|_| attached) {
            pins.unlink(index)?;
        }
        Ok(attached)
    }

    /// Removes pinned links of interfaces that went while no agent ran.
    pub(super) fn forget_all_but(&self, present: &[u32]) -> Result<()> {
        let Some(pins) = &self.pins else {
            return Ok(());
        };
        let pinned = pins.linked_interfaces()?;
        let gone = pinned.into_iter().filter(|index| !present.contains(index));
        gone.into_iter().try_for_each(|index| pins.unlink(index))
    }
}

/// With a pin directory, counting goes on without a process; otherwise dropping removes it.
impl Drop for Attachments {
    fn drop(&mut self) {
        if self.pins.is_some() {
            mem::take(&mut self.links)
                .into_values()
                .flatten()
                .for_each(mem::forget);
        }
    }
}

fn hook(direction: Direction) -> TcAttachType {
    match direction {
        Direction::Transmit => TcAttachType::Ingress,
        Direction::Receive => TcAttachType::Egress,
    }
}

/// A StatefulSet's pod gets its old veth name back on a new interface; what was attached by name
/// must be the interface that was meant.
fn still_the_same(link: &Link) -> Result<()> {
    let name = std::ffi::CString::new(link.name.as_bytes())?;
    // SAFETY: `name` is a string with its terminating zero.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index != link.index {
        bail!(
            "interface {} (index {}) went away while it was attached",
            link.name,
            link.index
        );
    }
    Ok(())
}
