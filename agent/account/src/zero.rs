//! Series of a local pod at 0 before its first byte.
//!
//! Prometheus's `increase()` does not see the first value of a series, so the bytes of a pod that
//! lives for a few scrapes would be in no query although the counter is right. A series that was
//! scraped at 0 before has no such first value. Shown for each pod of this node that may send, in
//! both directions: its own node, its zone, each other zone of the cluster, the Internet. The
//! workload family has none: who the peers will be is not known.

use std::{collections::HashSet, sync::Arc};

use zonemeter_model::{
    cluster::Pod,
    snapshot::{PodLabels, Scope},
    traffic::Direction,
};
use zonemeter_naming::{book::Book, interfaces::Interfaces, resolve::Names};

/// Pods whose series at 0 have been shown, by the id of their entry.
#[derive(Debug, Default)]
pub(crate) struct ShownAtZero {
    pods: HashSet<u64>,
}

impl ShownAtZero {
    /// The labels of series that have not been shown yet; none while the node's zone is not known.
    pub(crate) fn next(&mut self, names: &Names) -> Vec<PodLabels> {
        let Some(own) = names.home_zone() else {
            return Vec::new();
        };
        let living = living(&names.interfaces).collect::<Vec<_>>();
        let new = living.iter().filter(|(id, _)| !self.pods.contains(id));
        let labels = new
            .flat_map(|(_, pod)| of_pod(pod, own, &names.book))
            .collect();
        self.pods = living.iter().map(|(id, _)| *id).collect();
        labels
    }

    /// Zones have changed: every pod may have new ones.
    pub(crate) fn clear(&mut self) {
        self.pods.clear();
    }
}

fn living(interfaces: &Interfaces) -> impl Iterator<Item = (u64, &Pod)> {
    let pods = interfaces.pods().map(|pod| (pod.id, &pod.object));
    pods.filter(|(_, pod)| !pod.finished)
}

fn of_pod(pod: &Pod, own: &Arc<str>, book: &Book) -> Vec<PodLabels> {
    let mut ends = vec![
        (Scope::IntraNode, Arc::clone(own)),
        (Scope::IntraZone, Arc::clone(own)),
        (Scope::Internet, Arc::default()),
    ];
    let others = book.zones().into_iter().filter(|zone| *zone != own);
    ends.extend(others.map(|zone| (Scope::CrossZone, Arc::clone(zone))));
    let both = ends
        .into_iter()
        .flat_map(|end| Direction::ALL.map(|direction| (direction, end.clone())));
    both.map(|(direction, (scope, peer_zone))| PodLabels {
        namespace: Arc::clone(&pod.name.namespace),
        pod: Arc::clone(&pod.name.name),
        zone: Arc::clone(own),
        direction,
        scope,
        peer_zone,
    })
    .collect()
}
