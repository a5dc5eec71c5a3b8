//! Puts the real other end to every flow of a drain whose peer the node translates.

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
};

use anyhow::Result;

use super::conntrack::{
    Connection,
    addresses::Addresses,
    table::{Question, Table},
};
use crate::model::traffic::{BackendMethod, Drain, Flow, RealPeer};

/// Which ways of naming a backend are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods {
    /// The connection that packets to the pod carry.
    pub packet: bool,
    /// Questions to the kernel's connection table.
    pub table: bool,
}

/// What the programs noted in one drain.
pub(super) type Noted = HashMap<Question, Connection>;

/// Knows the translated addresses and what flows to them were last.
pub(super) struct Translator {
    addresses: Addresses,
    wanted: BTreeSet<IpAddr>,
    table: Option<Table>,
    /// The flows of the last drain: one that goes on without a packet to the pod keeps its name.
    /// No longer than one drain, because ports are used again.
    last: HashMap<Question, SocketAddr>,
    asked: u64,
    failed: u64,
}

impl Translator {
    pub(super) fn new(addresses: Addresses, table: Option<Table>) -> Self {
        let (wanted, last) = (BTreeSet::new(), HashMap::new());
        Self {
            addresses,
            wanted,
            table,
            last,
            asked: 0,
            failed: 0,
        }
    }

    /// From now on, exactly flows to these addresses are translated.
    pub(super) fn set_addresses(&mut self, wanted: BTreeSet<IpAddr>) -> Result<()> {
        self.addresses.set(&wanted)?;
        self.wanted = wanted;
        Ok(())
    }

    /// Questions asked of the connection table so far, and those that could not be asked.
    pub(super) fn asked(&self) -> (u64, u64) {
        (self.asked, self.failed)
    }

    /// Fills [`Flow::real_peer`], by what the programs noted, by what is still known, by asking.
    pub(super) fn translate(&mut self, drain: &mut Drain, noted: &Noted) {
        let mut known = HashMap::new();
        let mut unknown = Vec::new();
        for flow in drain
            .flows
            .iter_mut()
            .filter(|flow| self.wanted.contains(&flow.peer))
        {
            let question = question(flow);
            let by_packet = noted
                .get(&question)
                .and_then(|connection| other_end(connection, &question))
                .or_else(|| self.last.get(&question).copied());
            match by_packet {
                Some(end) => {
                    flow.real_peer = Some(real_peer(end, BackendMethod::Packet));
                    known.insert(question, end);
                }
                None => unknown.push(question),
            }
        }
        self.ask(&unknown, &mut known);
        for flow in drain
            .flows
            .iter_mut()
            .filter(|flow| flow.real_peer.is_none())
        {
            let end = known.get(&question(flow)).copied();
            flow.real_peer = end.map(|end| real_peer(end, BackendMethod::Table));
        }
        self.last = known;
    }

    fn ask(&mut self, questions: &[Question], known: &mut HashMap<Question, SocketAddr>) {
        let unique: Vec<Question> =
            BTreeSet::from_iter(questions.iter().copied().filter(|q| !known.contains_key(q)))
                .into_iter()
                .collect();
        let Some(table) = self.table.as_mut().filter(|_| !unique.is_empty()) else {
            return;
        };
        self.asked += unique.len() as u64;
        match table.ask(&unique) {
            Ok(answers) => {
                let found = unique.iter().zip(answers).filter_map(|(question, answer)| {
                    Some((*question, other_end(&answer?, question)?))
                });
                known.extend(found);
            }
            Err(error) => {
                self.failed += unique.len() as u64;
                tracing::warn!("{error:#}");
            }
        }
    }
}

/// What to ask about a flow.
pub(super) fn question(flow: &Flow) -> Question {
    Question {
        protocol: flow.protocol,
        local: SocketAddr::new(flow.local, flow.local_port),
        peer: SocketAddr::new(flow.peer, flow.peer_port),
    }
}

fn other_end(connection: &Connection, question: &Question) -> Option<SocketAddr> {
    connection.other_end(question.protocol, question.local, question.peer)
}

fn real_peer(end: SocketAddr, method: BackendMethod) -> RealPeer {
    RealPeer {
        address: end.ip(),
        port: end.port(),
        method,
    }
}
