//! Questions to rtnetlink, answered at once: what is there on this machine needs no runtime.

use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// The kernel answers in pieces of 32 KiB at most (`netlink_dump` in `net/netlink/af_netlink.c`).
const PIECE_BYTES: usize = 64 * 1024;
/// Bytes of a message's header, of which the first four are its length.
const HEADER_BYTES: usize = 16;

/// A netlink socket of this network namespace.
pub(crate) struct Route {
    socket: Socket,
    buffer: Vec<u8>,
    /// Number of the next question: pieces of an answer that was left are told by theirs.
    next: u32,
}

impl Route {
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Each piece of an answer is made while it is asked for: what is not there never comes.
        socket.set_non_blocking(true)?;
        Ok(Self {
            socket,
            buffer: Vec::with_capacity(PIECE_BYTES),
            next: 0,
        })
    }

    /// Everything that the kernel lists for this question. What this crate's netlink library
    /// cannot read is left out, and said at level debug.
    pub(crate) fn list(
        &mut self,
        question: RouteNetlinkMessage,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        let number = self.send(question, NLM_F_DUMP)?;
        self.answer(number)
    }

    /// Asks for a change, such as of a filter, or for one thing. `flags` beside those of every
    /// request, such as NLM_F_CREATE.
    pub(crate) fn request(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        let number = self.send(message, NLM_F_ACK | flags)?;
        self.answer(number)
    }

    fn answer(&mut self, number: u32) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut answers = Vec::new();
        loop {
            self.buffer.clear();
            self.socket.recv(&mut self.buffer, 0)?;
            if read(&self.buffer, number, &mut answers)? {
                return Ok(answers);
            }
        }
    }

    fn send(&mut self, question: RouteNetlinkMessage, flags: u16) -> io::Result<u32> {
        self.next = self.next.wrapping_add(1);
        let mut message = NetlinkMessage::from(question);
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = self.next;
        message.finalize();
        let mut request = vec![0; message.buffer_len()];
        message.serialize(&mut request);
        self.socket.send(&request, 0)?;
        Ok(self.next)
    }
}

/// Takes the messages of one piece; true after the last piece.
fn read(piece: &[u8], number: u32, answers: &mut Vec<RouteNetlinkMessage>) -> io::Result<bool> {
    let mut rest = piece;
    while let Some((length, _)) = rest.split_first_chunk::<4>() {
        let length = u32::from_ne_bytes(*length) as usize;
        if !(HEADER_BYTES..=rest.len()).contains(&length) {
            return Err(io::Error::other("a netlink message of a wrong length"));
        }
        let (message, after) = rest.split_at(length);
        match NetlinkMessage::<RouteNetlinkMessage>::deserialize(message) {
            Ok(message) if message.header.sequence_number != number => {}
            Ok(message) => match message.payload {
                NetlinkPayload::Done(_) => return Ok(true),
                NetlinkPayload::Error(error) if error.code.is_none() => return Ok(true),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                _ => {}
            },
            Err(error) => tracing::debug!("left out of a list: {error}"),
        }
        // Messages begin at multiples of four bytes; the last one need not fill its own.
        rest = after
            .get(length.next_multiple_of(4) - length..)
            .unwrap_or(&[]);
    }
    Ok(false)
}
