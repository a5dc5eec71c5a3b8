//! How the backends behind Service addresses were named, and the addresses for which conntrack
//! must name them.

use zonemeter_model::{
    cluster::Name,
    traffic::{BackendMethod, Count, Translated},
};
use zonemeter_naming::{
    held::TimedFlow,
    resolve::{Names, Peer},
};

/// Traffic to Service addresses by the method that named its backend.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backends {
    by_method: [Count; BackendMethod::ALL.len()],
}

impl Backends {
    /// Counts a flow that has been placed and whose veth saw a Service address.
    pub(crate) fn count(&mut self, flow: &TimedFlow, peer: Peer<'_>) {
        let method = match (flow.flow.method, peer) {
            (Some(method), _) => method,
            (None, Peer::ServiceIn(..)) => BackendMethod::Endpoints,
            (None, _) => BackendMethod::None,
        };
        self.by_method[method as usize] += flow.flow.count;
    }

    /// Goes on with these totals, in the order of [`BackendMethod::ALL`].
    pub(crate) fn restore(&mut self, totals: [Count; BackendMethod::ALL.len()]) {
        self.by_method = totals;
    }

    /// Totals, in the order of [`BackendMethod::ALL`].
    pub(crate) fn totals(&self) -> [Count; BackendMethod::ALL.len()] {
        self.by_method
    }
}

/// The Service whose address the veth saw as the flow's peer.
pub(crate) fn service<'a>(names: &'a Names, flow: &TimedFlow) -> Option<&'a Name> {
    match names.peer(flow.flow.seen_peer, flow.from, flow.until) {
        Peer::Service(service) => Some(&service.object.name),
        Peer::Pod(_)
        | Peer::Node(_)
        | Peer::ServiceIn(..)
        | Peer::Network(_)
        | Peer::Vpc
        | Peer::Range(_)
        | Peer::Other => None,
    }
}

/// The addresses of Services, and the node's own: behind both is somebody else.
pub(crate) fn translated(names: &Names) -> Translated {
    let home = names.book.node(&names.home);
    let own = home.into_iter().flat_map(|node| &node.addresses);
    Translated {
        node: own.copied().collect(),
        services: names.book.service_addresses().copied().collect(),
    }
}
