//! Strings that many objects repeat (namespaces, nodes, zones, workloads), kept once.

use std::{collections::HashSet, sync::Arc};

/// A pool of shared strings. What nobody else holds any more is dropped when the pool has
/// doubled since it was last swept, so it stays within twice what the objects in use need.
#[derive(Debug, Default)]
pub(super) struct Strings {
    pool: HashSet<Arc<str>>,
    sweep_at: usize,
}

/// Below this size a sweep is not worth its time.
const SMALL: usize = 1024;

impl Strings {
    /// The shared copy of `text`.
    pub(super) fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(shared) = self.pool.get(text) {
            return Arc::clone(shared);
        }
        self.sweep_when_doubled();
        let shared: Arc<str> = text.into();
        self.pool.insert(Arc::clone(&shared));
        shared
    }

    fn sweep_when_doubled(&mut self) {
        if self.pool.len() < self.sweep_at.max(SMALL) {
            return;
        }
        self.pool.retain(|text| Arc::strong_count(text) > 1);
        self.pool.shrink_to(SMALL);
        self.sweep_at = self.pool.len() * 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_one_allocation() {
        let mut strings = Strings::default();
        let first = strings.get("us-east-2a");
        assert!(Arc::ptr_eq(&first, &strings.get("us-east-2a")));
        assert!(!Arc::ptr_eq(&first, &strings.get("us-east-2b")));
    }

    #[test]
    fn texts_that_nobody_holds_leave_the_pool() {
        let mut strings = Strings::default();
        let held = strings.get("held");
        for number in 0..10 * SMALL {
            strings.get(&number.to_string());
        }
        assert!(strings.pool.len() <= 2 * SMALL, "{}", strings.pool.len());
        assert!(Arc::ptr_eq(&held, &strings.get("held")));
    }
}
