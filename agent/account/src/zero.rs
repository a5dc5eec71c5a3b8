//! Series of a local pod at 0 before its first byte.
//!
//! Prometheus's `increase()` does not see the first value of a series, so the bytes of a pod that
//! lives for a few scrapes would be in no query although the counter is right. A series that was
//! scraped at 0 before has no such first value. Shown for each pod of this node that may send, in
//! both directions: its own node, its zone, each other zone of the cluster, the Internet. The
//! workload family has none: who the peers will be is not known.

use std::{
    collections::{BTreeSet, HashSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use zonemeter_model::{
    cluster::Pod,
    snapshot::{PodLabels, Scope, Via},
    traffic::Direction,
};
use zonemeter_naming::{
    egress::Exit,
    interfaces::Interfaces,
    resolve::{Names, Peer},
    scope::{Class, by_zone},
    special::Range,
};

/// Public addresses, for the way to such.
const ANYWHERE_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1));
const ANYWHERE_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111));

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
        let labels = new.flat_map(|(_, pod)| of_pod(pod, own, names)).collect();
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

fn of_pod(pod: &Pod, own: &Arc<str>, names: &Names) -> Vec<PodLabels> {
    let here = |scope| (scope, Arc::clone(own), Via::Unset);
    let mut ends = vec![here(Scope::IntraNode), here(Scope::IntraZone)];
    ends.extend(to_internet(pod, names));
    let zones = names.book.zones().into_iter();
    let others = zones.filter(|zone| *zone != own);
    ends.extend(others.map(|zone| (by_zone(names, Some(zone)), Arc::clone(zone), Via::Unset)));
    let both = ends
        .into_iter()
        .flat_map(|end| Direction::ALL.map(|direction| (direction, end.clone())));
    both.map(|(direction, (scope, peer_zone, via))| PodLabels {
        namespace: Arc::clone(&pod.name.namespace),
        pod: Arc::clone(&pod.name.name),
        zone: Arc::clone(own),
        direction,
        scope,
        peer_zone,
        via,
    })
    .collect()
}

/// By each way that its addresses have; one is enough where it has none yet.
fn to_internet(pod: &Pod, names: &Names) -> BTreeSet<(Scope, Arc<str>, Via)> {
    let somewhere = [ANYWHERE_V4, ANYWHERE_V6];
    let exits = pod.addresses.iter().map(|address| {
        let to = somewhere[usize::from(address.to_canonical().is_ipv6())];
        names.exit_from(*address, to, None)
    });
    let exits: Vec<Exit> = exits.collect();
    let exits = if exits.is_empty() {
        vec![Exit::default()]
    } else {
        exits
    };
    let classes = exits.into_iter().map(|exit| {
        let Class {
            scope,
            peer_zone,
            via,
            ..
        } = Class::of(names, Peer::Range(Range::Global), exit);
        (scope, peer_zone, via)
    });
    classes.collect()
}
