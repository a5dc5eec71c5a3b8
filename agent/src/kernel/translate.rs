//! Puts the real other end to every flow of a drain whose peer the node translates.

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
};

use anyhow::Result;

use super::conntrack::{
    Carried,
    addresses::Addresses,
    table::{Question, Table},
};
use crate::model::traffic::{BackendMethod, Drain, Flow, RealPeer, Translated};

/// Which ways of naming a backend are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods {
    /// The connection that packets to the pod carry.
    pub packet: bool,
    /// Questions to the kernel's connection table.
    pub table: bool,
}

/// What the programs noted in one drain.
pub(super) type Noted = HashMap<Question, Carried>;

/// The real other ends of flows.
type Known = HashMap<Question, RealPeer>;

/// Knows the translated addresses and what flows to them were last.
pub(super) struct Translator {
    addresses: Addresses,
    translated: Translated,
    table: Option<Table>,
    /// The flows of the last drain: one that goes on without a packet to the pod keeps its name.
    /// No longer than one drain, because ports are used again.
    last: Known,
    asked: u64,
    failed: u64,
}

impl Translator {
    pub(super) fn new(addresses: Addresses, table: Option<Table>) -> Self {
        Self {
            addresses,
            translated: Translated::default(),
            table,
            last: Known::new(),
            asked: 0,
            failed: 0,
        }
    }

    /// From now on, exactly flows to these addresses are translated.
    pub(super) fn set_addresses(&mut self, translated: Translated) -> Result<()> {
        let Translated { node, services } = &translated;
        self.addresses
            .set(&node.union(services).copied().collect())?;
        self.translated = translated;
        Ok(())
    }

    /// Questions asked of the connection table so far, and those that could not be asked.
    pub(super) fn asked(&self) -> (u64, u64) {
        (self.asked, self.failed)
    }

    /// Fills [`Flow::real_peer`], by what the programs noted, by what is still known, by asking.
    pub(super) fn translate(&mut self, drain: &mut Drain, noted: &Noted) {
        let questions: BTreeSet<Question> = drain
            .flows
            .iter()
            .filter(|flow| self.is_translated(flow.peer))
            .map(question)
            .collect();
        let mut known = Known::new();
        let mut unknown = Vec::new();
        for question in &questions {
            let carried = noted.get(question);
            let named = carried.and_then(|carried| self.named(carried, question));
            let last = || self.last.get(question).filter(|_| question.has_ports());
            match named.or_else(|| last().copied()) {
                Some(peer) => drop(known.insert(*question, peer)),
                None if question.has_ports() => unknown.push(*question),
                None => {}
            }
        }
        known.extend(self.ask(&unknown));
        name_fragments(&questions, &mut known, &self.last);
        for flow in &mut drain.flows {
            flow.real_peer = known.get(&question(flow)).copied();
        }
        self.last = known;
    }

    fn is_translated(&self, peer: IpAddr) -> bool {
        self.translated.services.contains(&peer) || self.translated.node.contains(&peer)
    }

    /// Whom a packet named. One from a Service address that nobody has translated comes from this
    /// very node, which has the address too, as NodeLocal DNS has that of the cluster's DNS.
    fn named(&self, carried: &Carried, question: &Question) -> Option<RealPeer> {
        let peer = question.peer;
        let end = match carried {
            Carried::Connection(connection) => {
                connection.other_end(question.protocol, question.local, peer)?
            }
            Carried::Untracked => {
                let mut own = self.translated.node.iter();
                let own = own.find(|own| own.is_ipv4() == peer.is_ipv4())?;
                SocketAddr::new(*own, peer.port())
            }
        };
        Some(real_peer(end, BackendMethod::Packet))
    }

    fn ask(&mut self, questions: &[Question]) -> Known {
        let Some(table) = self.table.as_mut().filter(|_| !questions.is_empty()) else {
            return Known::new();
        };
        self.asked += questions.len() as u64;
        match table.ask(questions) {
            Ok(answers) => {
                let answered = questions
                    .iter()
                    .zip(answers)
                    .filter_map(|(question, answer)| {
                        let end =
                            answer?.other_end(question.protocol, question.local, question.peer)?;
                        Some((*question, real_peer(end, BackendMethod::Table)))
                    });
                answered.collect()
            }
            Err(error) => {
                self.failed += questions.len() as u64;
                tracing::warn!("{error:#}");
                Known::new()
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

/// The same flow without its ports: what fragments after the first are seen as.
fn pair(question: &Question) -> Question {
    Question {
        protocol: question.protocol,
        local: SocketAddr::new(question.local.ip(), 0),
        peer: SocketAddr::new(question.peer.ip(), 0),
    }
}

/// Names fragments after the first: one belongs to a flow between the same addresses, which is
/// known where all these have the same other end. Where the drain has no such flow, the first
/// fragment came with the last one, which had the same to say.
fn name_fragments(questions: &BTreeSet<Question>, known: &mut Known, last: &Known) {
    let pairs = pairs(questions, known);
    for fragment in questions.iter().filter(|question| !question.has_ports()) {
        let end = match pairs.get(fragment) {
            Some(common) => common.as_ref(),
            None => last.get(fragment),
        };
        if let Some(end) = end {
            known.entry(*fragment).or_insert(*end);
        }
    }
}

/// The other ends by addresses and protocol alone; `None` where flows differ.
fn pairs(questions: &BTreeSet<Question>, known: &Known) -> HashMap<Question, Option<RealPeer>> {
    let mut pairs = HashMap::new();
    for question in questions.iter().filter(|question| question.has_ports()) {
        let end = known.get(question).copied();
        let common = pairs.entry(pair(question)).or_insert(end);
        if common.map(|peer| peer.address) != end.map(|peer| peer.address) {
            *common = None;
        }
    }
    pairs
}

fn real_peer(end: SocketAddr, method: BackendMethod) -> RealPeer {
    RealPeer {
        address: end.ip(),
        port: end.port(),
        method,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(ports: [u16; 2]) -> Question {
        Question {
            protocol: 17,
            local: SocketAddr::from(([192, 168, 7, 62], ports[0])),
            peer: SocketAddr::from(([10, 100, 0, 10], ports[1])),
        }
    }

    fn end(host: u8) -> RealPeer {
        real_peer(
            SocketAddr::from(([192, 168, 79, host], 8080)),
            BackendMethod::Packet,
        )
    }

    /// What a fragment is named after flows from these client ports to these ends.
    fn fragment(flows: &[(u16, Option<u8>)], last: Option<u8>) -> Option<RealPeer> {
        let fragment = question([0, 0]);
        let mut questions = BTreeSet::from([fragment]);
        let mut known = Known::new();
        for (port, host) in flows {
            questions.insert(question([*port, 80]));
            known.extend(host.map(|host| (question([*port, 80]), end(host))));
        }
        let last = last.map(|host| (fragment, end(host)));
        name_fragments(&questions, &mut known, &last.into_iter().collect());
        known.get(&fragment).copied()
    }

    #[test]
    fn a_fragment_goes_where_all_flows_of_its_addresses_go() {
        assert_eq!(
            fragment(&[(4000, Some(1)), (4001, Some(1))], None),
            Some(end(1))
        );
        assert_eq!(fragment(&[(4000, Some(1)), (4001, Some(2))], None), None);
        assert_eq!(fragment(&[(4000, Some(1)), (4001, None)], None), None);
    }

    #[test]
    fn a_fragment_whose_first_part_came_with_the_last_drain_keeps_its_name() {
        assert_eq!(fragment(&[], Some(1)), Some(end(1)));
        assert_eq!(fragment(&[(4000, Some(1)), (4001, Some(2))], Some(1)), None);
        assert_eq!(fragment(&[], None), None);
    }
}
