//! Who asks.

use std::net::IpAddr;

/// The address at the other end of a request's connection, among the request's extensions; none
/// of a Unix socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer(pub Option<IpAddr>);
