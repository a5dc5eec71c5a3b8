//! Whether what the agent was told fits what it finds: a Node object of its name, and an
//! interface that is counted for each pod of the node.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use zonemeter_model::{
    cluster::Name,
    condition::{Conditions, Status},
};
use zonemeter_naming::resolve::Names;

use super::Account;

/// How long a pod may have an address and no interface: the API keeps a pod for a while after its
/// interface is gone.
const GRACE: Duration = Duration::from_secs(30);
/// Pods named in a line.
const NAMED: usize = 3;

/// Pods with an address and no interface that is counted.
#[derive(Debug, Default)]
pub(crate) struct Uncounted {
    since: BTreeMap<Name, Instant>,
    /// A pod of this node was counted once.
    any_counted: bool,
}

impl Account {
    /// Whether the conditions hold that depend on cluster and interfaces together, as of `now`.
    pub fn conditions(&mut self, now: Instant) -> Conditions {
        let (pods_counted, uncounted_pods) = self.uncounted.look(&self.names, now);
        Conditions {
            own_node: own_node(&self.names),
            pods_counted,
            uncounted_pods,
        }
    }
}

fn own_node(names: &Names) -> Status {
    let Names { book, home, .. } = names;
    if book.node(home).is_some() {
        return Status::Holds;
    }
    if !book.knows_all_nodes() {
        return Status::Unknown("the nodes are not listed yet".to_owned());
    }
    Status::Fails(format!(
        "no Node object is named {home:?}, so that no pod is this node's and no zone is known: give \
         --node-name (or $NODE_NAME) spec.nodeName of the agent's own pod"
    ))
}

impl Uncounted {
    fn look(&mut self, names: &Names, now: Instant) -> (Status, u64) {
        if !names.book.knows_all_pods() {
            return (Status::Unknown("the pods are not listed yet".to_owned()), 0);
        }
        let counted = counted_pods(names);
        let with_address = names.interfaces.pods().map(|pod| &pod.object);
        let with_address = with_address.filter(|pod| !pod.finished && !pod.addresses.is_empty());
        let (have, lack): (Vec<_>, Vec<_>) =
            with_address.partition(|pod| counted.contains(&pod.name));
        self.any_counted |= !have.is_empty();
        self.since
            .retain(|name, _| lack.iter().any(|pod| pod.name == *name));
        for pod in lack {
            self.since.entry(pod.name.clone()).or_insert(now);
        }
        // Where no pod was ever counted, there is nothing to wait for.
        let grace = if self.any_counted {
            GRACE
        } else {
            Duration::ZERO
        };
        let late = |since: &Instant| now.saturating_duration_since(*since) >= grace;
        let late = self.since.iter().filter(|(_, since)| late(since));
        let late: Vec<&Name> = late.map(|(name, _)| name).collect();
        let uncounted = late.len().saturating_sub(names.interfaces.of_some_pod());
        let status = match uncounted {
            0 => Status::Holds,
            _ if have.is_empty() => Status::Fails(line(uncounted, &late)),
            _ => Status::InPart(line(uncounted, &late)),
        };
        (status, uncounted as u64)
    }
}

fn line(uncounted: usize, late: &[&Name]) -> String {
    let named = late.iter().take(NAMED);
    let mut named: Vec<String> = named
        .map(|Name { namespace, name }| format!("{namespace}/{name}"))
        .collect();
    if late.len() > NAMED {
        named.push("...".to_owned());
    }
    format!(
        "{uncounted} pods of this node have an address and no interface that is counted ({}): give \
         --interface the names that the CNI gives to the host's end of their veths (`ip link`; \
         AWS_VPC_K8S_CNI_VETHPREFIX changes them)",
        named.join(", ")
    )
}

/// Pods whose interface is counted: they are known to be behind it, or their address leads there.
fn counted_pods(names: &Names) -> BTreeSet<Name> {
    let bound = names.interfaces.counted();
    let bound = bound.filter_map(|(_, pod)| pod.map(|(name, _)| name.clone()));
    let mut counted: BTreeSet<Name> = bound.collect();
    let routes: BTreeSet<_> = names.interfaces.all_routes().collect();
    let routed = names.interfaces.pods().map(|pod| &pod.object);
    let routed = routed.filter(|pod| {
        let addresses = pod.addresses.iter().map(|address| address.to_canonical());
        { addresses }.any(|address| routes.contains(&address))
    });
    counted.extend(routed.map(|pod| pod.name.clone()));
    counted
}
