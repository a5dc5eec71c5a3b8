//! Networks by range, each range once.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use ipnet::IpNet;

use zonemeter_model::snapshot::{Scope, Via};

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
    /// The AWS region that it is in, where that is not the VPC's.
    pub(super) region: Option<String>,
    /// By what traffic to it leaves the VPC, whatever subnet it comes from.
    pub(super) via: Option<Via>,
    /// By what a subnet's own traffic leaves the VPC.
    pub(super) ways: Option<SubnetRoutes>,
}

/// The ways out of a subnet. [`Via::Unset`] is a way that is known to lead nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SubnetRoutes {
    /// Of public addresses; `None` where the file has no word for it.
    pub(super) internet: Option<Via>,
    /// Of 64:ff9b::/96, where that is not a NAT gateway.
    pub(super) nat64: Option<Via>,
    /// Of the NAT gateway.
    pub(super) nat_zone: Option<String>,
    /// Of services, by the name of their networks.
    pub(super) services: Vec<(String, Via)>,
}

impl Entry {
    /// An interface endpoint of a service of AWS: what is sent there is billed as such, and not for
    /// crossing zones.
    pub(super) fn of_service(self, service: &str) -> Self {
        Self {
            name: format!("vpce/{service}"),
            scope: Some(Scope::AwsService.name()),
            via: Some(Via::InterfaceEndpoint),
            ..self
        }
    }
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
