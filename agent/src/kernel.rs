//! The kernel room: loads the programs, keeps them attached to every pod veth, and drains what
//! they counted. The only room that talks to bpf and netlink, and the only one with `unsafe`.
//!
//! In the order of the data: [`object`] loads, [`links`] follows the veths as they come and go,
//! [`attach`] puts the programs on them, [`sets`] drains the maps by [`batch`] calls after a
//! [`grace`] period, [`skipped`] tells what was not counted, [`warnings`] carries the programs'
//! own log lines.

pub mod attach;
mod batch;
mod btf;
mod conntrack;
mod grace;
pub mod links;
pub mod object;
pub mod sets;
pub mod skipped;
#[cfg(test)]
mod tests;
pub mod translate;
pub mod warnings;

use std::{collections::BTreeSet, net::IpAddr, path::PathBuf, time::Instant};

use anyhow::{Context as _, Result};

use self::{
    attach::{Attachments, Mode},
    conntrack::table::Table,
    links::Link,
    object::Object,
    sets::{Drained, Sets},
    skipped::Skipped,
    translate::{Methods, Translator},
};
use crate::model::traffic::{Drain, Interface};

/// What the programs and maps are loaded with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Capacity of each flow map.
    pub max_flows: u32,
    /// Fold the ephemeral port of a connection to 0.
    pub fold_ports: bool,
    /// Lowest and highest ephemeral port of the node.
    pub ephemeral_ports: [u16; 2],
    /// How the other end behind a translated address is found.
    pub methods: Methods,
    /// How to attach; `None` takes TCX where the kernel has it.
    pub mode: Option<Mode>,
    /// Where links and maps are pinned; `None` pins nothing.
    pub pin_dir: Option<PathBuf>,
}

/// The loaded programs, where they are attached, and the maps they write to.
pub struct Kernel {
    attachments: Attachments,
    sets: Sets,
    skipped: Skipped,
    translator: Translator,
}

impl Kernel {
    /// Takes what [`object::load`] made. Needs CAP_NET_ADMIN for the connection table.
    pub fn new(object: Object, methods: Methods, now: Instant) -> Result<Self> {
        let Object {
            programs,
            mode,
            maps,
        } = object;
        let table = methods.table.then(Table::open).transpose()?;
        Ok(Self {
            attachments: Attachments::new(programs, mode),
            sets: Sets::new(maps.control, maps.sets, now).context("reading the control map")?,
            skipped: Skipped::new(maps.skipped),
            translator: Translator::new(maps.addresses, table),
        })
    }

    /// Begins to count on `link`. Nothing is done where that has begun already; `None` then.
    ///
    /// # Errors
    /// When the interface is gone, or the kernel refuses; the message names both.
    pub fn attach(&mut self, link: &Link) -> Result<Option<Interface>> {
        if self.attachments.contains(link.index) {
            return Ok(None);
        }
        self.attachments.attach(link)?;
        Ok(Some(Interface {
            index: link.index,
            name: link.name.clone(),
            peer_namespace: link.peer_namespace,
            before_attach: link.carried,
        }))
    }

    /// Stops counting on an interface that is gone. Its last flows come with the next drain,
    /// which reports it in [`Drained::gone`].
    pub fn detach(&mut self, index: u32) {
        if self.attachments.detach(index) {
            self.sets.leave(index);
        }
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
    pub fn set_translated(&mut self, addresses: BTreeSet<IpAddr>) -> Result<()> {
        self.translator.set_addresses(addresses)
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
    pub fn mode(&self) -> Mode {
        self.attachments.mode()
    }

    /// What was seen and not counted, by reason.
    pub fn skipped(&self) -> Result<skipped::Counts> {
        self.skipped.read()
    }
}
