//! The address book: which pod, node or Service has which address, and had it before.
//!
//! Fed by the cluster's stream of changes; every question takes a time interval. Pods come before
//! nodes and nodes before Services where an address has several owners. A pod of the host's
//! network never owns an address (the peer is the Node), a finished one has given its own up, a
//! terminating one still sends and keeps it.

mod endpoints;
mod listed;
mod nodes;
mod present;
mod strings;
mod tenure;

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Instant};

use zonemeter_model::cluster::{Change, EndpointSlice, Kind, Name, Node, Object, Pod, Service};

use self::{endpoints::Endpoints, listed::Listed, strings::Strings, tenure::Tenures};
pub use self::{endpoints::Place, listed::Entry, tenure::FormerTenure};

/// The cluster's objects by name and by address.
#[derive(Debug, Default)]
pub struct Book {
    pods: Listed<Name, Pod>,
    nodes: Listed<Arc<str>, Node>,
    services: Listed<Name, Service>,
    endpoints: Endpoints,
    pod_addresses: Tenures<Entry<Pod>>,
    node_addresses: Tenures<Entry<Node>>,
    service_addresses: Tenures<Entry<Service>>,
    strings: Strings,
    last_id: u64,
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
pub struct News {
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
    pub fn apply(&mut self, change: Change, now: Instant) -> News {
        match change {
            Change::ListStarted(kind) => self.start_list(kind),
            Change::Applied(object) => return self.apply_object(object, now),
            Change::Deleted(kind, name) => return self.delete(kind, &name, now),
            Change::ListDone(kind) => return self.end_list(kind, now),
        }
        News::default()
    }

    /// Who had the address during the interval.
    pub fn owner(&self, address: IpAddr, from: Instant, until: Instant) -> Option<Owner<'_>> {
        let pod = || {
            self.pod_addresses
                .owner(address, from, until)
                .map(Owner::Pod)
        };
        let node = || {
            self.node_addresses
                .owner(address, from, until)
                .map(Owner::Node)
        };
        let service = || {
            self.service_addresses
                .owner(address, from, until)
                .map(Owner::Service)
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
        self.pod_addresses.prune(now, needed);
        self.node_addresses.prune(now, needed);
        self.service_addresses.prune(now, needed);
    }

    fn start_list(&mut self, kind: Kind) {
        match kind {
            Kind::Node => self.nodes.start_list(),
            Kind::Pod => self.pods.start_list(),
            Kind::Service => self.services.start_list(),
            Kind::EndpointSlice => self.endpoints.start_list(),
        }
    }

    fn end_list(&mut self, kind: Kind, now: Instant) -> News {
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
        let mut news = News::default();
        for name in missing {
            let one = self.delete(kind, &name, now);
            news.pods_gone.extend(one.pods_gone);
            news.nodes_changed |= one.nodes_changed;
            news.services_changed |= one.services_changed;
        }
        news
    }

    fn apply_object(&mut self, object: Object, now: Instant) -> News {
        match object {
            Object::Node(node) => self.apply_node(node, now),
            Object::Pod(pod) => self.apply_pod(pod, now),
            Object::Service(service) => self.apply_service(service, now),
            Object::EndpointSlice(slice) => self.apply_slice(slice),
        }
    }

    fn delete(&mut self, kind: Kind, name: &Name, now: Instant) -> News {
        match kind {
            Kind::Node => self.delete_node(name, now),
            Kind::Pod => self.delete_pod(name, now),
            Kind::Service => self.delete_service(name, now),
            Kind::EndpointSlice => {
                self.endpoints.remove(name);
                News::default()
            }
        }
    }

    fn apply_pod(&mut self, mut pod: Pod, now: Instant) -> News {
        if self
            .pods
            .get(&pod.name)
            .is_some_and(|entry| entry.object == pod)
        {
            self.pods.confirm(&pod.name);
            return News::default();
        }
        self.strings.share_pod(&mut pod);
        let key = pod.name.clone();
        let after = self.entry(pod);
        let before = self.pods.put(key, Arc::clone(&after));
        self.settle_pod(before.as_ref(), &after, now);
        News {
            pod: Some(after),
            ..News::default()
        }
    }

    fn settle_pod(
        &mut self,
        before: Option<&Arc<Entry<Pod>>>,
        after: &Arc<Entry<Pod>>,
        now: Instant,
    ) {
        let new = own_addresses(&after.object);
        match before {
            Some(before) if is_same_pod(&before.object, &after.object) => {
                let old = own_addresses(&before.object);
                self.pod_addresses.settle((before, old), (after, new), now);
            }
            Some(_) | None => {
                before.iter().for_each(|before| self.release(before, now));
                self.pod_addresses.take_all(new, after, now);
            }
        }
    }

    fn delete_pod(&mut self, name: &Name, now: Instant) -> News {
        let Some(gone) = self.pods.remove(name) else {
            return News::default();
        };
        self.release(&gone, now);
        News {
            pods_gone: vec![gone],
            ..News::default()
        }
    }

    /// The pod gives up its addresses. One that it had taken from a pod that still claims it (the
    /// API had told of the newer pod first) goes back.
    fn release(&mut self, gone: &Arc<Entry<Pod>>, now: Instant) {
        for address in own_addresses(&gone.object) {
            if self.pod_addresses.give_up(*address, gone, now)
                && let Some(claimant) = self.claimant(*address, gone)
            {
                self.pod_addresses.take(*address, claimant, now);
            }
        }
    }

    fn claimant(&self, address: IpAddr, gone: &Entry<Pod>) -> Option<Arc<Entry<Pod>>> {
        let former = self.pod_addresses.former(address).iter().rev();
        let present = former.filter_map(|past| self.pods.get(&past.tenure.owner.object.name));
        let mut claimants = present.filter(|pod| own_addresses(&pod.object).contains(&address));
        claimants
            .find(|pod| pod.object.name != gone.object.name)
            .cloned()
    }

    fn apply_service(&mut self, service: Service, now: Instant) -> News {
        if self
            .services
            .get(&service.name)
            .is_some_and(|entry| entry.object == service)
        {
            self.services.confirm(&service.name);
            return News::default();
        }
        let mut service = service;
        self.strings.share(&mut service.name.namespace);
        let key = service.name.clone();
        let after = self.entry(service);
        let new = &after.object.addresses[..];
        match self.services.put(key, Arc::clone(&after)) {
            Some(before) => {
                let old = (&before, &before.object.addresses[..]);
                self.service_addresses.settle(old, (&after, new), now);
            }
            None => self.service_addresses.take_all(new, &after, now),
        }
        News {
            services_changed: true,
            ..News::default()
        }
    }

    fn delete_service(&mut self, name: &Name, now: Instant) -> News {
        let Some(gone) = self.services.remove(name) else {
            return News::default();
        };
        for address in &gone.object.addresses {
            self.service_addresses.give_up(*address, &gone, now);
        }
        News {
            services_changed: true,
            ..News::default()
        }
    }

    fn apply_slice(&mut self, mut slice: EndpointSlice) -> News {
        self.strings.share(&mut slice.name.namespace);
        for endpoint in &mut slice.endpoints {
            let names = endpoint.zone.iter_mut().chain(&mut endpoint.node);
            names.for_each(|name| self.strings.share(name));
        }
        let entry = self.entry(slice);
        self.endpoints.put(entry);
        News::default()
    }

    fn entry<T>(&mut self, object: T) -> Arc<Entry<T>> {
        self.last_id += 1;
        Arc::new(Entry {
            id: self.last_id,
            object,
        })
    }
}

/// The addresses that a pod owns.
fn own_addresses(pod: &Pod) -> &[IpAddr] {
    if pod.host_network || pod.finished {
        &[]
    } else {
        &pod.addresses
    }
}

/// False for a namesake: a pod that was replaced, or moved to another node.
fn is_same_pod(before: &Pod, after: &Pod) -> bool {
    before.uid == after.uid && (before.node == after.node || before.node.is_none())
}

fn cluster_wide(name: Arc<str>) -> Name {
    Name {
        namespace: Arc::default(),
        name,
    }
}
