//! Which links count: those whose name says that they are a pod's, and the other veths of the
//! same pods.
//!
//! A pod of an IPv6 cluster has a second veth for IPv4, whose host side has a name out of the
//! blue (`veth` and 8 hex digits, containernetworking `pkg/ip.SetupVeth`). So have veths of
//! containers that are no pods. What tells them apart is the network namespace of the other end.

use std::collections::{BTreeMap, BTreeSet};

use glob::Pattern;

use super::Link;

/// Matches the interfaces to count on.
#[derive(Clone, Debug)]
pub struct InterfaceNames {
    pods: Vec<Pattern>,
    more_of_pods: Vec<Pattern>,
    uplinks: Vec<Pattern>,
}

impl InterfaceNames {
    /// An interface counts if it matches any of `pods`, or any of `more_of_pods` where its other
    /// end is in the same network namespace as that of an interface of the first kind.
    pub fn new(pods: Vec<Pattern>, more_of_pods: Vec<Pattern>) -> Self {
        Self {
            pods,
            more_of_pods,
            uplinks: Vec::new(),
        }
    }

    /// Packets leave the node by these interfaces, by its network cards where none are given.
    pub fn with_uplinks(self, uplinks: Vec<Pattern>) -> Self {
        Self { uplinks, ..self }
    }

    pub(super) fn uplinks(&self) -> Vec<Pattern> {
        self.uplinks.clone()
    }

    /// What `--interface` gave; empty where it gave nothing.
    pub fn asked_for(&self) -> String {
        // Only the names that hold without it have veths of the second kind.
        let given = self.pods.iter().filter(|_| self.more_of_pods.is_empty());
        let given: Vec<&str> = given.map(Pattern::as_str).collect();
        given.join(",")
    }
}

pub(super) fn matches(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

/// The links that count, and the namespaces of those that do not (yet).
#[derive(Debug)]
pub(super) struct Veths {
    names: InterfaceNames,
    /// By index: the other end's namespace where the name alone says that it is a pod's.
    counted: BTreeMap<u32, Option<i32>>,
    /// Other ends of what could be a pod's second veth, but is not as far as is known.
    passed_over: BTreeSet<i32>,
}

impl Veths {
    pub(super) fn new(names: InterfaceNames) -> Self {
        Self {
            names,
            counted: BTreeMap::new(),
            passed_over: BTreeSet::new(),
        }
    }

    /// True where the link counts.
    pub(super) fn appeared(&mut self, link: &Link) -> bool {
        if matches(&self.names.pods, &link.name) {
            self.counted.insert(link.index, link.peer_namespace);
            return true;
        }
        if self.counted.contains_key(&link.index) {
            return true;
        }
        let of_a_pod = link
            .peer_namespace
            .filter(|_| matches(&self.names.more_of_pods, &link.name));
        let Some(namespace) = of_a_pod else {
            return false;
        };
        if self.counted.values().any(|pod| *pod == Some(namespace)) {
            self.counted.insert(link.index, None);
            return true;
        }
        self.passed_over.insert(namespace);
        false
    }

    /// True where the link with this index counts.
    pub(super) fn counts(&self, index: u32) -> bool {
        self.counted.contains_key(&index)
    }

    /// True, once, where this link tells that one which was passed over is of the same pod.
    pub(super) fn has_passed_over(&mut self, link: &Link) -> bool {
        let namespace = self.counted.get(&link.index).copied().flatten();
        namespace.is_some_and(|namespace| self.passed_over.remove(&namespace))
    }

    /// The kernel gives the namespace's id to another one once all of its links are gone.
    /// True where the link counted.
    pub(super) fn gone(&mut self, index: u32) -> bool {
        self.counted.remove(&index).is_some()
    }

    /// Exactly these exist: those that count.
    pub(super) fn listed(&mut self, links: impl Iterator<Item = Link>) -> Vec<Link> {
        let mut links: Vec<Link> = links.collect();
        self.passed_over.clear();
        self.counted
            .retain(|index, _| links.iter().any(|link| link.index == *index));
        // First those that say by their name that they are a pod's.
        links.sort_by_key(|link| (!matches(&self.names.pods, &link.name), link.index));
        links.retain(|link| self.appeared(link));
        links
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn veths() -> Veths {
        let patterns = |text: &str| vec![Pattern::new(text).unwrap()];
        Veths::new(InterfaceNames::new(patterns("eni*"), patterns("veth*")))
    }

    fn link(index: u32, name: &str, peer_namespace: Option<i32>) -> Link {
        Link {
            peer_namespace,
            ..Link::named(index, name)
        }
    }

    #[test]
    fn another_veth_counts_where_its_other_end_is_a_pods() {
        let mut veths = veths();
        assert!(veths.appeared(&link(2, "eni0", Some(1))));
        assert!(veths.appeared(&link(3, "veth0", Some(1))));
        assert!(!veths.appeared(&link(4, "veth1", Some(2))), "no pod");
        assert!(!veths.appeared(&link(5, "veth2", None)), "no namespace");
        assert!(!veths.appeared(&link(6, "eth0", Some(1))), "no such name");
    }

    #[test]
    fn one_that_came_before_its_pods_is_noticed() {
        let mut veths = veths();
        let (early, pod) = (link(2, "veth0", Some(1)), link(3, "eni0", Some(1)));
        assert!(!veths.appeared(&early));
        assert!(veths.appeared(&pod) && veths.has_passed_over(&pod));
        assert!(!veths.has_passed_over(&pod), "once");
        let listed = veths.listed([early, pod].into_iter());
        let names: Vec<_> = listed.iter().map(|link| &*link.name).collect();
        assert_eq!(names, ["eni0", "veth0"]);
    }

    #[test]
    fn an_id_that_is_given_to_another_namespace_is_no_pods() {
        let mut veths = veths();
        assert!(veths.appeared(&link(2, "eni0", Some(1))));
        assert!(veths.gone(2) && !veths.gone(9));
        assert!(!veths.appeared(&link(3, "veth0", Some(1))));
        assert!(veths.appeared(&link(4, "eni1", Some(2))));
        let container = link(5, "veth1", Some(2));
        assert!(veths.listed([container].into_iter()).is_empty());
    }

    #[test]
    fn one_that_counts_does_so_until_it_is_gone() {
        let mut veths = veths();
        let (pod, more) = (link(2, "eni0", Some(1)), link(3, "veth0", Some(1)));
        assert!(veths.appeared(&pod) && veths.appeared(&more));
        veths.gone(2);
        assert_eq!(veths.listed([more.clone()].into_iter()), [more]);
    }
}
