//! The address plan: an EKS-shaped VPC with one subnet per zone.
//!
//! | what | IPv4 | IPv6 |
//! |---|---|---|
//! | VPC | 192.168.0.0/16 | fd5a:6f6e::/56 |
//! | subnet of zone *z* | 192.168.(32 *z*).0/19 | fd5a:6f6e:0:*z*::/64 |
//! | subnet's router | first address | fe80::a on every uplink |
//! | node *n* of the zone | x.y+4.(10 + *n*) | …::(0x10 + *n*) |
//! | NAT gateway of the zone | x.y+6.4 | – |
//! | its second ENI | x.y+5.(10 + *n*) | – (as on EKS, IPv6 uses the primary ENI only) |
//! | its pods | three /24 | one /80 |
//! | its pods on the second ENI | one /24 | – |
//! | Services | 10.100.0.0/16 | fd5a:6f6e:ffff::/108 |
//! | internet | 35.92.124.0/24 | 2600:1f14:cafe::/64 |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, ensure};

/// The VPC's IPv4 range.
pub const VPC_V4: &str = "192.168.0.0/16";
/// The VPC's IPv6 range, from the unique local addresses (RFC 4193).
pub const VPC_V6: &str = "fd5a:6f6e::/56";
/// The VPC's IPv6 range in a lab with [`Space::Global`]: Amazon's, as EKS gives them.
pub const VPC_V6_GLOBAL: &str = "2600:1f16:5a6f::/56";
/// The internet's only IPv4 network: globally reachable, as the documentation ranges are not,
/// and out of a range of AWS. Nothing leaves the lab's namespaces.
pub const INTERNET_V4: &str = "35.92.124.0/24";
/// The internet's only IPv6 network, chosen likewise.
pub const INTERNET_V6: &str = "2600:1f14:cafe::/64";
/// The link-local address of the VPC's router on every uplink.
pub const ROUTER_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xa);
/// The link-local address of a node on its uplinks.
pub const NODE_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xb);
/// Hosts of the internet, in each family.
pub const INTERNET_HOSTS: usize = 40;

const NODES_PER_ZONE: usize = 6;
const FIRST_POD_BLOCK: usize = 8;
const BLOCKS_PER_NODE: usize = 4;
const PRIMARY_BLOCKS: usize = 3;
const FIRST_HOST: usize = 10;

/// Which families the pods of a lab speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 only: EKS' default.
    V4,
    /// Pods with IPv6 only; nodes keep an IPv4 address, as on EKS.
    V6,
    /// Both at every pod; EKS has no such mode, it lets one lab serve both halves of a test.
    Dual,
}

impl Family {
    /// True when pods have an IPv4 address.
    pub fn has_v4(self) -> bool {
        self != Self::V6
    }

    /// True when pods have an IPv6 address.
    pub fn has_v6(self) -> bool {
        self != Self::V4
    }
}

/// Where the VPC's IPv6 addresses are from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Space {
    /// Unique local addresses, fd00::/8 (RFC 4193): [`VPC_V6`].
    #[default]
    UniqueLocal,
    /// Globally reachable ones: [`VPC_V6_GLOBAL`].
    Global,
}

impl Space {
    /// The VPC's range.
    pub fn vpc(self) -> &'static str {
        match self {
            Self::UniqueLocal => VPC_V6,
            Self::Global => VPC_V6_GLOBAL,
        }
    }

    /// What all its addresses begin with.
    fn prefix(self) -> [u16; 3] {
        match self {
            Self::UniqueLocal => [0xfd5a, 0x6f6e, 0],
            Self::Global => [0x2600, 0x1f16, 0x5a6f],
        }
    }
}

/// An availability zone with its subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Zone {
    /// `us-east-2a`, `use2-az1`
    A,
    /// `us-east-2b`, `use2-az2`
    B,
    /// `us-east-2c`, `use2-az3`
    C,
}

impl Zone {
    /// Every zone, in the order of their names.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::C];

    /// The zone's name, which AWS maps to a place per account.
    pub fn name(self) -> &'static str {
        ["us-east-2a", "us-east-2b", "us-east-2c"][self.index()]
    }

    /// The zone's identifier, the same for every account.
    pub fn id(self) -> &'static str {
        ["use2-az1", "use2-az2", "use2-az3"][self.index()]
    }

    /// The zone's subnet in IPv4.
    pub fn subnet_v4(self) -> String {
        format!("192.168.{}.0/19", 32 * self.index())
    }

    /// The zone's subnet in IPv6.
    pub fn subnet_v6(self, space: Space) -> String {
        format!("{}/64", self.v6(space, 0, 0))
    }

    /// The subnet's router.
    pub fn router_v4(self) -> Ipv4Addr {
        self.v4(0, 1)
    }

    /// The address of the subnet's NAT gateway.
    pub(crate) fn nat_gateway_v4(self) -> Ipv4Addr {
        self.v4(6, 4)
    }

    fn index(self) -> usize {
        self as usize
    }

    fn v4(self, block: usize, host: usize) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, (32 * self.index() + block) as u8, host as u8)
    }

    fn v6(self, space: Space, node: u16, host: u16) -> Ipv6Addr {
        let [a, b, c] = space.prefix();
        Ipv6Addr::new(a, b, c, self.index() as u16, node, 0, 0, host)
    }
}

/// The addresses of one node: number `ordinal` of its zone.
#[derive(Clone, Copy, Debug)]
pub struct NodeAddresses {
    zone: Zone,
    ordinal: usize,
    space: Space,
}

impl NodeAddresses {
    /// The addresses of node number `ordinal` of `zone`, counted from 0.
    pub fn new(zone: Zone, ordinal: usize, space: Space) -> Result<Self> {
        ensure!(
            ordinal < NODES_PER_ZONE,
            "zone {} has {NODES_PER_ZONE} nodes already: use another zone",
            zone.name()
        );
        Ok(Self {
            zone,
            ordinal,
            space,
        })
    }

    /// The address of ENI number `eni` (0: primary).
    pub fn eni_v4(&self, eni: usize) -> Ipv4Addr {
        self.zone.v4(4 + eni, FIRST_HOST + self.ordinal)
    }

    /// The node's IPv6 address.
    pub fn primary_v6(&self) -> Ipv6Addr {
        self.zone.v6(self.space, 0, 0x10 + self.ordinal as u16)
    }

    /// The /24 ranges whose addresses belong to ENI number `eni`.
    pub fn pod_blocks_v4(&self, eni: usize) -> Vec<String> {
        let first = FIRST_POD_BLOCK + BLOCKS_PER_NODE * self.ordinal;
        let blocks = match eni {
            0 => first..first + PRIMARY_BLOCKS,
            _ => first + PRIMARY_BLOCKS..first + BLOCKS_PER_NODE,
        };
        blocks
            .map(|block| format!("{}/24", self.zone.v4(block, 0)))
            .collect()
    }

    /// The /80 delegated to the node.
    pub fn pod_prefix_v6(&self) -> String {
        let network = self.zone.v6(self.space, 1 + self.ordinal as u16, 0);
        format!("{network}/80")
    }

    /// The IPv4 address of the node's pod number `index` on ENI number `eni`.
    pub fn pod_v4(&self, eni: usize, index: usize) -> Result<Ipv4Addr> {
        let per_block = 256 - FIRST_HOST - 1;
        let blocks = if eni == 0 { PRIMARY_BLOCKS } else { 1 };
        ensure!(
            index < per_block * blocks,
            "the node's ENI {eni} has no address left for another pod"
        );
        let first = FIRST_POD_BLOCK + BLOCKS_PER_NODE * self.ordinal;
        let first = if eni == 0 {
            first
        } else {
            first + PRIMARY_BLOCKS
        };
        let (block, host) = (index / per_block, index % per_block);
        Ok(self.zone.v4(first + block, FIRST_HOST + host))
    }

    /// The IPv6 address of the node's pod number `index`.
    pub fn pod_v6(&self, index: usize) -> Ipv6Addr {
        let (node, host) = (1 + self.ordinal as u16, 0x10 + index as u16);
        self.zone.v6(self.space, node, host)
    }
}

/// The internet's host number `index`, below [`INTERNET_HOSTS`], in the family of `like`.
pub fn internet_host(like: Family, index: usize) -> IpAddr {
    let host = FIRST_HOST + index % INTERNET_HOSTS;
    if like.has_v4() {
        IpAddr::from([35, 92, 124, host as u8])
    } else {
        IpAddr::from([0x2600, 0x1f14, 0xcafe, 0, 0, 0, 0, host as u16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_nodes_and_enis_do_not_overlap() {
        let mut seen = std::collections::BTreeSet::new();
        for zone in Zone::ALL {
            for ordinal in 0..NODES_PER_ZONE {
                let node = NodeAddresses::new(zone, ordinal, Space::default()).unwrap();
                assert!(seen.insert(node.eni_v4(0)) && seen.insert(node.eni_v4(1)));
                for index in 0..735 {
                    assert!(seen.insert(node.pod_v4(0, index).unwrap()));
                }
                assert!(node.pod_v4(0, 735).is_err());
                assert!(seen.insert(node.pod_v4(1, 0).unwrap()));
            }
        }
    }

    #[test]
    fn zone_b_starts_at_the_second_nineteenth() {
        let node = NodeAddresses::new(Zone::B, 0, Space::default()).unwrap();
        assert_eq!(Zone::B.subnet_v4(), "192.168.32.0/19");
        assert_eq!(node.eni_v4(0), Ipv4Addr::new(192, 168, 36, 10));
        assert_eq!(node.pod_v4(0, 0).unwrap(), Ipv4Addr::new(192, 168, 40, 10));
        assert_eq!(node.pod_blocks_v4(1), ["192.168.43.0/24"]);
    }
}
