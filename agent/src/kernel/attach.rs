//! Puts the programs on the host-side veths.
//!
//! With TCX, at the head of the chain; with clsact, at the priority and protocol of the AWS
//! network policy agent but under another handle, because that agent deletes whatever filter has
//! its own.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, bail};
use aya::{
    programs::{
        LinkOrder, TcAttachType,
        tc::{
            NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact,
        },
    },
    util::KernelVersion,
};

use super::{links::Link, object::Programs};
use crate::model::traffic::Direction;

/// First kernel with TCX links.
const TCX_SINCE: (u8, u8, u16) = (6, 6, 0);
/// The AWS network policy agent's own priority: a filter before or after it would hide one of
/// the two from the other.
pub(super) const PRIORITY: u16 = 1;
/// Any handle but 1, which the AWS network policy agent deletes whoever owns it.
pub(super) const HANDLE: TcHandle = TcHandle::new(0, 0x5a);

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
    links: BTreeMap<u32, [SchedClassifierLink; 2]>,
}

impl Attachments {
    pub(super) fn new(programs: Programs, mode: Mode) -> Self {
        Self {
            programs,
            mode,
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
    pub(super) fn attach(&mut self, link: &Link) -> Result<()> {
        if self.mode == Mode::Tc {
            add_clsact(&link.name)?;
        }
        let links = [
            self.attach_one(link, Direction::Transmit)?,
            self.attach_one(link, Direction::Receive)?,
        ];
        self.links.insert(link.index, links);
        Ok(())
    }

    fn attach_one(&mut self, link: &Link, direction: Direction) -> Result<SchedClassifierLink> {
        let hook = match direction {
            Direction::Transmit => TcAttachType::Ingress,
            Direction::Receive => TcAttachType::Egress,
        };
        let options = match self.mode {
            Mode::Tcx => TcAttachOptions::TcxOrder(LinkOrder::first()),
            Mode::Tc => TcAttachOptions::Netlink(NlOptions {
                priority: PRIORITY,
                handle: HANDLE,
                ..NlOptions::default()
            }),
        };
        let program = self.programs.get(direction)?;
        let id = program
            .attach_with_options(&link.name, hook, options)
            .map_err(|error| {
                let cause = anyhow!(error);
                anyhow!(
                    "attaching to {} ({hook:?}, {}): {}",
                    link.name,
                    self.mode.name(),
                    cause.root_cause()
                )
            })?;
        let attached = program.take_link(id)?;
        still_the_same(link)?;
        Ok(attached)
    }

    /// False when nothing was attached there. The kernel has dropped the programs together with
    /// the interface, so that letting go of them cannot fail in a way that matters.
    pub(super) fn detach(&mut self, index: u32) -> bool {
        self.links.remove(&index).is_some()
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

/// The qdisc may be there already, by the policy agent or by an earlier process of ours.
fn add_clsact(name: &str) -> Result<()> {
    match qdisc_add_clsact(name) {
        Ok(()) | Err(TcError::AlreadyAttached) => Ok(()),
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        Err(error) => Err(anyhow!("adding the clsact qdisc to {name}: {error}")),
    }
}
