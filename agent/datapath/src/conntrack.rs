//! Whom a flow really went to, where the node translates addresses.
//!
//! Two ways, in this order: what the programs captured from the packets' own connection
//! ([`captured`]), and a lookup in the kernel's table for each other flow ([`table`]).
//! [`offsets`] says where the programs find a packet's connection; [`filter`] is the filter by
//! which they know where to look.

pub(super) mod captured;
pub(super) mod filter;
pub(super) mod offsets;
pub(super) mod table;

use std::net::{IpAddr, SocketAddr};

/// What a packet to a pod carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacketConnection {
    /// The connection that it belongs to, or that it is about.
    Connection(Connection),
    /// Word that conntrack left it alone: nobody has translated its source.
    Untracked,
}

/// One connection as the two tuples say, in addresses and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) protocol: u8,
    /// Client and what it asked for.
    pub(super) original: [SocketAddr; 2],
    /// Backend and whom it answers.
    pub(super) reply: [SocketAddr; 2],
}

impl Connection {
    /// The real other end of a flow between `local` and `peer` as a veth sees it.
    ///
    /// The client's veth sees the original destination, and the reply comes from the backend. The
    /// server's veth sees the reply's destination, and the original source is the client. An ICMP
    /// error about the connection comes from the same end; the programs give it the connection's
    /// ports. `None` for a flow of another connection.
    pub(super) fn other_end(
        &self,
        protocol: u8,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Option<SocketAddr> {
        let [client, asked_for] = self.original;
        let [backend, answered] = self.reply;
        if protocol != self.protocol && !is_icmp(protocol) {
            return None;
        }
        if (client, asked_for) == (local, peer) {
            return Some(backend);
        }
        ((backend, answered) == (local, peer)).then_some(client)
    }
}

fn is_icmp(protocol: u8) -> bool {
    [libc::IPPROTO_ICMP, libc::IPPROTO_ICMPV6].contains(&i32::from(protocol))
}

/// An address of the family that the kernel says; `None` for any other.
fn address(family: u16, bytes: [u8; 16]) -> Option<IpAddr> {
    const INET: u16 = libc::AF_INET as u16;
    const INET6: u16 = libc::AF_INET6 as u16;
    match family {
        INET => Some(IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]])),
        INET6 => Some(IpAddr::from(bytes)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address and a port")
    }

    /// A pod calls a Service; another node's pod answers.
    fn service() -> Connection {
        Connection {
            protocol: 6,
            original: [at("192.168.7.62:40000"), at("10.100.0.10:80")],
            reply: [at("192.168.79.49:8080"), at("192.168.7.62:40000")],
        }
    }

    #[test]
    fn the_client_meets_the_backend() {
        let found = service().other_end(6, at("192.168.7.62:40000"), at("10.100.0.10:80"));
        assert_eq!(found, Some(at("192.168.79.49:8080")));
    }

    #[test]
    fn the_server_behind_a_masquerade_meets_the_client() {
        let node_port = Connection {
            protocol: 6,
            original: [at("203.0.113.9:5555"), at("192.168.4.93:30080")],
            reply: [at("192.168.7.62:8080"), at("192.168.4.93:61001")],
        };
        let found = node_port.other_end(6, at("192.168.7.62:8080"), at("192.168.4.93:61001"));
        assert_eq!(found, Some(at("203.0.113.9:5555")));
    }

    #[test]
    fn an_error_comes_from_the_other_end_of_the_connection_it_is_about() {
        let icmp = |ports: [u16; 2]| {
            let local = SocketAddr::new(at("192.168.7.62:0").ip(), ports[0]);
            let peer = SocketAddr::new(at("10.100.0.10:0").ip(), ports[1]);
            service().other_end(1, local, peer)
        };
        assert_eq!(icmp([40000, 80]), Some(at("192.168.79.49:8080")));
        assert_eq!(icmp([0, 0]), None);
    }

    #[test]
    fn another_connection_says_nothing() {
        let udp = service().other_end(17, at("192.168.7.62:40000"), at("10.100.0.10:80"));
        assert_eq!(udp, None);
        let other = service().other_end(6, at("192.168.7.62:40001"), at("10.100.0.10:80"));
        assert_eq!(other, None);
    }
}
