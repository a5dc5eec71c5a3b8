//! The node itself in what people read: its flows of the last drain by name, and why a unit or a pod
//! of the host's network has its name.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Instant};

use zonemeter_model::{
    recent::{Answered, Evidence, Explanation, Match, Party, Source},
    snapshot::{HostKind, HostParty},
    text::visible,
    traffic::Drain,
};
use zonemeter_naming::{explain, held::TimedFlow, scope::Class};

use super::{Account, backends, hosts, recent::FlowOutcome};

/// Cgroups of one unit or pod that are told.
const MOST_CGROUPS: usize = 10;

impl Account {
    /// Writes down what the node itself sent and received in this drain.
    pub(super) fn record_hosts(&mut self, drain: &Drain) {
        if !self.recorder.records {
            return;
        }
        let pending = self.hosts.is_waiting();
        let mut parties: HashMap<u64, Arc<Party>> = HashMap::new();
        for one in &drain.host.flows {
            let local = parties
                .entry(one.cgroup)
                .or_insert_with(|| Arc::new(self.shown(&self.hosts.party(one.cgroup))));
            let local = Arc::clone(local);
            let flow = TimedFlow::within(&one.flow, drain.from, drain.until);
            let peer = hosts::peer(&self.names, &flow);
            let exit = self.names.exit(&flow, peer);
            let known = self.classes.classify(&self.names, peer, exit);
            let Class { scope, via, .. } = *self.classes.get(known.class);
            let placed = FlowOutcome {
                scope,
                via,
                local: Some(local),
                peer: known.party,
                peer_address: flow.flow.peer,
                service: backends::service(&self.names, &flow).cloned(),
                pending,
            };
            self.recorder.add(&one.flow, placed);
        }
    }

    /// Adds units of this name, and to pods of the host's network the cgroups by which they are
    /// known.
    pub(super) fn add_hosts_named(&self, name: &str, answered: &mut Answered, now: Instant) {
        let mut parties: Vec<HostParty> = Vec::new();
        for cgroup in self.hosts.present() {
            if !parties.contains(cgroup.party) {
                parties.push(cgroup.party.clone());
            }
        }
        parties.push(self.hosts.party(0));
        for party in &parties {
            if party.kind == HostKind::Pod {
                for found in &mut answered.matches {
                    self.tell_of_pod(found, party, now);
                }
            } else if *party.as_end().name == *name {
                answered.total += 1;
                answered.matches.push(self.matching(party, now));
            }
        }
    }

    fn addresses(&self) -> &[IpAddr] {
        let node = self.names.book.node(&self.names.home);
        node.map_or(&[], |node| &node.addresses)
    }

    /// All addresses of a pod of the host's network are the node's; of its workload, which may be on
    /// other nodes, too, those of this node.
    fn tell_of_pod(&self, found: &mut Match, party: &HostParty, now: Instant) {
        let is_pod = is_pod(party, found);
        if is_pod || is_workload(party, found) {
            let explained = found.explained.iter_mut();
            explained
                .filter(|one| is_pod || self.addresses().contains(&one.address))
                .for_each(|one| self.tell(one, party, now));
        }
    }

    /// A unit, with the node's addresses as its own.
    fn matching(&self, party: &HostParty, now: Instant) -> Match {
        let addresses = self.addresses();
        let explained = addresses.iter().map(|address| {
            let mut one = explain::explain(&self.names, *address, now);
            self.tell(&mut one, party, now);
            one
        });
        let shown = party.as_end();
        Match {
            kind: shown.kind,
            namespace: Arc::clone(&party.namespace),
            name: shown.name,
            addresses: addresses.len(),
            explained: explained.collect(),
        }
    }

    /// Says by what the node's sockets are this one's.
    fn tell(&self, explanation: &mut Explanation, party: &HostParty, now: Instant) {
        let of = |cgroup: &hosts::CgroupOwner<'_>| cgroup.party == party;
        let cgroups = self.hosts.present().into_iter().filter(of);
        let mut evidence: Vec<Evidence> = cgroups
            .take(MOST_CGROUPS)
            .map(|cgroup| Evidence {
                source: Source::Cgroup,
                says: format!("sockets of {} (id {})", visible(cgroup.path), cgroup.id),
                age: Some(now.saturating_duration_since(cgroup.since)),
                decides: true,
            })
            .collect();
        if party.kind == HostKind::Kernel {
            evidence.push(Evidence {
                source: Source::Cgroup,
                says: "no socket of a process: RST, ICMP, neighbour discovery, NFS".to_owned(),
                age: None,
                decides: true,
            });
        }
        evidence.append(&mut explanation.evidence);
        explanation.evidence = evidence;
        explanation.party = self.shown(party);
    }

    /// As an end of a flow.
    fn shown(&self, party: &HostParty) -> Party {
        Party {
            namespace: Arc::clone(&party.namespace),
            pod: Arc::clone(&party.pod),
            workload: party.as_end(),
            node: Arc::clone(&self.names.home),
            zone: self.names.home_zone().cloned().unwrap_or_default(),
        }
    }
}

fn is_workload(party: &HostParty, found: &Match) -> bool {
    let of = party.as_end();
    found.kind == of.kind && found.namespace == party.namespace && found.name == of.name
}

/// Whether what was found is this pod, and not a workload of which it is one of many.
fn is_pod(party: &HostParty, found: &Match) -> bool {
    &*found.kind == "Pod" && found.namespace == party.namespace && found.name == party.pod
}
