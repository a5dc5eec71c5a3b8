//! Asks the kernel's connection table (ctnetlink) about single flows.
//!
//! A lookup goes in the orientation of the packets that the pod sends; any tuple of either
//! direction of a connection is found. Some microseconds a lookup; entries outlive a closed
//! connection by 10 s at least
//! (`nf_conntrack_tcp_timeout_close`).

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    conntrack::{ConntrackAttribute, ConntrackMessage, IPTuple, ProtoTuple, Protocol, Tuple},
};
use netlink_sys::{Socket, SocketAddr as NetlinkAddr, protocols::NETLINK_NETFILTER};

use super::Connection;

/// Questions in one message to the kernel; their answers fit a socket's default buffer many
/// times over.
pub(crate) const BATCH: usize = 64;
/// Larger than any answer to a lookup: one connection.
const ANSWER_BYTES: usize = 16 * 1024;

/// A flow to ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LookupKey {
    pub(crate) protocol: u8,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
}

impl LookupKey {
    /// False for a protocol without ports, whose connections the table keeps by other numbers.
    pub(crate) fn has_ports(&self) -> bool {
        self.local.port() | self.peer.port() != 0
    }
}

/// Who answers.
pub(crate) trait Lookup {
    /// One answer for each of up to [`BATCH`] keys, in their order; `None` where the table
    /// has no such connection.
    fn ask(&mut self, keys: &[LookupKey]) -> Result<Vec<Option<Connection>>>;
}

/// A netlink socket to the table of this network namespace.
pub(crate) struct Table {
    socket: Socket,
    buffer: Vec<u8>,
    /// Number of the next lookup: an answer that a failed batch left behind is told by its own.
    next: u32,
}

impl Table {
    /// Needs CAP_NET_ADMIN.
    pub(crate) fn open() -> Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER).context("ctnetlink socket")?;
        socket.bind_auto().context("ctnetlink socket")?;
        socket
            .connect(&NetlinkAddr::new(0, 0))
            .context("ctnetlink socket")?;
        // The kernel answers while it takes the request: what is not there then never comes.
        socket.set_non_blocking(true).context("ctnetlink socket")?;
        Ok(Self {
            socket,
            buffer: Vec::with_capacity(ANSWER_BYTES),
            next: 0,
        })
    }

    fn ask_batch(&mut self, keys: &[LookupKey]) -> Result<Vec<Option<Connection>>> {
        let mut request = Vec::new();
        let first = self.next;
        for key in keys {
            append(&mut request, message(key, self.next));
            self.next = self.next.wrapping_add(1);
        }
        self.socket.send(&request, 0)?;
        let mut answers = vec![None; keys.len()];
        let mut outstanding = keys.len();
        while outstanding > 0 {
            self.buffer.clear();
            self.socket.recv(&mut self.buffer, 0)?;
            let mut rest = self.buffer.as_slice();
            while !rest.is_empty() {
                let answer = NetlinkMessage::<NetfilterMessage>::deserialize(rest)?;
                let length = (answer.header.length as usize)
                    .next_multiple_of(4)
                    .min(rest.len());
                rest = &rest[length..];
                let number = answer.header.sequence_number.wrapping_sub(first);
                if let Some(slot) = answers.get_mut(number as usize) {
                    *slot = connection(answer.payload);
                    outstanding -= 1;
                }
            }
        }
        Ok(answers)
    }
}

impl Lookup for Table {
    fn ask(&mut self, keys: &[LookupKey]) -> Result<Vec<Option<Connection>>> {
        let answers = self.ask_batch(keys);
        answers.context("asking the connection table")
    }
}

fn append(request: &mut Vec<u8>, mut message: NetlinkMessage<NetfilterMessage>) {
    message.finalize();
    let start = request.len();
    request.resize(start + message.buffer_len(), 0);
    message.serialize(&mut request[start..]);
}

fn message(key: &LookupKey, number: u32) -> NetlinkMessage<NetfilterMessage> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    header.sequence_number = number;
    let family = match key.local {
        SocketAddr::V4(_) => NetfilterProtoFamily::IPv4,
        SocketAddr::V6(_) => NetfilterProtoFamily::IPv6,
    };
    let tuple = vec![
        Tuple::Ip(vec![
            IPTuple::SourceAddress(key.local.ip()),
            IPTuple::DestinationAddress(key.peer.ip()),
        ]),
        Tuple::Proto(vec![
            ProtoTuple::Protocol(Protocol::from(key.protocol)),
            ProtoTuple::SourcePort(key.local.port()),
            ProtoTuple::DestinationPort(key.peer.port()),
        ]),
    ];
    let get = ConntrackMessage::Get(vec![ConntrackAttribute::CtaTupleOrig(tuple)]);
    let body = NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), get);
    NetlinkMessage::new(header, NetlinkPayload::from(body))
}

fn connection(payload: NetlinkPayload<NetfilterMessage>) -> Option<Connection> {
    let NetlinkPayload::InnerMessage(message) = payload else {
        return None;
    };
    let NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)) = message.inner else {
        return None;
    };
    let mut tuples = [None, None];
    for attribute in attributes {
        match attribute {
            ConntrackAttribute::CtaTupleOrig(parts) => tuples[0] = ends(&parts),
            ConntrackAttribute::CtaTupleReply(parts) => tuples[1] = ends(&parts),
            _ => {}
        }
    }
    let [(protocol, original), (_, reply)] = [tuples[0]?, tuples[1]?];
    Some(Connection {
        protocol,
        original,
        reply,
    })
}

/// Protocol, source and destination of one tuple.
fn ends(parts: &[Tuple]) -> Option<(u8, [SocketAddr; 2])> {
    let (mut source, mut destination) = (None, None);
    let (mut protocol, mut ports) = (None, [0; 2]);
    for part in parts {
        match part {
            Tuple::Ip(addresses) => addresses.iter().for_each(|address| match address {
                IPTuple::SourceAddress(address) => source = Some(*address),
                IPTuple::DestinationAddress(address) => destination = Some(*address),
                _ => {}
            }),
            Tuple::Proto(fields) => fields.iter().for_each(|field| match field {
                ProtoTuple::Protocol(number) => protocol = Some(u8::from(*number)),
                ProtoTuple::SourcePort(port) => ports[0] = *port,
                ProtoTuple::DestinationPort(port) => ports[1] = *port,
                _ => {}
            }),
            _ => {}
        }
    }
    let ends = [
        SocketAddr::new(source?, ports[0]),
        SocketAddr::new(destination?, ports[1]),
    ];
    Some((protocol?, ends))
}
