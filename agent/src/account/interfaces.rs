//! Which pod of this node is behind which host-side veth.
//!
//! By name: the veth's name holds the hash of a pod of this node (see [`super::veth`]). Else by
//! address: the flow's local address is owned by a pod of this node. Once the first veth has been
//! found by name, this node's names are known to be hashes: a veth whose hash fits no pod then
//! waits for its pod and is not read by address, because an address may still stand under its
//! last owner. A veth belongs to one pod for life, so what is found once stays.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{book::Entry, veth::VethHash};
use crate::model::{
    cluster::{Name, Pod},
    traffic::{Count, Interface, InterfaceChange},
};

/// The veths of this node and the pods that may be behind them.
#[derive(Debug, Default)]
pub(crate) struct Interfaces {
    veths: HashMap<u32, Veth>,
    /// Pods of this node that have a veth, by its hash.
    pods: HashMap<VethHash, Arc<Entry<Pod>>>,
    names_are_hashes: bool,
    before_attach: [Count; 2],
}

/// A host-side veth.
#[derive(Debug)]
struct Veth {
    /// As it was announced.
    announced: Option<Interface>,
    /// The pod behind it, once known.
    pod: Option<Arc<Entry<Pod>>>,
    hash: Option<VethHash>,
    gone_at: Option<Instant>,
}

impl Interfaces {
    /// Takes in that an interface came or went.
    pub(crate) fn apply(&mut self, change: InterfaceChange, now: Instant) {
        match change {
            InterfaceChange::Attached(interface) => self.attach(interface),
            InterfaceChange::Gone(index) => {
                if let Some(veth) = self.veths.get_mut(&index) {
                    veth.gone_at = Some(now);
                }
            }
        }
    }

    /// The pod behind the interface.
    pub(crate) fn pod(&self, index: u32) -> Option<&Entry<Pod>> {
        self.veths.get(&index)?.pod.as_deref()
    }

    /// True where an address may say which pod is behind the interface.
    pub(crate) fn may_bind_by_address(&self, index: u32) -> bool {
        self.veths.get(&index).is_none_or(|veth| {
            veth.pod.is_none() && !(self.names_are_hashes && veth.hash.is_some())
        })
    }

    /// The pod is behind the interface: its address was seen there.
    pub(crate) fn bind(&mut self, index: u32, pod: Arc<Entry<Pod>>) {
        self.veths
            .entry(index)
            .or_insert_with(Veth::unannounced)
            .pod = Some(pod);
    }

    /// A pod of this node exists with these contents.
    pub(crate) fn learn(&mut self, pod: &Arc<Entry<Pod>>) {
        let hash = VethHash::of_pod(&pod.object.name);
        self.pods.insert(hash, Arc::clone(pod));
        for veth in self.veths.values_mut() {
            let named = veth.hash == Some(hash);
            let bound = veth
                .pod
                .as_ref()
                .is_some_and(|old| old.object.name == pod.object.name);
            if named || bound {
                veth.pod = Some(Arc::clone(pod));
                self.names_are_hashes |= named;
            }
        }
    }

    /// A pod is gone, or no longer of this node. Its veth stays its own.
    pub(crate) fn forget(&mut self, pod: &Entry<Pod>) {
        let hash = VethHash::of_pod(&pod.object.name);
        if self
            .pods
            .get(&hash)
            .is_some_and(|held| held.object.name == pod.object.name)
        {
            self.pods.remove(&hash);
        }
    }

    /// Pods of this node that have a veth, in no order.
    pub(crate) fn pods(&self) -> impl Iterator<Item = &Arc<Entry<Pod>>> {
        self.pods.values()
    }

    /// The interfaces that are counted, and the pods behind them, in no order.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (&Interface, Option<&Name>)> {
        let present = self.veths.values().filter(|veth| veth.gone_at.is_none());
        present.filter_map(|veth| {
            let pod = veth.pod.as_ref().map(|pod| &pod.object.name);
            Some((veth.announced.as_ref()?, pod))
        })
    }

    /// What interfaces carried before counting began.
    pub(crate) fn before_attach(&self) -> [Count; 2] {
        self.before_attach
    }

    /// Goes on with what interfaces carried before an earlier process counted on them.
    pub(crate) fn restore_before_attach(&mut self, before_attach: [Count; 2]) {
        self.before_attach = before_attach;
    }

    /// Forgets interfaces that have been gone for so long, unless a flow of theirs is held.
    pub(crate) fn prune(&mut self, now: Instant, keep_for: Duration, held: impl Fn(u32) -> bool) {
        self.veths.retain(|index, veth| {
            let stays = |gone| now.saturating_duration_since(gone) < keep_for || held(*index);
            veth.gone_at.is_none_or(stays)
        });
    }

    fn attach(&mut self, interface: Interface) {
        let hash = VethHash::in_name(&interface.name);
        let pod = hash.and_then(|hash| self.pods.get(&hash)).cloned();
        self.names_are_hashes |= pod.is_some();
        let veth = self.veths.entry(interface.index).or_insert_with(|| {
            // Announced again, it is still the same interface: what it carried counts once.
            for (total, count) in self.before_attach.iter_mut().zip(interface.before_attach) {
                *total += count;
            }
            Veth::unannounced()
        });
        veth.hash = hash;
        veth.gone_at = None;
        veth.pod = pod.or(veth.pod.take());
        veth.announced.get_or_insert(interface);
    }
}

impl Veth {
    fn unannounced() -> Self {
        Self {
            announced: None,
            pod: None,
            hash: None,
            gone_at: None,
        }
    }
}
