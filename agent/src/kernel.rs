//! The kernel room: loads the programs, keeps them attached to every pod veth, and drains what
//! they counted. The only room that talks to bpf and netlink, and the only one with `unsafe`.
//!
//! In the order of the data: [`object`] loads, [`links`] follows the veths as they come and go,
//! [`attach`] puts the programs on them and keeps them in front of others on their [`hooks`], [`sets`] drains the maps by [`batch`] calls after a
//! [`grace`] period, [`skipped`] tells what was not counted, [`warnings`] carries the programs'
//! own log lines. [`preflight`] answers `zonemeter check`.

pub mod attach;
mod batch;
mod btf;
mod conntrack;
mod explain;
pub mod facts;
mod grace;
pub mod hooks;
pub mod links;
mod maps;
pub mod memory;
pub mod object;
pub mod pins;
pub mod preflight;
pub mod remove;
pub mod sets;
pub mod skipped;
mod syscall;
#[cfg(test)]
mod tests;
pub mod translate;
pub mod warnings;

use std::{path::PathBuf, time::Instant};

use anyhow::{Context as _, Result};

use self::{
    attach::{Attachments, Counting, front::Looked},
    conntrack::table::Table,
    hooks::watch::Disturbed,
    links::Link,
    maps::Leftover,
    object::Object,
    sets::{Drained, Sets},
    skipped::Skipped,
    translate::{Methods, Translator},
};
use crate::model::traffic::{AttachMode, Drain, Translated};

/// What the programs and maps are loaded with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How large the maps are.
    pub plan: memory::Plan,
    /// Fold the ephemeral port of a connection to 0.
    pub fold_ports: bool,
    /// Lowest and highest ephemeral port of the node.
    pub ephemeral_ports: [u16; 2],
    /// How the other end behind a translated address is found.
    pub methods: Methods,
    /// How to attach; `None` takes TCX where the kernel has it.
    pub mode: Option<AttachMode>,
    /// False where clsact on a pod's veth keeps the pod from starting: a filter then takes what
    /// is there.
    pub may_add_clsact: bool,
    /// Where links and maps are pinned; `None` pins nothing.
    pub pin_dir: Option<PathBuf>,
}

/// The loaded programs, where they are attached, and the maps they write to.
pub struct Kernel {
    attachments: Attachments,
    sets: Sets,
    skipped: Skipped,
    translator: Translator,
    leftovers: Vec<Leftover>,
    /// Where maps are pinned whose contents have been handed out.
    salvaged: Vec<PathBuf>,
}

impl Kernel {
    /// Takes what [`object::load`] made. Needs CAP_NET_ADMIN for the connection table.
    pub fn new(object: Object, methods: Methods, now: Instant) -> Result<Self> {
        let Object {
            programs,
            mode,
            may_add_clsact,
            maps,
            leftovers,
            pins,
            ..
        } = object;
        let table = methods.table.then(Table::open).transpose()?;
        Ok(Self {
            attachments: Attachments::new(programs, mode, may_add_clsact, pins)?,
            sets: Sets::new(maps.written, now).context("reading the control map")?,
            leftovers,
            salvaged: Vec::new(),
            skipped: Skipped::new(maps.skipped),
            translator: Translator::new(maps.addresses, table),
        })
    }

    /// Begins to count on `link`. Nothing is done where that has begun already; `None` then.
    ///
    /// # Errors
    /// When the interface is gone, or the kernel refuses; the message names both.
    pub fn attach(&mut self, link: &Link) -> Result<Option<Counting>> {
        if self.attachments.contains(link.index) {
            return Ok(None);
        }
        self.attachments.attach(link).map(Some)
    }

    /// Looks whether the programs still come first where somebody changed something, and puts
    /// them in front again.
    pub fn look(&mut self, disturbed: Disturbed, now: Instant) -> Looked {
        self.attachments.look(disturbed, now)
    }

    /// Interfaces on which somebody else came first at the last look.
    pub fn shadowed(&self) -> u64 {
        self.attachments.shadowed()
    }

    /// True where attaching failed.
    pub fn has_failed(&self, index: u32) -> bool {
        self.attachments.has_failed(index)
    }

    /// One line for each interface that is not counted, or not in both directions.
    pub fn uncounted(&self) -> Vec<String> {
        self.attachments.uncounted()
    }

    /// Stops counting on an interface that is gone. Its last flows come with the next drain,
    /// which reports it in [`Drained::gone`].
    ///
    /// # Errors
    /// When its pinned links cannot be removed.
    pub fn detach(&mut self, index: u32) -> Result<()> {
        if self.attachments.detach(index)? {
            self.sets.leave(index);
        }
        Ok(())
    }

    /// Lets go of what an earlier process left on interfaces that are gone; what they counted is
    /// in the maps still.
    ///
    /// # Errors
    /// When pinned links cannot be removed.
    pub fn forget_all_but(&mut self, present: &[u32]) -> Result<()> {
        self.attachments.forget_all_but(present)
    }

    /// True while the first drain is one that an earlier process had begun.
    pub fn has_predecessor(&self) -> bool {
        self.sets.is_uncleared()
    }

    /// What earlier processes with maps of another size counted and did not drain, or drained and
    /// may have added. Ask once all interfaces are attached to: only then does nothing write to
    /// those maps. They stay until [`Self::forget_salvaged`].
    ///
    /// # Errors
    /// When they cannot be read; the next process finds them then.
    pub fn salvage(&mut self, now: Instant) -> Result<Vec<Drain>> {
        let mut drains = Vec::new();
        for Leftover { written, folder } in self.leftovers.drain(..) {
            drains.extend(Sets::salvage(written, now)?.map(|one| one.drain));
            self.salvaged.push(folder);
        }
        Ok(drains)
    }

    /// Removes the maps that were salvaged: their numbers are safe in the ledger.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn forget_salvaged(&mut self) -> Result<()> {
        let mut folders = self.salvaged.drain(..);
        folders.try_for_each(|folder| pins::remove_leftover(&folder))
    }

    /// Flips the sets, waits until no program can still hold the old one, and reads it. What it
    /// read stays in the kernel until [`Self::clear`].
    ///
    /// # Errors
    /// When a map cannot be read; nothing is lost then, the next call reads the same set again.
    pub fn drain(&mut self) -> Result<Drain> {
        let Drained { mut drain, noted } = self.sets.drain()?;
        self.translator.translate(&mut drain, &noted);
        Ok(drain)
    }

    /// Says for which peer addresses conntrack must name the other end: those of Services and of
    /// the node itself.
    ///
    /// # Errors
    /// When there are more than the kernel's set holds.
    pub fn set_translated(&mut self, translated: Translated) -> Result<()> {
        self.translator.set_addresses(translated)
    }

    /// Questions asked of the connection table so far, and those that could not be asked.
    pub fn asked(&self) -> (u64, u64) {
        self.translator.asked()
    }

    /// Empties the set that was drained last: its numbers are safe in the ledger. Returns the
    /// interfaces whose last flows that drain brought.
    pub fn clear(&mut self) -> Result<Vec<u32>> {
        self.sets.clear()
    }

    /// Indices of the interfaces that are counted now.
    pub fn interfaces(&self) -> Vec<u32> {
        self.attachments.indices()
    }

    /// How programs are attached.
    pub fn mode(&self) -> AttachMode {
        self.attachments.mode()
    }

    /// What was seen and not counted, by reason.
    pub fn skipped(&self) -> Result<skipped::Counts> {
        self.skipped.read()
    }
}
