//! One copy of each string: namespaces, nodes, zones and workloads recur in every pod.

use std::{collections::HashSet, sync::Arc};

use zonemeter_model::cluster::Pod;

/// Strings in use, each held once.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    held: HashSet<Arc<str>>,
    /// Size at which unused strings are dropped: twice what was in use the last time.
    prune_at: usize,
}

/// Fewer strings than this are not worth a search for unused ones.
const PRUNE_AT_LEAST: usize = 1024;

impl Strings {
    /// Replaces the string by the copy that others share.
    pub(crate) fn share(&mut self, string: &mut Arc<str>) {
        if let Some(held) = self.held.get(string) {
            *string = Arc::clone(held);
            return;
        }
        self.prune();
        self.held.insert(Arc::clone(string));
    }

    /// Shares the strings of a pod that recur in others.
    pub(crate) fn share_pod(&mut self, pod: &mut Pod) {
        self.share(&mut pod.name.namespace);
        self.share(&mut pod.workload.kind);
        self.share(&mut pod.workload.name);
        pod.node.iter_mut().for_each(|node| self.share(node));
        pod.addresses.shrink_to_fit();
    }

    fn prune(&mut self) {
        if self.held.len() >= self.prune_at.max(PRUNE_AT_LEAST) {
            self.held.retain(|string| Arc::strong_count(string) > 1);
            self.prune_at = self.held.len() * 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_become_one_and_unused_ones_go() {
        let mut strings = Strings::default();
        let (mut first, mut second): (Arc<str>, Arc<str>) = ("zone".into(), "zone".into());
        strings.share(&mut first);
        strings.share(&mut second);
        assert!(Arc::ptr_eq(&first, &second));
        for number in 0..10 * PRUNE_AT_LEAST {
            strings.share(&mut number.to_string().into());
        }
        assert!(strings.held.len() <= PRUNE_AT_LEAST);
        assert!(strings.held.contains(&first));
    }
}
