//! What each source says about an address, in the order in which they are asked.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use zonemeter_model::{
    cluster::{Name, Node, Pod, Service},
    recent::{Evidence, Source},
    snapshot::Via,
    text::visible,
};

use super::super::{
    book::{Entry, FormerTenure, Place},
    egress::Exit,
    networks::Network,
    resolve::{Names, Peer},
    scope::{Class, Located, is_told_by_address, lies},
    special::Range,
};

/// Asks every source about one address.
pub(super) struct EvidenceSources<'a> {
    pub(super) names: &'a Names,
    pub(super) address: IpAddr,
    pub(super) now: Instant,
}

impl EvidenceSources<'_> {
    /// What everybody says; `peer` is what was decided.
    pub(super) fn evidence(&self, peer: Peer<'_>) -> Vec<Evidence> {
        let claims = self.names.book.claims(self.address);
        let mut said = Vec::new();
        if let Some((pod, since)) = claims.pod {
            said.extend(self.pod(pod, since, matches!(peer, Peer::Pod(_))));
        }
        if let Some((node, since)) = claims.node {
            said.push(self.node(&node.object, Some(since), matches!(peer, Peer::Node(_))));
        }
        if let Some((service, since)) = claims.service {
            said.extend(self.service(service, since, peer));
        }
        said.extend(self.endpoints());
        said.extend(self.former_pods());
        // A pod or a node without a zone is where its address lies.
        let lies = self.lies(peer);
        let in_range = matches!(lies, Some(Located::Private));
        said.extend(
            self.network(matches!(peer, Peer::Network(_)) || lies == Some(Located::Network)),
        );
        said.extend(self.vpc(matches!(peer, Peer::Vpc) || lies == Some(Located::Vpc)));
        said.push(self.range(matches!(peer, Peer::Range(_)) || in_range));
        said
    }

    fn lies(&self, peer: Peer<'_>) -> Option<Located> {
        is_told_by_address(self.names, peer)
            .then(|| lies(self.names, self.address))
            .flatten()
    }

    /// The address that was asked for is only another spelling of this one.
    pub(super) fn stands_for(&self, asked: IpAddr) -> Evidence {
        let says = format!("{asked} stands for the IPv4 address {}", self.address);
        self.say(Source::SpecialRange, says, None, false)
    }

    /// A pod, and the node that gives it its zone.
    fn pod(&self, pod: &Entry<Pod>, since: Instant, decides: bool) -> Vec<Evidence> {
        let Pod { name, node, .. } = &pod.object;
        let on = node
            .as_ref()
            .map_or("no node yet".to_owned(), |node| format!("node {node}"));
        let says = format!("{} on {on}", qualified(name));
        let mut said = vec![self.say(Source::Pod, says, Some(since), decides)];
        if let Some(node) = node.as_ref().and_then(|node| self.names.book.node(node)) {
            let since = self.names.book.node_since(&node.name);
            said.push(self.node(node, since, decides));
        }
        said
    }

    fn node(&self, node: &Node, since: Option<Instant>, decides: bool) -> Evidence {
        let home = match (node.name == self.names.home, node.hybrid) {
            (true, _) => "this node ",
            (false, true) => "hybrid node ",
            (false, false) => "node ",
        };
        let zone = node.zone.as_deref();
        let zone = zone.map_or("zone not known".to_owned(), |zone| format!("zone {zone}"));
        let says = format!("{home}{}, {zone}", node.name);
        self.say(Source::Node, says, since, decides)
    }

    /// A Service, and where its endpoints are.
    fn service(&self, service: &Entry<Service>, since: Instant, peer: Peer<'_>) -> Vec<Evidence> {
        let name = &service.object.name;
        let decides = matches!(peer, Peer::Service(_) | Peer::ServiceIn(..));
        let says = format!(
            "{}: where conntrack names a flow's backend, that one decides",
            qualified(name)
        );
        let ready = self.names.book.ready_endpoints(name);
        let (placed, endpoints) = match peer {
            Peer::ServiceIn(_, Place { zone, node }) => {
                let place = node.map(|node| format!("on node {node}"));
                let zone = zone.map_or("", |zone| zone);
                let place = place.unwrap_or_else(|| format!("in zone {zone}"));
                (true, format!("all {ready} ready endpoints are {place}"))
            }
            Peer::Pod(_)
            | Peer::Node(_)
            | Peer::Service(_)
            | Peer::Network(_)
            | Peer::Vpc
            | Peer::Range(_)
            | Peer::Other => (false, format!("{ready} ready endpoints, not in one zone")),
        };
        vec![
            self.say(Source::Service, says, Some(since), decides),
            self.say(Source::EndpointSlice, endpoints, None, placed),
        ]
    }

    /// Services that lead to the address.
    fn endpoints(&self) -> Vec<Evidence> {
        let found = self.names.book.endpoints_at(self.address);
        let say = |(service, ready): (&Name, bool)| {
            let ready = if ready { "ready" } else { "unready" };
            let says = format!("{ready} endpoint of Service {}", qualified(service));
            self.say(Source::EndpointSlice, says, None, false)
        };
        found
            .iter()
            .map(|(service, endpoint)| say((service, endpoint.ready)))
            .collect()
    }

    /// Pods that had the address in the last minutes, the last one first.
    fn former_pods(&self) -> Vec<Evidence> {
        let former = self.names.book.former_pods(self.address).iter().rev();
        let say = |past: &FormerTenure<Entry<Pod>>| {
            let says = format!(
                "{} had it until {} s ago",
                qualified(&past.tenure.owner.object.name),
                self.age(past.until).as_secs()
            );
            self.say(Source::Pod, says, Some(past.tenure.since), false)
        };
        former.map(say).collect()
    }

    fn network(&self, decides: bool) -> Option<Evidence> {
        let (range, network) = self.names.networks.find(self.address)?;
        let Network {
            name,
            zone,
            zone_id,
            scope,
            region,
            ..
        } = network;
        let place = zone.as_ref().or(zone_id.as_ref());
        let place = place.map(|zone| format!(", zone {zone}"));
        let region = region.as_ref().map(|region| format!(", region {region}"));
        let scope = scope.map(|scope| format!(", scope {}", scope.name()));
        let says = format!(
            "{range} {name}{}{}{}",
            place.unwrap_or_default(),
            region.unwrap_or_default(),
            scope.unwrap_or_default()
        );
        let since = self.names.networks_since;
        Some(self.say(Source::NetworksFile, says, since, decides))
    }

    /// The subnet whose route table tells by what traffic of this node's pods goes there.
    pub(super) fn way(&self, exit: Exit, class: &Class) -> Option<Evidence> {
        let ways = self.names.networks.ways(exit.subnet?)?;
        let via = Some(class.via).filter(|via| *via != Via::Unset)?;
        let zone = Some(&*class.peer_zone).filter(|zone| via == Via::Nat && !zone.is_empty());
        let zone = zone.map_or(String::new(), |zone| format!(" in {zone}"));
        let says = format!(
            "subnet {}: packets of this node's pods go there by {}{zone}",
            ways.name,
            via.name()
        );
        let since = self.names.networks_since;
        Some(self.say(Source::NetworksFile, says, since, true))
    }

    fn vpc(&self, decides: bool) -> Option<Evidence> {
        let range = self.names.networks.vpc_range(self.address)?;
        let says = format!("{range} is a range of the VPC");
        let since = self.names.networks_since;
        Some(self.say(Source::NetworksFile, says, since, decides))
    }

    fn range(&self, decides: bool) -> Evidence {
        let name = Range::of(self.address).name();
        match Range::network_of(self.address) {
            Some(network) => {
                let says = format!("{network} {name}");
                self.say(Source::SpecialRange, says, None, decides)
            }
            None => {
                let says = format!("{name}: in no special-purpose range");
                self.say(Source::Default, says, None, decides)
            }
        }
    }

    fn say(&self, source: Source, says: String, since: Option<Instant>, decides: bool) -> Evidence {
        Evidence {
            source,
            says: visible(&says).into_owned(),
            age: since.map(|since| self.age(since)),
            decides,
        }
    }

    fn age(&self, since: Instant) -> Duration {
        self.now.saturating_duration_since(since)
    }
}

fn qualified(name: &Name) -> String {
    format!("{}/{}", name.namespace, name.name)
}
