//! The address book: which pod, node or Service has which address, and had it before.
//!
//! Fed by the cluster's stream of changes; every question takes a time interval. Pods come before
//! nodes and nodes before Services where an address has several owners. A pod of the host's
//! network never owns an address (the peer is the Node), a finished one has given its own up, a
//! terminating one still sends and keeps it.

mod directory;
mod endpoints;
mod listed;
mod present;
mod tenure;

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Instant};

use zonemeter_model::cluster::{Change, EndpointSlice, Kind, Name, Node, Object, Pod, Service};

use self::{
    directory::{Common, Directory},
    endpoints::Endpoints,
};
pub use self::{endpoints::Place, listed::Entry, tenure::FormerTenure};

/// The cluster's objects by name and by address.
#[derive(Debug, Default)]
pub struct Book {
    pods: Directory<Pod>,
    nodes: Directory<Node>,
    services: Directory<Service>,
    endpoints: Endpoints,
    common: Common,
}

/// Who has an address.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// A pod with an address of its own.
    Pod(&'a Arc<Entry<Pod>>),
    /// A machine, or a pod of its network.
    Node(&'a Arc<Entry<Node>>),
    /// A Service: the backend is not known here.
    Service(&'a Arc<Entry<Service>>),
}

/// What a change meant for those who remember something of the book.
#[derive(Debug, Default)]
pub struct BookChanges {
    /// This pod exists with these contents.
    pub pod: Option<Arc<Entry<Pod>>>,
    /// These pods are gone.
    pub pods_gone: Vec<Arc<Entry<Pod>>>,
    /// A node came, went or changed: zones may have changed.
    pub nodes_changed: bool,
    /// A Service came, went or changed: its addresses may have changed.
    pub services_changed: bool,
}

impl Book {
    /// Takes in one step of the feed.
    pub fn apply(&mut self, change: Change, now: Instant) -> BookChanges {
        match change {
            Change::ListStarted(kind) => self.start_list(kind),
            Change::Applied(object) => return self.apply_object(object, now),
            Change::Deleted(kind, name) => return self.delete(kind, &name, now),
            Change::ListDone(kind) => return self.end_list(kind, now),
        }
        BookChanges::default()
    }

    /// Who had the address during the interval.
    pub fn owner(&self, address: IpAddr, from: Instant, until: Instant) -> Option<Owner<'_>> {
        let pod = || self.pods.owner(address, from, until).map(Owner::Pod);
        let node = || self.nodes.owner(address, from, until).map(Owner::Node);
        let service = || {
            let owner = self.services.owner(address, from, until);
            owner.map(Owner::Service)
        };
        pod().or_else(node).or_else(service)
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name).map(|entry| &entry.object)
    }

    /// True once all nodes were listed.
    pub fn knows_all_nodes(&self) -> bool {
        self.nodes.is_complete()
    }

    /// True once all pods were listed.
    pub fn knows_all_pods(&self) -> bool {
        self.pods.is_complete()
    }

    /// The zone of the node of this name, where both are known.
    pub fn zone(&self, node: &str) -> Option<&Arc<str>> {
        self.node(node)?.zone.as_ref()
    }

    /// The zones of all nodes.
    pub fn zones(&self) -> BTreeSet<&Arc<str>> {
        let nodes = self.nodes.iter().map(|entry| &entry.object);
        nodes.filter_map(|node| node.zone.as_ref()).collect()
    }

    /// The zone with this id, as the cluster's nodes name it.
    pub fn zone_of_id(&self, zone_id: &str) -> Option<&Arc<str>> {
        let mut nodes = self.nodes.iter().map(|entry| &entry.object);
        nodes
            .find(|node| node.zone_id.as_deref() == Some(zone_id))?
            .zone
            .as_ref()
    }

    /// Addresses of all Services.
    pub fn service_addresses(&self) -> impl Iterator<Item = &IpAddr> {
        self.services
            .iter()
            .flat_map(|service| &service.object.addresses)
    }

    /// Number of objects, in the order of [`Kind::ALL`].
    pub fn object_counts(&self) -> [u64; 4] {
        [
            self.nodes.len(),
            self.pods.len(),
            self.services.len(),
            self.endpoints.len(),
        ]
        .map(|count| count as u64)
    }

    /// Forgets former owners that no flow can belong to any more; `needed` is where the oldest
    /// interval of a held flow begins.
    pub fn prune(&mut self, now: Instant, needed: Option<Instant>) {
        self.pods.prune(now, needed);
        self.nodes.prune(now, needed);
        self.services.prune(now, needed);
    }

    fn start_list(&mut self, kind: Kind) {
        match kind {
            Kind::Node => self.nodes.start_list(),
            Kind::Pod => self.pods.start_list(),
            Kind::Service => self.services.start_list(),
            Kind::EndpointSlice => self.endpoints.start_list(),
        }
    }

    fn end_list(&mut self, kind: Kind, now: Instant) -> BookChanges {
        let missing: Vec<Name> = match kind {
            Kind::Node => self
                .nodes
                .end_list()
                .into_iter()
                .map(cluster_wide)
                .collect(),
            Kind::Pod => self.pods.end_list(),
            Kind::Service => self.services.end_list(),
            Kind::EndpointSlice => self.endpoints.end_list(),
        };
        let mut news = BookChanges::default();
        for name in missing {
            let one = self.delete(kind, &name, now);
            news.pods_gone.extend(one.pods_gone);
            news.nodes_changed |= one.nodes_changed;
            news.services_changed |= one.services_changed;
        }
        news
    }

    fn apply_object(&mut self, object: Object, now: Instant) -> BookChanges {
        let mut news = BookChanges::default();
        let common = &mut self.common;
        match object {
            Object::Node(node) => {
                news.nodes_changed = self.nodes.apply(node, common, now).is_some();
            }
            Object::Pod(pod) => news.pod = self.pods.apply(pod, common, now),
            Object::Service(service) => {
                news.services_changed = self.services.apply(service, common, now).is_some();
            }
            Object::EndpointSlice(slice) => self.apply_slice(slice),
        }
        news
    }

    fn delete(&mut self, kind: Kind, name: &Name, now: Instant) -> BookChanges {
        let mut news = BookChanges::default();
        match kind {
            Kind::Node => news.nodes_changed = self.nodes.remove(&name.name, now).is_some(),
            Kind::Pod => news.pods_gone.extend(self.pods.remove(name, now)),
            Kind::Service => news.services_changed = self.services.remove(name, now).is_some(),
            Kind::EndpointSlice => self.endpoints.remove(name),
        }
        news
    }

    fn apply_slice(&mut self, mut slice: EndpointSlice) {
        let strings = &mut self.common.strings;
        strings.share(&mut slice.name.namespace);
        for endpoint in &mut slice.endpoints {
            let names = endpoint.zone.iter_mut().chain(&mut endpoint.node);
            names.for_each(|name| strings.share(name));
        }
        self.endpoints.put(self.common.entry(slice));
    }
}

fn cluster_wide(name: Arc<str>) -> Name {
    Name {
        namespace: Arc::default(),
        name,
    }
}
