//! Puts the real other end to every flow of a drain whose peer the node translates.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use zonemeter_model::traffic::{BackendMethod, Drain, Flow, RealPeer, Translated};

use super::conntrack::{
    PacketConnection,
    table::{BATCH, Lookup, LookupKey, Table},
};

/// Lookups of one drain, at most: as many as there are flows in the maps by default, twice.
const MOST_LOOKUPS: usize = 1 << 17;
/// For how long one drain may look connections up.
const LOOKUPS_WITHIN: Duration = Duration::from_secs(5);

/// Which ways of naming a backend are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods {
    /// The connection that packets to the pod carry.
    pub packet: bool,
    /// Questions to the kernel's connection table.
    pub table: bool,
}

/// What the programs captured in one drain.
pub(super) type CapturedConnections = HashMap<LookupKey, PacketConnection>;

/// The real other ends of flows.
type RealPeers = HashMap<LookupKey, RealPeer>;

/// Lookups in the connection table so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// Those that were answered, also by "no such connection".
    pub answered: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were not made, because a drain had more of them or took too long.
    pub over_limit: u64,
}

/// Knows the translated addresses and what flows to them were last.
pub(super) struct Translator<L = Table> {
    translated: Translated,
    table: Option<L>,
    /// The flows of the last drain: one that goes on without a packet to the pod keeps its name.
    /// No longer than one drain, because ports are used again.
    last: RealPeers,
    lookups: Lookups,
}

impl<L: Lookup> Translator<L> {
    pub(super) fn new(table: Option<L>) -> Self {
        Self {
            translated: Translated::default(),
            table,
            last: RealPeers::new(),
            lookups: Lookups::default(),
        }
    }

    /// From now on, exactly flows to these addresses are translated.
    pub(super) fn set_addresses(&mut self, translated: Translated) {
        self.translated = translated;
    }

    /// Lookups so far.
    pub(super) fn lookups(&self) -> Lookups {
        self.lookups
    }

    /// Fills [`Flow::real_peer`], by what the programs captured, by what is still known, by asking.
    pub(super) fn translate(&mut self, drain: &mut Drain, captured: &CapturedConnections) {
        let keys: BTreeSet<LookupKey> = all_flows(drain)
            .filter(|flow| !flow.other_ports && self.is_translated(flow.peer))
            .map(lookup_key)
            .collect();
        let mut known = RealPeers::new();
        let mut unknown = BTreeSet::new();
        for key in &keys {
            let carried = captured.get(key);
            let named = carried.and_then(|carried| self.named(carried, key));
            let last = || self.last.get(key).filter(|_| key.has_ports());
            match named.or_else(|| last().copied()) {
                Some(peer) => drop(known.insert(*key, peer)),
                None if key.has_ports() => drop(unknown.insert(*key)),
                None => {}
            }
        }
        let unknown = in_turns(drain, &unknown);
        known.extend(self.ask(&unknown));
        name_fragments(&keys, &mut known, &self.last);
        let hosts = drain.host.flows.iter_mut().map(|one| &mut one.flow);
        for flow in drain.flows.iter_mut().chain(hosts) {
            // Of several connections, what one says is not known of the others.
            let known = known.get(&lookup_key(flow)).filter(|_| !flow.other_ports);
            flow.real_peer = known.copied();
        }
        self.last = known;
    }

    fn is_translated(&self, peer: IpAddr) -> bool {
        self.translated.services.contains(&peer) || self.translated.node.contains(&peer)
    }

    /// Whom a packet named. One from a Service address that nobody has translated comes from this
    /// very node, which has the address too, as NodeLocal DNS has that of the cluster's DNS.
    fn named(&self, carried: &PacketConnection, key: &LookupKey) -> Option<RealPeer> {
        let peer = key.peer;
        let end = match carried {
            PacketConnection::Connection(connection) => {
                connection.other_end(key.protocol, key.local, peer)?
            }
            PacketConnection::Untracked => {
                let mut own = self.translated.node.iter();
                let own = own.find(|own| own.is_ipv4() == peer.is_ipv4())?;
                SocketAddr::new(*own, peer.port())
            }
        };
        Some(real_peer(end, BackendMethod::Packet))
    }

    fn ask(&mut self, keys: &[LookupKey]) -> RealPeers {
        let mut known = RealPeers::new();
        let Some(table) = &mut self.table else {
            return known;
        };
        let began = Instant::now();
        let mut said = false;
        let mut left = keys;
        while let Some((batch, rest)) = next_batch(left, keys.len() - left.len())
            && began.elapsed() < LOOKUPS_WITHIN
        {
            left = rest;
            match table.ask(batch) {
                Ok(answers) => {
                    self.lookups.answered += batch.len() as u64;
                    let answers = batch.iter().zip(answers);
                    known.extend(answers.filter_map(|(key, answer)| {
                        let (local, peer) = (key.local, key.peer);
                        let end = answer?.other_end(key.protocol, local, peer)?;
                        Some((*key, real_peer(end, BackendMethod::Table)))
                    }));
                }
                Err(error) => {
                    self.lookups.failed += batch.len() as u64;
                    if !std::mem::replace(&mut said, true) {
                        tracing::warn!("{error:#}");
                    }
                }
            }
        }
        self.lookups.over_limit += left.len() as u64;
        known
    }
}

/// Those of pods and those of the node's own sockets, which are no interface's.
fn all_flows(drain: &Drain) -> impl Iterator<Item = &Flow> {
    let hosts = drain.host.flows.iter().map(|one| &one.flow);
    drain.flows.iter().chain(hosts)
}

/// The next keys to look up and those after them; `None` where none are left, or the limit of
/// one drain is reached.
fn next_batch(left: &[LookupKey], asked: usize) -> Option<(&[LookupKey], &[LookupKey])> {
    let most = BATCH
        .min(MOST_LOOKUPS.saturating_sub(asked))
        .min(left.len());
    (most > 0).then(|| left.split_at(most))
}

/// Questions in the order in which they are asked: the interfaces take turns, each with its flow
/// of the most bytes first. However many flows one pod has, the others come as early as if it had
/// few, and what lies beyond the limit are the smallest flows of those that have the most.
fn in_turns(drain: &Drain, unknown: &BTreeSet<LookupKey>) -> Vec<LookupKey> {
    let mut flows: BTreeMap<u32, BTreeMap<LookupKey, u64>> = BTreeMap::new();
    for flow in all_flows(drain) {
        let key = lookup_key(flow);
        if unknown.contains(&key) {
            let of_interface = flows.entry(flow.interface).or_default();
            *of_interface.entry(key).or_default() += flow.count.bytes;
        }
    }
    let mut turns = Vec::with_capacity(unknown.len());
    for (interface, keys) in flows {
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        let numbered = keys.into_iter().enumerate();
        turns.extend(numbered.map(|(turn, (key, _))| (turn, interface, key)));
    }
    turns.sort_unstable_by_key(|(turn, interface, _)| (*turn, *interface));
    turns.into_iter().map(|(.., key)| key).collect()
}

/// What to ask about a flow.
pub(super) fn lookup_key(flow: &Flow) -> LookupKey {
    LookupKey {
        protocol: flow.protocol,
        local: SocketAddr::new(flow.local, flow.local_port),
        peer: SocketAddr::new(flow.peer, flow.peer_port),
    }
}

/// The same flow without its ports: what fragments after the first are seen as.
fn pair(key: &LookupKey) -> LookupKey {
    LookupKey {
        protocol: key.protocol,
        local: SocketAddr::new(key.local.ip(), 0),
        peer: SocketAddr::new(key.peer.ip(), 0),
    }
}

/// Names fragments after the first: one belongs to a flow between the same addresses, which is
/// known where all these have the same other end. Where the drain has no such flow, the first
/// fragment came with the last one, which had the same to say.
fn name_fragments(keys: &BTreeSet<LookupKey>, known: &mut RealPeers, last: &RealPeers) {
    let pairs = pairs(keys, known);
    for fragment in keys.iter().filter(|key| !key.has_ports()) {
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
fn pairs(keys: &BTreeSet<LookupKey>, known: &RealPeers) -> HashMap<LookupKey, Option<RealPeer>> {
    let mut pairs = HashMap::new();
    for key in keys.iter().filter(|key| key.has_ports()) {
        let end = known.get(key).copied();
        let common = pairs.entry(pair(key)).or_insert(end);
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
mod tests;
