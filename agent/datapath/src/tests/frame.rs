//! Builds frames byte by byte, and the `__sk_buff` that goes with them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// How many packets a super-packet becomes, and the payload of each.
#[derive(Clone, Copy, Default)]
pub(super) struct Segments {
    pub(super) count: u32,
    pub(super) size: u32,
}

/// A frame under construction: Ethernet, tags, IP header, extensions, transport.
pub(super) struct Frame {
    tags: Vec<u16>,
    ethertype: u16,
    ip: Vec<u8>,
    /// Where the number of the next header stands in `ip`.
    next: usize,
    segments: Segments,
}

impl Frame {
    /// A frame with `length` bytes of zeroes behind the Ethernet header.
    pub(super) fn ethernet(ethertype: u16, length: usize) -> Self {
        let ip = vec![0; length];
        Self {
            tags: Vec::new(),
            ethertype,
            ip,
            next: 0,
            segments: Segments::default(),
        }
    }

    pub(super) fn ipv4(source: &str, destination: &str) -> Self {
        let mut frame = Self::ethernet(0x0800, 20);
        frame.ip[0] = 0x45;
        frame.ip[8] = 64;
        frame.ip[12..16].copy_from_slice(&source.parse::<Ipv4Addr>().unwrap().octets());
        frame.ip[16..20].copy_from_slice(&destination.parse::<Ipv4Addr>().unwrap().octets());
        frame.next = 9;
        frame
    }

    pub(super) fn ipv6(source: &str, destination: &str) -> Self {
        let mut frame = Self::ethernet(0x86dd, 40);
        frame.ip[0] = 0x60;
        frame.ip[7] = 64;
        frame.ip[8..24].copy_from_slice(&source.parse::<Ipv6Addr>().unwrap().octets());
        frame.ip[24..40].copy_from_slice(&destination.parse::<Ipv6Addr>().unwrap().octets());
        frame.next = 6;
        frame
    }

    fn is_ipv6(&self) -> bool {
        self.ethertype == 0x86dd
    }

    /// Puts a tag in front of the present ones.
    pub(super) fn vlan(mut self, ethertype: u16) -> Self {
        self.tags.insert(0, ethertype);
        self
    }

    pub(super) fn version(mut self, version: u8) -> Self {
        self.ip[0] = version << 4 | self.ip[0] & 0x0f;
        self
    }

    /// No-operation options; `length` is a multiple of 4.
    pub(super) fn ipv4_options(mut self, length: usize) -> Self {
        self.ip.extend(vec![1; length]);
        self.ip[0] = 0x40 | (5 + length / 4) as u8;
        self
    }

    /// A fragment `offset` (in units of 8 bytes) into its packet.
    pub(super) fn fragment(mut self, offset: u16) -> Self {
        if self.is_ipv6() {
            let field = (offset << 3).to_be_bytes();
            return self.extension(44, &[0, 0, field[0], field[1], 0, 0, 0, 1]);
        }
        self.ip[6..8].copy_from_slice(&offset.to_be_bytes());
        self
    }

    pub(super) fn more_fragments(mut self) -> Self {
        self.ip[6] |= 0x20;
        self
    }

    pub(super) fn hop_by_hop(self, length: usize) -> Self {
        self.padded_extension(0, length)
    }

    pub(super) fn routing(self, length: usize) -> Self {
        self.padded_extension(43, length)
    }

    pub(super) fn destination_options(self, length: usize) -> Self {
        self.padded_extension(60, length)
    }

    /// RFC 4302: the length field counts words of 4 bytes, less 2.
    pub(super) fn authentication(self, length: usize) -> Self {
        let mut header = vec![0; length];
        header[1] = (length / 4 - 2) as u8;
        self.extension(51, &header)
    }

    /// RFC 8200: the length field counts units of 8 bytes, less 1.
    fn padded_extension(self, number: u8, length: usize) -> Self {
        let mut header = vec![0; length];
        header[1] = (length / 8 - 1) as u8;
        self.extension(number, &header)
    }

    fn extension(mut self, number: u8, header: &[u8]) -> Self {
        self.ip[self.next] = number;
        self.next = self.ip.len();
        self.ip.extend_from_slice(header);
        self
    }

    pub(super) fn tcp(self, source: u16, destination: u16, payload: usize) -> Self {
        self.tcp_with_options(source, destination, 0, payload)
    }

    pub(super) fn tcp_with_options(
        self,
        source: u16,
        destination: u16,
        options: usize,
        payload: usize,
    ) -> Self {
        let mut segment = ports(source, destination);
        segment.resize(20 + options + payload, 0);
        segment[12] = ((5 + options / 4) << 4) as u8;
        self.raw(6, &segment)
    }

    pub(super) fn udp(self, source: u16, destination: u16, payload: usize) -> Self {
        let mut datagram = ports(source, destination);
        datagram.resize(8 + payload, 0);
        self.raw(17, &datagram)
    }

    pub(super) fn icmp(self, payload: usize) -> Self {
        self.raw(1, &vec![8; 8 + payload])
    }

    pub(super) fn raw(mut self, protocol: u8, payload: &[u8]) -> Self {
        self.ip[self.next] = protocol;
        self.ip.extend_from_slice(payload);
        self
    }

    /// Has the IP header say how long the packet is.
    pub(super) fn stated(mut self) -> Self {
        let (at, bytes) = match self.is_ipv6() {
            true => (4, self.ip.len() - 40),
            false => (2, self.ip.len()),
        };
        self.ip[at..at + 2].copy_from_slice(&(bytes as u16).to_be_bytes());
        self
    }

    /// As Ethernet fills a short packet up.
    pub(super) fn padding(mut self, length: usize) -> Self {
        self.ip.extend(vec![0; length]);
        self
    }

    pub(super) fn segments(mut self, segments: Segments) -> Self {
        self.segments = segments;
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for tag in &self.tags {
            bytes.extend(tag.to_be_bytes());
            bytes.extend(7u16.to_be_bytes());
        }
        bytes.extend(self.ethertype.to_be_bytes());
        bytes.extend(&self.ip);
        bytes
    }

    /// `struct __sk_buff` of `include/uapi/linux/bpf.h`, as far as `BPF_PROG_TEST_RUN` takes it.
    pub(super) fn context(&self) -> [u8; 192] {
        let mut context = [0; 192];
        context[164..168].copy_from_slice(&self.segments.count.to_ne_bytes());
        context[176..180].copy_from_slice(&self.segments.size.to_ne_bytes());
        context
    }
}

fn ports(source: u16, destination: u16) -> Vec<u8> {
    [source.to_be_bytes(), destination.to_be_bytes()].concat()
}
