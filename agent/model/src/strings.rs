//! Strings that many objects repeat (namespaces, nodes, zones, workloads), kept once.

use std::{collections::HashSet, sync::Arc};

/// A pool of shared strings. What nobody else holds any more is dropped when the pool has
/// doubled since it was last swept, so it stays within twice what the objects in use need.
#[derive(Debug, Default)]
pub struct Strings {
    pool: HashSet<Arc<str>>,
    sweep_at: usize,
}

/// Below this size a sweep is not worth its time.
const SMALL: usize = 1024;

impl Strings {
    /// The shared copy of `text`.
    pub fn get(&mut self, text: &str) -> Arc<str> {
        match self.pool.get(text) {
            Some(shared) => Arc::clone(shared),
            None => self.add(text.into()),
        }
    }

    /// Replaces `text` by the copy that others share.
    pub fn share(&mut self, text: &mut Arc<str>) {
        *text = match self.pool.get(text) {
            Some(shared) => Arc::clone(shared),
            None => self.add(Arc::clone(text)),
        };
    }

    fn add(&mut self, text: Arc<str>) -> Arc<str> {
        self.sweep_when_doubled();
        self.pool.insert(Arc::clone(&text));
        text
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
        let (mut zone, mut other): (Arc<str>, Arc<str>) = ("us-east-2a".into(), "other".into());
        strings.share(&mut zone);
        strings.share(&mut other);
        assert!(Arc::ptr_eq(&first, &zone));
        assert!(Arc::ptr_eq(&other, &strings.get("other")));
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

    /// A sweep that finds nothing to drop is not worth another one soon.
    #[test]
    fn the_next_sweep_comes_when_the_pool_has_doubled() {
        let mut strings = Strings::default();
        let mut get = |numbers: std::ops::Range<usize>| -> Vec<Arc<str>> {
            numbers
                .map(|number| strings.get(&number.to_string()))
                .collect()
        };
        let held = get(0..SMALL);
        // With this one the first sweep comes.
        drop(get(SMALL..SMALL + 1));
        drop(get(SMALL + 1..2 * SMALL));
        assert_eq!(strings.pool.len(), 2 * SMALL);
        let one_more = strings.get("one more");
        assert_eq!(strings.pool.len(), SMALL + 1);
        drop((held, one_more));
    }
}
