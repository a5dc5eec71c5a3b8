//! What EndpointSlices say about a Service: the last resort where conntrack does not say which
//! backend a flow went to.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use zonemeter_model::cluster::{Endpoint, EndpointSlice, Name};

use super::{
    Book,
    listed::{Entry, Listed},
};

/// Where something is: in one zone, on one node of it if that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Name of the zone.
    pub zone: Option<&'a Arc<str>>,
    /// Name of the node.
    pub node: Option<&'a str>,
}

/// The slices, also by the Service that they belong to.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    slices: Listed<Name, EndpointSlice>,
    by_service: HashMap<Name, HashSet<Name>>,
}

impl Endpoints {
    pub(super) fn len(&self) -> usize {
        self.slices.len()
    }

    pub(super) fn start_list(&mut self) {
        self.slices.start_list();
    }

    pub(super) fn end_list(&mut self) -> Vec<Name> {
        self.slices.end_list()
    }

    pub(super) fn put(&mut self, entry: Arc<Entry<EndpointSlice>>) {
        let slice = entry.object.name.clone();
        let service = service(&entry.object);
        if let Some(before) = self.slices.put(slice.clone(), entry) {
            self.forget(&before.object);
        }
        if let Some(service) = service {
            self.by_service.entry(service).or_default().insert(slice);
        }
    }

    pub(super) fn remove(&mut self, name: &Name) {
        if let Some(gone) = self.slices.remove(name) {
            self.forget(&gone.object);
        }
    }

    fn forget(&mut self, slice: &EndpointSlice) {
        let Some(service) = service(slice) else {
            return;
        };
        if let Some(slices) = self.by_service.get_mut(&service) {
            slices.remove(&slice.name);
            if slices.is_empty() {
                self.by_service.remove(&service);
            }
        }
    }

    /// All endpoints that belong to a Service, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = (Name, &Endpoint)> {
        let slices = self.slices.iter().map(|entry| &entry.object);
        slices
            .filter_map(|slice| Some((service(slice)?, &slice.endpoints)))
            .flat_map(|(service, endpoints)| {
                endpoints.iter().map(move |one| (service.clone(), one))
            })
    }

    /// The ready endpoints of a Service.
    pub(super) fn ready(&self, service: &Name) -> impl Iterator<Item = &Endpoint> {
        let slices = self.by_service.get(service).into_iter().flatten();
        slices
            .filter_map(|slice| self.slices.get(slice))
            .flat_map(|entry| &entry.object.endpoints)
            .filter(|endpoint| endpoint.ready)
    }
}

fn service(slice: &EndpointSlice) -> Option<Name> {
    Some(Name {
        namespace: Arc::clone(&slice.name.namespace),
        name: Arc::clone(slice.service.as_ref()?),
    })
}

impl Book {
    /// Where all ready endpoints of a Service are, if that is one place.
    pub fn place_of(&self, service: &Name) -> Option<Place<'_>> {
        let mut places = self.endpoints.ready(service).map(|endpoint| Place {
            zone: endpoint
                .zone
                .as_ref()
                .or_else(|| self.zone(endpoint.node.as_deref()?)),
            node: endpoint.node.as_deref(),
        });
        let first = places.next()?;
        let common = places.try_fold(first, |common, place| {
            (common.zone == place.zone).then(|| Place {
                zone: common.zone,
                node: common.node.filter(|node| place.node == Some(*node)),
            })
        })?;
        common.zone.is_some().then_some(common)
    }
}
