//! Who has an address now, everybody: what an explanation asks.

use std::{net::IpAddr, sync::Arc, time::Instant};

use zonemeter_model::cluster::{Endpoint, Name, Node, Pod, Service};

use super::{Book, Entry, FormerTenure};

/// Everybody who claims an address now, and since when as far as the agent knows.
#[derive(Debug)]
pub struct Claims<'a> {
    /// A pod with an address of its own.
    pub pod: Option<(&'a Arc<Entry<Pod>>, Instant)>,
    /// A machine.
    pub node: Option<(&'a Arc<Entry<Node>>, Instant)>,
    /// A Service.
    pub service: Option<(&'a Arc<Entry<Service>>, Instant)>,
}

impl Book {
    /// Who claims the address now.
    pub fn claims(&self, address: IpAddr) -> Claims<'_> {
        let pod = self.pods.present(address);
        let node = self.nodes.present(address);
        let service = self.services.present(address);
        Claims {
            pod: pod.map(|tenure| (&tenure.owner, tenure.since)),
            node: node.map(|tenure| (&tenure.owner, tenure.since)),
            service: service.map(|tenure| (&tenure.owner, tenure.since)),
        }
    }

    /// All pods, in no order.
    pub(crate) fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().map(|entry| &entry.object)
    }

    /// All Services, in no order.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().map(|entry| &entry.object)
    }

    /// Pods that had the address, oldest first.
    pub fn former_pods(&self, address: IpAddr) -> &[FormerTenure<Entry<Pod>>] {
        self.pods.former(address)
    }

    /// Since when the node has its addresses.
    pub fn node_since(&self, name: &str) -> Option<Instant> {
        let mut addresses = self.node(name)?.addresses.iter();
        addresses.find_map(|address| Some(self.nodes.present(*address)?.since))
    }

    /// The endpoints of all Services that have the address, sorted by Service.
    pub fn endpoints_at(&self, address: IpAddr) -> Vec<(Name, &Endpoint)> {
        let mut found: Vec<_> = self
            .endpoints
            .all()
            .filter(|(_, endpoint)| endpoint.address.to_canonical() == address)
            .collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    }

    /// Number of ready endpoints of a Service.
    pub fn ready_endpoints(&self, service: &Name) -> usize {
        self.endpoints.ready(service).count()
    }
}
