//! Which pod of this node is behind which host-side veth.
//!
//! In this order, each way only where the ones before it say nothing:
//!
//! 1. by name: the veth's name holds the hash of one pod of this node, and of no other (see
//!    [`super::veth`]). The hash of a further NIC tells nothing by itself, because pod `web.1` has
//!    on its first NIC what pod `web` has on its second: the network namespace decides;
//! 2. by another veth of the same pod, which leads into the same network namespace: the IPv4
//!    egress of an IPv6 cluster has a name out of the blue, and addresses that are the same on
//!    every node;
//! 3. by route: the node sends a pod's address there;
//! 4. by address: packets for the address of a pod of this node were delivered there and nowhere
//!    else, and no other interface is that pod's. What a pod sends says nothing: it may write any
//!    source address.
//!
//! Once the first veth has been found by name, this node's names are known to be hashes: a veth
//! whose hash fits no pod then waits for its pod and is not read by route or address, because an
//! address may still stand under its last owner. A veth belongs to one pod for life, so what is
//! found once stays.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use zonemeter_model::{
    cluster::{Name, Pod},
    recent::FoundBy,
    traffic::{Count, Interface, InterfaceChange},
};

use super::{book::Entry, veth::VethHash};

/// How names begin of veths of pods that have a branch interface: amazon-vpc-cni-k8s
/// `pkg/sgpp/utils.go`, in the mode `strict`.
const BRANCH: &str = "vlan";

/// The veths of this node and the pods that may be behind them.
#[derive(Debug, Default)]
pub struct Interfaces {
    veths: HashMap<u32, Veth>,
    /// Pods of this node that have a veth, by its hash.
    pods: BTreeMap<(VethHash, Name), Arc<Entry<Pod>>>,
    /// Veths that have not left, by the namespace they lead into.
    together: HashMap<i32, BTreeSet<u32>>,
    names_are_hashes: bool,
    before_attach: [Count; 2],
}

/// A host-side veth.
#[derive(Debug, Default)]
struct Veth {
    /// As it was announced.
    announced: Option<Interface>,
    /// What it carried before counting began, once that was read.
    before_attach: [Count; 2],
    /// The pod behind it, once known.
    pod: Option<(Arc<Entry<Pod>>, FoundBy)>,
    hash: Option<VethHash>,
    /// Stands for the network namespace, whose id the kernel gives to another one later: the
    /// first veth that was seen to lead into it.
    group: Option<u32>,
    /// What the node routes to it.
    routes: Vec<IpAddr>,
    gone_at: Option<Instant>,
}

impl Interfaces {
    /// Takes in that an interface came or went.
    pub fn apply(&mut self, change: InterfaceChange, now: Instant) {
        match change {
            InterfaceChange::Attached(interface) => self.attach(interface),
            InterfaceChange::Routed(index, address) => {
                if let Some(veth) = self.veths.get_mut(&index)
                    && !veth.routes.contains(&address)
                {
                    veth.routes.push(address);
                }
            }
            InterfaceChange::Unrouted(index, address) => {
                if let Some(veth) = self.veths.get_mut(&index) {
                    veth.routes.retain(|route| *route != address);
                }
            }
            InterfaceChange::Left(index) => self.leave(index),
            InterfaceChange::Gone(index) => {
                self.leave(index);
                if let Some(veth) = self.veths.get_mut(&index) {
                    veth.gone_at = Some(now);
                }
            }
        }
    }

    /// The pod behind the interface.
    pub fn pod(&self, index: u32) -> Option<&Entry<Pod>> {
        let (pod, _) = self.veths.get(&index)?.pod.as_ref()?;
        Some(pod)
    }

    /// True for the veth of a pod that has a branch interface of its own (security groups for pods):
    /// its packets leave the node by that one.
    pub fn is_branch(&self, index: u32) -> bool {
        let announced = self
            .veths
            .get(&index)
            .and_then(|veth| veth.announced.as_ref());
        announced.is_some_and(|interface| interface.name.starts_with(BRANCH))
    }

    /// True where a route or an address may say which pod is behind the interface.
    pub fn may_bind_by_address(&self, index: u32) -> bool {
        let waits = |veth: &Veth| self.names_are_hashes && self.has_hash(veth);
        let veth = self.veths.get(&index);
        veth.is_none_or(|veth| veth.pod.is_none() && !waits(veth))
    }

    /// Addresses that the node routes to the interface.
    pub fn routes(&self, index: u32) -> &[IpAddr] {
        self.veths.get(&index).map_or(&[], |veth| &veth.routes)
    }

    /// True where the pod is known to be behind an interface that is still there.
    pub fn has_interface(&self, name: &Name) -> bool {
        let mut there = self.veths.values().filter(|veth| veth.gone_at.is_none());
        there.any(|veth| {
            let pod = veth.pod.as_ref();
            pod.is_some_and(|(pod, _)| pod.object.name == *name)
        })
    }

    /// The pod is behind the interface: its address leads or was seen there.
    pub fn bind(&mut self, index: u32, pod: Arc<Entry<Pod>>, by: FoundBy) {
        let veth = self.veths.entry(index).or_default();
        veth.pod = Some((pod, by));
        if let Some(group) = veth.group {
            self.share(group);
        }
    }

    /// A pod of this node exists with these contents.
    pub fn learn(&mut self, pod: &Arc<Entry<Pod>>) {
        let name = &pod.object.name;
        let hash = VethHash::of_pod(name);
        self.pods.insert((hash, name.clone()), Arc::clone(pod));
        let is_alone = self.named(hash).is_some();
        let mut groups = BTreeSet::new();
        for veth in self.veths.values_mut() {
            let named = is_alone && veth.hash == Some(hash);
            let found_by = match &veth.pod {
                Some((old, by)) if old.object.name == *name => match named {
                    true => FoundBy::Name,
                    false => *by,
                },
                // A veth belongs to one pod for life.
                Some((_, FoundBy::Name)) => continue,
                _ if named => FoundBy::Name,
                Some(_) | None => continue,
            };
            veth.pod = Some((Arc::clone(pod), found_by));
            self.names_are_hashes |= named;
            groups.extend(veth.group);
        }
        groups.into_iter().for_each(|group| self.share(group));
    }

    /// A pod is gone, or no longer of this node. Its veth stays its own. Where another pod has the
    /// same hash, a veth of that name is known to be the other one's from now on.
    pub fn forget(&mut self, pod: &Entry<Pod>) {
        let name = &pod.object.name;
        let hash = VethHash::of_pod(name);
        self.pods.remove(&(hash, name.clone()));
        if let Some(other) = self.named(hash).cloned() {
            self.learn(&other);
        }
    }

    /// Pods of this node that have a veth, in no order.
    pub fn pods(&self) -> impl Iterator<Item = &Arc<Entry<Pod>>> {
        self.pods.values()
    }

    /// The interfaces that are counted, and the pods behind them, in no order.
    pub fn counted(&self) -> impl Iterator<Item = (&Interface, Option<(&Name, FoundBy)>)> {
        let present = self.veths.values().filter(|veth| veth.gone_at.is_none());
        present.filter_map(|veth| {
            let pod = veth.pod.as_ref();
            let pod = pod.map(|(pod, by)| (&pod.object.name, *by));
            Some((veth.announced.as_ref()?, pod))
        })
    }

    /// Addresses that the node routes to interfaces that are counted.
    pub fn all_routes(&self) -> impl Iterator<Item = IpAddr> {
        let present = self.veths.values().filter(|veth| veth.gone_at.is_none());
        present.flat_map(|veth| veth.routes.iter().map(IpAddr::to_canonical))
    }

    /// Interfaces that lead into another network namespace and may be any pod's: nothing has told
    /// yet whose.
    pub fn of_some_pod(&self) -> usize {
        let may_be_any = |(index, veth): &(&u32, &Veth)| {
            let leads_to_nobody = veth.group.is_some() && veth.routes.is_empty();
            veth.gone_at.is_none() && leads_to_nobody && self.may_bind_by_address(**index)
        };
        self.veths.iter().filter(may_be_any).count()
    }

    /// What interfaces carried before counting began.
    pub fn before_attach(&self) -> [Count; 2] {
        self.before_attach
    }

    /// Goes on with what interfaces carried before an earlier process counted on them.
    pub fn restore_before_attach(&mut self, before_attach: [Count; 2]) {
        self.before_attach = before_attach;
    }

    /// Forgets interfaces that have been gone for so long, unless a flow of theirs is held.
    pub fn prune(&mut self, now: Instant, keep_for: Duration, held: impl Fn(u32) -> bool) {
        self.veths.retain(|index, veth| {
            let stays = |gone| now.saturating_duration_since(gone) < keep_for || held(*index);
            veth.gone_at.is_none_or(stays)
        });
    }

    fn attach(&mut self, interface: Interface) {
        let hash = VethHash::in_name(&interface.name);
        let named = hash.and_then(|hash| self.named(hash)).cloned();
        self.names_are_hashes |= named.is_some();
        let mut interface = interface;
        let veth = self.veths.entry(interface.index).or_default();
        if veth.before_attach == [Count::ZERO; 2] {
            // Announced again, it is still the same interface: what it carried counts once. It may
            // be known by its first flow, or by name, before that is read.
            for (total, count) in self.before_attach.iter_mut().zip(interface.before_attach) {
                *total += count;
            }
            veth.before_attach = interface.before_attach;
        }
        interface.before_attach = veth.before_attach;
        veth.hash = hash;
        veth.gone_at = None;
        if !matches!(veth.pod, Some((_, FoundBy::Name)))
            && let Some(named) = named
        {
            veth.pod = Some((named, FoundBy::Name));
        }
        let (index, namespace) = (interface.index, interface.peer_namespace);
        veth.announced = Some(interface);
        if let Some(namespace) = namespace {
            self.join(index, namespace);
        }
    }

    /// The one pod of this node whose first NIC has this hash.
    fn named(&self, hash: VethHash) -> Option<&Arc<Entry<Pod>>> {
        let first = Name {
            namespace: Arc::default(),
            name: Arc::default(),
        };
        let mut found = self.pods.range((hash, first)..);
        let mut next = || found.next().filter(|((of, _), _)| *of == hash);
        let (_, pod) = next()?;
        next().is_none().then_some(pod)
    }

    /// The veth leads into this namespace, maybe beside others.
    fn join(&mut self, index: u32, namespace: i32) {
        let together = self.together.entry(namespace).or_default();
        together.insert(index);
        let others = together.iter().filter(|other| **other != index);
        let group = others
            .filter_map(|other| self.veths.get(other)?.group)
            .next()
            .unwrap_or(index);
        if let Some(veth) = self.veths.get_mut(&index) {
            veth.group = Some(group);
        }
        self.share(group);
    }

    /// What is known of one veth holds for those beside it of which nothing is. Two pods in one
    /// namespace are none: an id was given to the next one before its last veth had left.
    fn share(&mut self, group: u32) {
        let [pod] = self.pods_behind(group)[..] else {
            return;
        };
        let pod = Arc::clone(pod);
        let further = VethHash::of_further_nics(&pod.object.name);
        let members = self.veths.values_mut();
        for veth in members.filter(|veth| veth.group == Some(group) && veth.pod.is_none()) {
            let found_by = match veth.hash.is_some_and(|hash| further.contains(&hash)) {
                true => FoundBy::Name,
                false => FoundBy::NetworkNamespace,
            };
            veth.pod = Some((Arc::clone(&pod), found_by));
        }
    }

    fn pods_behind(&self, group: u32) -> Vec<&Arc<Entry<Pod>>> {
        let members = self.veths.values();
        let members = members.filter(|veth| veth.group == Some(group));
        let mut pods: Vec<_> = members
            .filter_map(|veth| veth.pod.as_ref().map(|(pod, _)| pod))
            .collect();
        pods.sort_unstable_by_key(|pod| &pod.object.name);
        pods.dedup_by_key(|pod| &pod.object.name);
        pods
    }

    /// True where the name of the veth, or of one beside it, tells which pod it waits for.
    fn has_hash(&self, veth: &Veth) -> bool {
        let beside = |other: &Veth| other.group == veth.group && other.hash.is_some();
        veth.hash.is_some() || veth.group.is_some() && self.veths.values().any(beside)
    }

    /// An interface that leaves keeps its group. Where its pod was not that of the others, the others
    /// form a new group.
    fn leave(&mut self, index: u32) {
        let mut left = BTreeSet::new();
        self.together.retain(|_, together| {
            if together.remove(&index) {
                left.clone_from(together);
            }
            !together.is_empty()
        });
        let group = self.veths.get(&index).and_then(|veth| veth.group);
        let mixed = group.is_some_and(|group| self.pods_behind(group).len() > 1);
        let Some(&own_group) = left.first().filter(|_| mixed) else {
            return;
        };
        for member in left {
            if let Some(veth) = self.veths.get_mut(&member) {
                veth.group = Some(own_group);
            }
        }
        self.share(own_group);
    }
}
