//! Nodes as they come, change and go.

use std::{sync::Arc, time::Instant};

use zonemeter_model::cluster::{Name, Node};

use super::{Book, News};

impl Book {
    pub(super) fn apply_node(&mut self, node: Node, now: Instant) -> News {
        if self
            .nodes
            .get(&node.name)
            .is_some_and(|entry| entry.object == node)
        {
            self.nodes.confirm(&node.name);
            return News::default();
        }
        let mut node = node;
        self.strings.share(&mut node.name);
        node.zone
            .iter_mut()
            .chain(&mut node.zone_id)
            .for_each(|string| self.strings.share(string));
        let key = Arc::clone(&node.name);
        let after = self.entry(node);
        let new = &after.object.addresses[..];
        match self.nodes.put(key, Arc::clone(&after)) {
            Some(before) => {
                let old = (&before, &before.object.addresses[..]);
                self.node_addresses.settle(old, (&after, new), now);
            }
            None => self.node_addresses.take_all(new, &after, now),
        }
        News {
            nodes_changed: true,
            ..News::default()
        }
    }

    pub(super) fn delete_node(&mut self, name: &Name, now: Instant) -> News {
        let Some(gone) = self.nodes.remove(&name.name) else {
            return News::default();
        };
        for address in &gone.object.addresses {
            self.node_addresses.give_up(*address, &gone, now);
        }
        News {
            nodes_changed: true,
            ..News::default()
        }
    }
}
