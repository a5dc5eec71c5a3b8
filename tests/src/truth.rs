//! Wire truth: what really went over a cable, counted by nftables, apart from the agent.
//!
//! Every counter sits behind a cable that carries one wire packet per skb (segmentation and
//! joining are off at the sending end), so the length of an skb at the IP layer is the length of
//! a packet on the wire. An `oversized` counter proves it at every reading, and a set that is
//! full, so that it may have missed packets, is an error.

mod nft;

use std::net::IpAddr;

pub(crate) use nft::{POD_TRUTH, UPLINK_TRUTH, Watched, read, script};

/// Layer-3 bytes and packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count {
    /// IP header and up.
    pub bytes: u64,
    /// Packets on the wire.
    pub packets: u64,
}

impl std::ops::Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            packets: self.packets + other.packets,
        }
    }
}

impl std::ops::Sub for Count {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            bytes: self.bytes - other.bytes,
            packets: self.packets - other.packets,
        }
    }
}

impl std::iter::Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, count| sum + count)
    }
}

/// Which way a packet went, seen from the namespace that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It came in over the link.
    Arrived,
    /// It went out over the link.
    Delivered,
}

/// One counted pair of addresses, or one flow with its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Seen from the namespace that counts.
    pub way: Way,
    /// The link in the namespace that counts; `None` in records with ports.
    pub link: Option<String>,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol number of layer 4.
    pub protocol: u8,
    /// Source and destination port; `None` in records without ports.
    pub ports: Option<(u16, u16)>,
    /// What was counted.
    pub count: Count,
}

/// A reading of one namespace's counters.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Every IP packet once, by addresses and protocol.
    pub pairs: Vec<Record>,
    /// TCP and UDP once more, by ports; fragments after the first have none and are left out.
    /// Empty where the plan says [`crate::Plan::without_flow_truth`].
    pub flows: Vec<Record>,
}

impl Truth {
    /// What arrived from `source` for `destination`.
    pub fn arrived(&self, source: IpAddr, destination: IpAddr) -> Count {
        self.sum(Way::Arrived, source, destination)
    }

    /// What was delivered from `source` to `destination`.
    pub fn delivered(&self, source: IpAddr, destination: IpAddr) -> Count {
        self.sum(Way::Delivered, source, destination)
    }

    /// What went between any source and the server `address`:`port`: first toward the server,
    /// then away from it, counted where the other end's uplink ends.
    pub fn server(&self, address: IpAddr, port: u16) -> (Count, Count) {
        let toward = |record: &&Record| {
            record.way == Way::Arrived
                && record.destination == address
                && record.ports.is_some_and(|(_, to)| to == port)
        };
        let away = |record: &&Record| {
            record.way == Way::Delivered
                && record.source == address
                && record.ports.is_some_and(|(from, _)| from == port)
        };
        (
            count(self.flows.iter().filter(toward)),
            count(self.flows.iter().filter(away)),
        )
    }

    /// Everything that went one way.
    pub fn total(&self, way: Way) -> Count {
        count(self.pairs.iter().filter(|record| record.way == way))
    }

    fn sum(&self, way: Way, source: IpAddr, destination: IpAddr) -> Count {
        count(self.pairs.iter().filter(|record| {
            record.way == way && record.source == source && record.destination == destination
        }))
    }
}

/// Sums records.
pub fn count<'a>(records: impl Iterator<Item = &'a Record>) -> Count {
    records.map(|record| record.count).sum()
}
