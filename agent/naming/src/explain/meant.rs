//! What people have in hand, and the addresses that it means.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Instant};

use zonemeter_model::{
    cluster::Name,
    recent::{Answered, Asked, Match},
};

use super::{super::resolve::Names, explain};

/// Things of one name that are explained.
const MOST_MATCHES: usize = 20;
/// Addresses of one thing that are explained.
const MOST_ADDRESSES: usize = 10;

/// Kind, namespace and name of a thing, and its addresses.
type Matches = BTreeMap<(Arc<str>, Arc<str>, Arc<str>), Vec<IpAddr>>;

/// Answers as of now.
pub fn answer(names: &Names, asked: &Asked, now: Instant) -> Answered {
    let things = match asked {
        Asked::Address(address) => Matches::from([(Default::default(), vec![*address])]),
        Asked::Name(text) => find(names, text),
    };
    let explained = |addresses: &[IpAddr]| {
        let first = addresses.iter().take(MOST_ADDRESSES);
        first.map(|address| explain(names, *address, now)).collect()
    };
    Answered {
        node: Arc::clone(&names.home),
        zone: names.home_zone().cloned().unwrap_or_default(),
        total: things.len(),
        matches: things
            .into_iter()
            .take(MOST_MATCHES)
            .map(|((kind, namespace, name), addresses)| Match {
                kind,
                namespace,
                name,
                addresses: addresses.len(),
                explained: explained(&addresses),
            })
            .collect(),
    }
}

/// Everything of this name: `namespace/name`, a name in any namespace, or a Service's name in the
/// cluster's DNS.
fn find(names: &Names, text: &str) -> Matches {
    let (namespace, name) = split(text);
    let is = |found: &Name| {
        *found.name == *name && namespace.is_none_or(|namespace| namespace == &*found.namespace)
    };
    let mut things = Matches::new();
    let mut add = |kind: &str, found: &Name, addresses: &[IpAddr]| {
        let key = (
            kind.into(),
            Arc::clone(&found.namespace),
            Arc::clone(&found.name),
        );
        things.entry(key).or_default().extend(addresses);
    };
    for pod in names.book.pods().filter(|pod| !pod.finished) {
        if is(&pod.name) {
            add("Pod", &pod.name, &pod.addresses);
        }
        let workload = Name {
            namespace: Arc::clone(&pod.name.namespace),
            name: Arc::clone(&pod.workload.name),
        };
        if &*pod.workload.kind != "Pod" && is(&workload) {
            add(&pod.workload.kind, &workload, &pod.addresses);
        }
    }
    for service in names.book.services().filter(|service| is(&service.name)) {
        add("Service", &service.name, &service.addresses);
    }
    let cluster_wide = |name: &Arc<str>| Name {
        namespace: Arc::default(),
        name: Arc::clone(name),
    };
    if let Some(node) = names.book.node(text) {
        add("Node", &cluster_wide(&node.name), &node.addresses);
    }
    for (range, network) in names.networks.named(text) {
        add("Network", &cluster_wide(&network.name), &[range.network()]);
    }
    things.values_mut().for_each(|addresses| addresses.sort());
    things
}

/// Namespace and name; `web.shop.svc.cluster.local` is `shop/web`.
fn split(text: &str) -> (Option<&str>, &str) {
    if let Some((namespace, name)) = text.split_once('/') {
        return (Some(namespace), name);
    }
    let parts: Vec<&str> = text.trim_end_matches('.').split('.').collect();
    match parts[..] {
        [name, namespace, "svc", ..] => (Some(namespace), name),
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_every_usual_form() {
        for (text, expected) in [
            ("shop/web", (Some("shop"), "web")),
            ("web", (None, "web")),
            ("web.shop.svc", (Some("shop"), "web")),
            ("web.shop.svc.cluster.local.", (Some("shop"), "web")),
            ("web.1", (None, "web.1")),
        ] {
            assert_eq!(split(text), expected);
        }
    }
}
