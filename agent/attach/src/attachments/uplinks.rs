//! The table by which programs know the uplinks. It is pinned as the flows are: a program that
//! takes the place of an earlier process's goes on to know them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use aya::maps::{Array, MapData};
use zonemeter_common::{Uplinks, hardware_address};

use super::{Counting, Link, Role};

/// The table and who is meant to be in it.
pub(super) struct UplinkTable {
    map: Array<MapData, Uplinks>,
    table: Uplinks,
    /// Uplinks with our programs on them.
    attached: BTreeSet<u32>,
    /// Interfaces above an uplink, whose packets pass it, too: they need no program.
    above: BTreeSet<u32>,
}

impl UplinkTable {
    /// As an earlier process left it.
    pub(super) fn new(map: Array<MapData, Uplinks>) -> Result<Self> {
        let table = map.get(&0, 0).context("reading the table of uplinks")?;
        Ok(Self {
            map,
            table,
            attached: BTreeSet::new(),
            above: BTreeSet::new(),
        })
    }

    /// Our programs are on the interface: what comes from it from now on was counted there before.
    pub(super) fn attached(&mut self, link: &Link) {
        if link.role != Role::Uplink {
            return;
        }
        self.attached.insert(link.index);
        if let Err(error) = self.insert(link) {
            tracing::error!("what it brings to pods and sockets is shown as kernel's: {error:#}");
        }
    }

    /// Takes in an interface above an uplink.
    pub(super) fn insert_above(&mut self, link: &Link) -> Result<Counting> {
        self.insert(link)?;
        self.above.insert(link.index);
        Ok(Counting {
            before_attach: Default::default(),
            lacks: None,
        })
    }

    /// An interface that is in the table may have another address now.
    pub(super) fn described(&mut self, link: &Link) {
        if self.table.contains(link.index)
            && let Err(error) = self.insert(link)
        {
            tracing::error!("what it brings to sockets is shown as the kernel's: {error:#}");
        }
    }

    /// True for an interface above an uplink.
    pub(super) fn is_above(&self, index: u32) -> bool {
        self.above.contains(&index)
    }

    /// The interface is gone.
    pub(super) fn remove(&mut self, index: u32) -> Result<()> {
        match self.attached.remove(&index) | self.above.remove(&index) {
            true => self.forget_others(),
            false => Ok(()),
        }
    }

    /// Of those above an uplink only these are there; what an earlier process left in the table and
    /// is neither is forgotten.
    pub(super) fn retain(&mut self, present: &[u32]) -> Result<()> {
        self.above.retain(|index| present.contains(index));
        self.forget_others()
    }

    fn forget_others(&mut self) -> Result<()> {
        let Self {
            attached, above, ..
        } = self;
        let mut table = self.table;
        table.retain(|index| attached.contains(&index) || above.contains(&index));
        self.write(table)
    }

    fn insert(&mut self, link: &Link) -> Result<()> {
        let mut table = self.table;
        if !table.insert(link.index, hardware_address(link.address)) {
            bail!(
                "{}: too many uplinks have an index like its own: give fewer by --uplink",
                link.name
            );
        }
        self.write(table)
    }

    fn write(&mut self, table: Uplinks) -> Result<()> {
        if table != self.table {
            let written = self.map.set(0, table, 0);
            written.context("writing the table of uplinks")?;
            self.table = table;
        }
        Ok(())
    }
}
