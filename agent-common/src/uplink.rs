//! The interfaces by which packets leave the node, and what passes there.

/// Whose packet passes an uplink: each is in exactly one.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// It came from, or went to, another interface of the node: a pod's.
    Pod = 0,
    /// It came in by an uplink and went out by one: a NodePort whose backend is elsewhere.
    Relay = 1,
    /// A socket of the node itself: a host process, or a pod of the host's network.
    Host = 2,
    /// The rest: what the kernel sends by itself (RST, ICMP, NDP), and what no socket received.
    Kernel = 3,
}

impl Class {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::Pod, Self::Relay, Self::Host, Self::Kernel];

    /// The `class` label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Relay => "relay",
            Self::Host => "host",
            Self::Kernel => "kernel",
        }
    }
}

/// Interfaces whose indices differ by a multiple of this share a row.
const ROWS: usize = 64;
/// Interfaces that find room in one row.
const PLACES: usize = 4;

/// Which interfaces are uplinks, or carry an uplink's packets above it (VLAN). A table of its own,
/// so that a packet to a pod pays for a few comparisons and not for a lookup in a hash.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uplinks {
    /// A bit for each row that is not empty: most packets need no more.
    used: u64,
    /// Interface indices by their lowest bits; 0 is none.
    rows: [[u32; PLACES]; ROWS],
    /// Their Ethernet addresses, each as [`hardware_address`] makes it a number. In another network
    /// namespace an interface may have the same index, and has another address.
    addresses: [[u64; PLACES]; ROWS],
}

/// An Ethernet address as a number, in the order of the machine.
#[inline(always)]
pub fn hardware_address(bytes: [u8; 6]) -> u64 {
    let [a, b, c, d, e, f] = bytes;
    u64::from_ne_bytes([a, b, c, d, e, f, 0, 0])
}

impl Uplinks {
    /// None.
    pub const NONE: Self = Self {
        used: 0,
        rows: [[0; PLACES]; ROWS],
        addresses: [[0; PLACES]; ROWS],
    };

    /// True for an uplink; index 0 is none.
    #[inline(always)]
    pub fn contains(&self, interface: u32) -> bool {
        if self.used & row_bit(interface) == 0 {
            return false;
        }
        let row = &self.rows[interface as usize % ROWS];
        let found = row[0] == interface
            || row[1] == interface
            || row[2] == interface
            || row[3] == interface;
        found && interface != 0
    }

    /// True for an uplink with this address, by which a packet for it came in.
    #[inline(always)]
    pub fn receives(&self, interface: u32, address: u64) -> bool {
        let row = &self.rows[interface as usize % ROWS];
        let addresses = &self.addresses[interface as usize % ROWS];
        let found = row[0] == interface && addresses[0] == address
            || row[1] == interface && addresses[1] == address
            || row[2] == interface && addresses[2] == address
            || row[3] == interface && addresses[3] == address;
        found && interface != 0
    }

    /// Takes in an interface and its address; false where its row is full.
    pub fn insert(&mut self, interface: u32, address: u64) -> bool {
        let row = &mut self.rows[interface as usize % ROWS];
        let known = row.iter().position(|place| *place == interface);
        let free = row.iter().position(|place| *place == 0);
        let Some(place) = known.or(free) else {
            return false;
        };
        row[place] = interface;
        self.used |= row_bit(interface);
        self.addresses[interface as usize % ROWS][place] = address;
        true
    }

    /// Leaves only those that `stays`.
    pub fn retain(&mut self, stays: impl Fn(u32) -> bool) {
        for place in self.rows.as_flattened_mut() {
            if *place != 0 && !stays(*place) {
                *place = 0;
            }
        }
        self.used = 0;
        for place in self.rows.as_flattened() {
            if *place != 0 {
                self.used |= row_bit(*place);
            }
        }
        // What is no interface's has no address, so that equal tables are equal bytes.
        let places = self.rows.as_flattened().iter();
        for (place, address) in places.zip(self.addresses.as_flattened_mut()) {
            if *place == 0 {
                *address = 0;
            }
        }
    }
}

/// The bit of an interface's row.
#[inline(always)]
fn row_bit(interface: u32) -> u64 {
    const { assert!(ROWS <= u64::BITS as usize) }
    1 << (interface as usize % ROWS)
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use super::*;

    #[test]
    fn classes_are_the_positions_in_the_totals() {
        for (position, class) in Class::ALL.iter().enumerate() {
            assert_eq!(*class as usize, position);
        }
    }

    #[test]
    fn four_uplinks_of_one_row_are_told_apart() {
        let mut uplinks = Uplinks::NONE;
        assert!(!uplinks.contains(0) && !uplinks.contains(2));
        for index in [2, 66, 130, 194] {
            assert!(uplinks.insert(index, 1) && uplinks.insert(index, index.into()));
        }
        assert!(!uplinks.insert(258, 1) && uplinks.insert(3, 1));
        assert!(uplinks.receives(66, 66) && !uplinks.receives(66, 1) && !uplinks.receives(0, 0));
        assert!(uplinks.contains(66) && uplinks.contains(3) && !uplinks.contains(258));
        uplinks.retain(|index| index != 66);
        assert!(!uplinks.contains(66) && uplinks.contains(130));
        assert!(uplinks.insert(258, 9) && uplinks.receives(258, 9));
        assert_eq!(size_of::<Uplinks>(), 8 + 64 * 4 * (4 + 8));
        uplinks.retain(|_| false);
        assert_eq!(uplinks, Uplinks::NONE);
    }
}
