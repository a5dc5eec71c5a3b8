//! Networks by range, each range once.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use ipnet::IpNet;

/// Which list a network comes from: the sections of the file, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Subnets,
    Interfaces,
    Services,
}

/// What a range is called and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) source: Source,
    pub(super) name: String,
    pub(super) zone: Option<String>,
    pub(super) zone_id: Option<String>,
    /// A scope of the networks file, where the zone does not decide.
    pub(super) scope: Option<&'static str>,
}

/// Entries by range.
pub(super) type Entries = BTreeMap<IpNet, Entry>;

/// Entries while they are gathered.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Entries,
}

impl Table {
    /// Adds a range.
    ///
    /// # Errors
    /// The range is there already under another name or in another zone.
    pub(super) fn add(&mut self, range: IpNet, entry: Entry) -> Result<()> {
        match self.entries.get(&range) {
            Some(other) if *other != entry => bail!(
                "{range} is both {} and {}: do the files tell of the same VPC and the same time?",
                described(other),
                described(&entry)
            ),
            _ => {
                self.entries.insert(range, entry);
                Ok(())
            }
        }
    }

    /// Whether the range has an entry.
    pub(super) fn has(&self, range: &IpNet) -> bool {
        self.entries.contains_key(range)
    }

    pub(super) fn into_entries(self) -> Entries {
        self.entries
    }
}

fn described(entry: &Entry) -> String {
    match &entry.zone {
        Some(zone) => format!("{:?} in {zone}", entry.name),
        None => format!("{:?}", entry.name),
    }
}
