//! Loads the kernel programs and drains what they counted.
//!
//! In the order of the data: [`object`] loads, [`pins`] finds what an earlier process left running, [`sets`]
//! drains the maps by [`batch`] calls after a [`grace`] period, [`translate`] puts real ends in the place of Services,
//! [`skipped`] tells what was not counted, [`warnings`] carries the programs' own log lines.
//! [`preflight`] answers `zonemeter check`. `zonemeter_attach` puts the programs on interfaces.

mod batch;
mod btf;
mod conntrack;
mod explain;
pub mod facts;
mod flows;
mod grace;
mod mapped;
mod maps;
pub mod memory;
pub mod object;
pub mod pins;
pub mod preflight;
pub mod sets;
pub mod skipped;
pub mod syscall;
mod tables;
#[cfg(test)]
mod tests;
pub mod translate;
pub mod warnings;

use std::{collections::BTreeSet, os::fd::OwnedFd, path::PathBuf, sync::Arc, time::Instant};

use anyhow::{Context as _, Result};
use aya::maps::{Array, MapData};
use zonemeter_common::Uplinks;
use zonemeter_model::traffic::{Drain, Translated};

use self::{
    conntrack::{filter::AddressFilter, table::Table},
    maps::Leftover,
    object::{Object, Programs},
    pins::Pins,
    sets::{Drained, Sets},
    skipped::Skipped,
    translate::{Lookups, Methods, Translator},
};

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
    /// Sockets are in cgroups of version 2: those of its root are the kernel's own.
    pub has_cgroup2: bool,
    /// Where links and maps are pinned; `None` pins nothing.
    pub pin_dir: Option<PathBuf>,
}

/// The maps that the programs write to.
pub struct Kernel {
    sets: Sets,
    skipped: Skipped,
    uplink_skipped: Skipped,
    filter: AddressFilter,
    translator: Translator,
    /// The lock on the directory, for as long as its maps are read and cleared here.
    _pins: Option<Arc<Pins>>,
    leftovers: Vec<Leftover>,
    /// Where maps are pinned whose contents have been handed out.
    leftovers_read: Vec<PathBuf>,
}

/// What is to be attached, and what attaching needs to know.
pub struct Attachable {
    /// The programs of interfaces.
    pub programs: Programs,
    /// The program for cgroups, or why this kernel does not have it.
    pub host_program: Result<OwnedFd>,
    /// The table by which programs know the uplinks.
    pub uplinks: Array<MapData, Uplinks>,
    /// The number by which the kernel tells the control map from every other map.
    pub control_map: u32,
    /// Numbers of the control maps that earlier processes pinned.
    pub inherited: BTreeSet<u32>,
    /// Where links are pinned.
    pub pins: Option<Arc<Pins>>,
}

impl Kernel {
    /// Takes what [`object::load`] made apart: the maps, and what is to be attached, each for a
    /// thread of its own. Needs CAP_NET_ADMIN for the connection table.
    ///
    /// # Errors
    /// When the kernel refuses a netlink socket or the control map cannot be read.
    pub fn new(object: Object, methods: Methods, now: Instant) -> Result<(Self, Attachable)> {
        let Object {
            programs,
            inherited,
            maps,
            leftovers,
            pins,
            host_program,
            ..
        } = object;
        let table = methods.table.then(Table::open).transpose()?;
        let attachable = Attachable {
            programs,
            host_program,
            uplinks: maps.uplinks,
            control_map: maps.written.number,
            inherited,
            pins: pins.clone(),
        };
        let kernel = Self {
            _pins: pins,
            sets: Sets::new(maps.written, now).context("reading the control map")?,
            leftovers,
            leftovers_read: Vec::new(),
            skipped: Skipped::new(maps.skipped),
            uplink_skipped: Skipped::new(maps.uplink_skipped),
            filter: maps.filter,
            translator: Translator::new(table),
        };
        Ok((kernel, attachable))
    }

    /// No program runs on this interface any more. Its last flows come with the next drain, whose
    /// [`Self::clear`] returns it.
    pub fn leave(&mut self, index: u32) {
        self.sets.leave(index);
    }

    /// True while the first drain is one that an earlier process had begun.
    pub fn has_predecessor(&self) -> bool {
        self.sets.is_uncleared()
    }

    /// What earlier processes with maps of another size counted and did not drain, or drained and
    /// may have added. Ask once all interfaces are attached to: only then does nothing write to
    /// those maps. They stay until [`Self::remove_leftovers`].
    ///
    /// # Errors
    /// When they cannot be read; the next process finds them then.
    pub fn read_leftovers(&mut self, now: Instant) -> Result<Vec<Drain>> {
        let mut drains = Vec::new();
        for Leftover { written, folder } in self.leftovers.drain(..) {
            drains.extend(Sets::read_leftovers(written, now)?.map(|one| one.drain));
            self.leftovers_read.push(folder);
        }
        Ok(drains)
    }

    /// Removes the maps that [`Self::read_leftovers`] has read: their numbers are safe in the ledger.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn remove_leftovers(&mut self) -> Result<()> {
        let mut folders = self.leftovers_read.drain(..);
        folders.try_for_each(|folder| pins::remove_leftover(&folder))
    }

    /// Switches the sets, waits until no program can still hold the old one, and reads it. What it
    /// read stays in the kernel until [`Self::clear`].
    ///
    /// # Errors
    /// When a map cannot be read; nothing is lost then, the next call reads the same set again.
    pub fn drain(&mut self) -> Result<Drain> {
        self.write_filter();
        let Drained {
            mut drain,
            captured,
        } = self.sets.drain()?;
        self.translator.translate(&mut drain, &captured);
        Ok(drain)
    }

    /// Says for which peer addresses conntrack must name the other end: those of Services and of
    /// the node itself.
    pub fn set_translated(&mut self, translated: Translated) {
        let Translated { node, services } = &translated;
        self.filter.set(node.union(services));
        self.write_filter();
        self.translator.set_addresses(translated);
    }

    fn write_filter(&mut self) {
        if let Err(error) = self.filter.write() {
            tracing::warn!("tried again at the next drain: {error:#}");
        }
    }

    /// Lookups in the connection table so far.
    pub fn lookups(&self) -> Lookups {
        self.translator.lookups()
    }

    /// Empties the set that was drained last: its numbers are safe in the ledger. Returns the
    /// interfaces whose last flows that drain brought.
    pub fn clear(&mut self) -> Result<Vec<u32>> {
        self.sets.clear()
    }

    /// What was seen on interfaces of pods and not counted, by reason.
    pub fn skipped(&self) -> Result<skipped::Counts> {
        self.skipped.read()
    }

    /// What was seen on uplinks and not counted, by reason.
    pub fn uplink_skipped(&self) -> Result<skipped::Counts> {
        self.uplink_skipped.read()
    }
}
