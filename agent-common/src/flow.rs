//! Keys and values of the flow maps.

/// Which way a packet goes, seen from the pod behind the veth.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the pod: tc ingress of the host-side veth.
    Transmit = 0,
    /// To the pod: tc egress of the host-side veth.
    Receive = 1,
}

impl Direction {
    /// Both, in the order of their codes.
    pub const ALL: [Self; 2] = [Self::Transmit, Self::Receive];

    /// Reads the code that a mapped key holds; `None` for any other byte.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Transmit),
            1 => Some(Self::Receive),
            _ => None,
        }
    }
}

/// Bytes and packets as they go on the wire: layer 3 and up, a super-packet counted as the
/// packets it becomes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Count {
    /// Layer-3 bytes: IP header and up.
    pub bytes: u64,
    /// Packets on the wire.
    pub packets: u64,
}

impl Count {
    /// Nothing.
    pub const ZERO: Self = Self {
        bytes: 0,
        packets: 0,
    };

    /// True when neither a byte nor a packet was counted.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl core::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.packets += other.packets;
    }
}

impl core::ops::Add for Count {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl core::iter::Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::ZERO, |sum, count| sum + count)
    }
}

macro_rules! flow_key {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name {
            /// Index of the host-side veth.
            pub interface: u32,
            /// The pod's address, network order.
            pub local: [u8; $length],
            /// The other end's address as this veth sees it, network order.
            pub peer: [u8; $length],
            /// The pod's port, network order; 0 where folded, absent or unreadable.
            pub local_port: [u8; 2],
            /// The other end's port, network order; 0 where folded, absent or unreadable.
            pub peer_port: [u8; 2],
            /// IP protocol number of the first header that is no IPv6 extension.
            pub protocol: u8,
            /// A [`Direction`] as its code.
            pub direction: u8,
            /// Always 0: keys are compared as bytes.
            pub pad: [u8; 2],
        }
    };
}

flow_key!(
    /// An IPv4 flow as one veth sees it.
    FlowKey4,
    4
);
flow_key!(
    /// An IPv6 flow as one veth sees it.
    FlowKey6,
    16
);

macro_rules! host_key {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name {
            /// Inode of the socket's cgroup directory; 0 for what the kernel itself sent.
            pub cgroup: u64,
            /// This node's address, network order.
            pub local: [u8; $length],
            /// The other end's address as the uplink sees it (transmit) or as the socket sees it
            /// (receive), network order.
            pub peer: [u8; $length],
            /// The socket's port, network order; 0 where folded, absent or unreadable.
            pub local_port: [u8; 2],
            /// The other end's port, network order; 0 where folded, absent or unreadable.
            pub peer_port: [u8; 2],
            /// IP protocol number of the first header that is no IPv6 extension.
            pub protocol: u8,
            /// A [`Direction`] as its code, seen from the node.
            pub direction: u8,
            /// Always 0: keys are compared as bytes.
            pub pad: [u8; 2],
        }
    };
}

host_key!(
    /// An IPv4 flow of a socket of the node itself, over an uplink.
    HostKey4,
    4
);
host_key!(
    /// An IPv6 flow of a socket of the node itself, over an uplink.
    HostKey6,
    16
);

#[cfg(test)]
mod tests {
    use core::mem::{align_of, size_of};

    use super::*;

    #[test]
    fn keys_have_no_hidden_padding() {
        assert_eq!(size_of::<FlowKey4>(), 4 + 4 + 4 + 2 + 2 + 1 + 1 + 2);
        assert_eq!(size_of::<FlowKey6>(), 4 + 16 + 16 + 2 + 2 + 1 + 1 + 2);
        assert_eq!(size_of::<HostKey4>(), 8 + 4 + 4 + 2 + 2 + 1 + 1 + 2);
        assert_eq!(size_of::<HostKey6>(), 8 + 16 + 16 + 2 + 2 + 1 + 1 + 2);
        assert_eq!(align_of::<FlowKey4>(), 4);
        assert_eq!(size_of::<Count>(), 16);
    }

    #[test]
    fn direction_codes_round_trip() {
        for direction in Direction::ALL {
            assert_eq!(Direction::from_code(direction as u8), Some(direction));
        }
        assert_eq!(Direction::from_code(2), None);
    }
}
