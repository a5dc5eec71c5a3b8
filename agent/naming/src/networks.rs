//! Address ranges that are not pods, from the networks file.

mod file;
mod ways;

use std::{fmt, net::IpAddr, sync::Arc, time::SystemTime};

use ipnet::IpNet;
use zonemeter_model::snapshot::{Scope, Via};

pub use self::ways::SubnetRoutes;
use super::prefixes::Prefixes;

/// The contents of a networks file: a longest-prefix table of named networks, and the ranges of
/// the VPC.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    named: Prefixes<Network>,
    vpc: Prefixes<()>,
    /// Subnets whose ways out the file tells, by position in `ways`.
    subnets: Prefixes<SubnetId>,
    ways: Vec<SubnetRoutes>,
    as_of: Option<SystemTime>,
}

/// A subnet whose ways out the file tells.
pub type SubnetId = u32;

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
    /// The AWS region that it is in.
    pub region: Option<Arc<str>>,
    /// By what its traffic leaves the VPC, whatever subnet it comes from.
    pub via: Via,
    /// The zone of the NAT gateway, where that is `nat`.
    pub nat_zone: Option<Arc<str>>,
    /// Its first address is public: in the node's own region it is a service of AWS, not a peered
    /// network.
    pub is_public: bool,
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

    /// When it was written, where it says so.
    pub fn as_of(&self) -> Option<SystemTime> {
        self.as_of
    }

    /// The named network of the address: the longest prefix wins.
    pub fn find(&self, address: IpAddr) -> Option<(IpNet, &Network)> {
        self.named.find(address)
    }

    /// The VPC range that the address is in.
    pub fn vpc_range(&self, address: IpAddr) -> Option<IpNet> {
        self.vpc.find(address).map(|(range, ())| range)
    }

    /// The subnet of the address among those whose ways out the file tells.
    pub fn subnet(&self, address: IpAddr) -> Option<SubnetId> {
        self.subnets.find(address).map(|(_, subnet)| *subnet)
    }

    /// The ways out of a subnet.
    pub fn ways(&self, subnet: SubnetId) -> Option<&SubnetRoutes> {
        self.ways.get(subnet as usize)
    }

    /// The networks of this name.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = (IpNet, &Network)> {
        let all = self.named.iter();
        all.filter(move |(_, network)| &*network.name == name)
    }

    /// The VPC's ranges.
    pub(crate) fn vpc_ranges(&self) -> Vec<String> {
        self.vpc
            .iter()
            .map(|(range, ())| range.to_string())
            .collect()
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
