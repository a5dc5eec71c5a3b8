//! Reads what the programs captured: two kernel tuples to one connection.

use std::net::SocketAddr;

use zonemeter_common::conntrack::{Tracked, Tuple};

use super::{Connection, PacketConnection, address};

/// `None` for a family other than the internet's.
pub(crate) fn captured(tracked: &Tracked) -> Option<PacketConnection> {
    if *tracked == Tracked::UNTRACKED {
        return Some(PacketConnection::Untracked);
    }
    let Tracked { original, reply } = tracked;
    Some(PacketConnection::Connection(Connection {
        protocol: original.protocol,
        original: [source(original)?, destination(original)?],
        reply: [source(reply)?, destination(reply)?],
    }))
}

fn source(tuple: &Tuple) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(tuple.source_port);
    Some(SocketAddr::new(address(tuple.family, tuple.source)?, port))
}

fn destination(tuple: &Tuple) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(tuple.destination_port);
    Some(SocketAddr::new(
        address(tuple.family, tuple.destination)?,
        port,
    ))
}
