//! Address ranges that are no pods, from the networks file.

mod file;

use std::{fmt, net::IpAddr, sync::Arc};

use ipnet::IpNet;
use zonemeter_model::snapshot::Scope;

use super::prefixes::Prefixes;

/// The contents of a networks file: a longest-prefix table of named networks, and the ranges of
/// the VPC.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    named: Prefixes<Network>,
    vpc: Prefixes<()>,
}

/// One entry of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Position in the file: tells networks apart.
    pub id: u32,
    /// The name that traffic is shown under.
    pub name: Arc<str>,
    /// The zone that its addresses are in.
    pub zone: Option<Arc<str>>,
    /// The id of that zone; names the zone where `zone` does not.
    pub zone_id: Option<Arc<str>>,
    /// The scope of traffic to it, where the file states one.
    pub scope: Option<Scope>,
}

/// Why a networks file was refused: one line, naming the file's line and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworksError {
    line: Option<u64>,
    problem: String,
}

impl Networks {
    /// Reads a networks file.
    ///
    /// # Errors
    /// The first entry that is not as documented; nothing is taken from such a file.
    pub fn parse(text: &str) -> Result<Self, NetworksError> {
        file::parse(text)
    }

    /// Number of named networks and of VPC ranges.
    pub fn len(&self) -> usize {
        self.named.len() + self.vpc.len()
    }

    /// True where the file says nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The named network of the address: the longest prefix wins.
    pub fn find(&self, address: IpAddr) -> Option<(IpNet, &Network)> {
        self.named.find(address)
    }

    /// The VPC range that the address is in.
    pub fn vpc_range(&self, address: IpAddr) -> Option<IpNet> {
        self.vpc.find(address).map(|(range, ())| range)
    }

    /// True where the file says which addresses the VPC has.
    pub fn knows_vpc(&self) -> bool {
        !self.vpc.is_empty()
    }
}

impl fmt::Display for NetworksError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "networks file line {line}: {}", self.problem),
            None => write!(formatter, "networks file: {}", self.problem),
        }
    }
}

impl std::error::Error for NetworksError {}
