//! Series by label set: found by a number on the hot path, read in the order of their labels.

use std::{collections::HashSet, hash::Hash};

/// A set of series. A slot's number stays the same while the series exists.
#[derive(Debug)]
pub(crate) struct Table<L, V> {
    slots: Vec<Option<(L, V)>>,
    free: Vec<Slot>,
    /// Slots in use, in the order of their labels.
    order: Vec<Slot>,
}

/// Number of a series.
pub(crate) type Slot = u32;

impl<L, V> Default for Table<L, V> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            order: Vec::new(),
        }
    }
}

impl<L: Ord, V> Table<L, V> {
    /// The series with these labels.
    pub(crate) fn find(&self, labels: &L) -> Option<Slot> {
        self.position(labels)
            .ok()
            .map(|position| self.order[position])
    }

    /// Adds a series; one that exists keeps its value.
    pub(crate) fn insert(&mut self, labels: L, value: V) -> Slot {
        match self.position(&labels) {
            Ok(position) => self.order[position],
            Err(position) => {
                let slot = self.place((labels, value));
                self.order.insert(position, slot);
                slot
            }
        }
    }

    /// The value of a series.
    pub(crate) fn value_mut(&mut self, slot: Slot) -> Option<&mut V> {
        self.slots
            .get_mut(slot as usize)?
            .as_mut()
            .map(|(_, value)| value)
    }

    /// All series in the order of their labels.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(L, V)> {
        self.order
            .iter()
            .filter_map(|slot| self.slots[*slot as usize].as_ref())
    }

    /// Takes out, in the order of their labels, the series of each group of which all fit.
    pub(crate) fn take_groups<G: Eq + Hash>(
        &mut self,
        group: impl Fn(&L) -> G,
        fits: impl Fn(&L, &V) -> bool,
    ) -> Vec<(L, V)> {
        let fitting = self.iter().filter(|(labels, value)| fits(labels, value));
        let mut groups: HashSet<G> = fitting.map(|(labels, _)| group(labels)).collect();
        if groups.is_empty() {
            return Vec::new();
        }
        for (labels, _) in self.iter().filter(|(labels, value)| !fits(labels, value)) {
            groups.remove(&group(labels));
        }
        self.take_if(|labels, _| groups.contains(&group(labels)))
    }

    /// Takes out all series that fit, in the order of their labels.
    pub(crate) fn take_if(&mut self, fits: impl Fn(&L, &V) -> bool) -> Vec<(L, V)> {
        let mut taken = Vec::new();
        let Self { slots, free, order } = self;
        order.retain(|slot| {
            let found = slots[*slot as usize].take_if(|(labels, value)| fits(labels, value));
            let stays = found.is_none();
            if let Some(series) = found {
                taken.push(series);
                free.push(*slot);
            }
            stays
        });
        taken
    }

    fn position(&self, labels: &L) -> Result<usize, usize> {
        self.order.binary_search_by(|slot| {
            let found = self.slots[*slot as usize]
                .as_ref()
                .map(|(labels, _)| labels);
            found.cmp(&Some(labels))
        })
    }

    fn place(&mut self, series: (L, V)) -> Slot {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(series);
            return slot;
        }
        self.slots.push(Some(series));
        (self.slots.len() - 1) as Slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(table: &Table<&'static str, u64>) -> Vec<&'static str> {
        table.iter().map(|(labels, _)| *labels).collect()
    }

    #[test]
    fn series_are_read_in_order_and_keep_their_number() {
        let mut table = Table::default();
        let [m, z, a] = ["m", "z", "a"].map(|labels| table.insert(labels, 0));
        *table.value_mut(z).unwrap() += 7;
        assert_eq!(labels(&table), ["a", "m", "z"]);
        assert_eq!(
            [table.find(&"m"), table.find(&"a"), table.find(&"b")],
            [Some(m), Some(a), None]
        );
        assert_eq!(table.insert("z", 99), z);
        assert_eq!(table.iter().last(), Some(&("z", 7)));
    }

    #[test]
    fn numbers_of_taken_series_are_used_again() {
        let mut table = Table::default();
        let slots = ["a", "b", "c"].map(|labels| table.insert(labels, 1));
        let taken = table.take_groups(|labels| *labels, |labels, _| *labels != "b");
        assert_eq!(taken, [("a", 1), ("c", 1)]);
        assert_eq!(table.value_mut(slots[0]), None);
        assert_eq!(labels(&table), ["b"]);
        let again = table.insert("d", 2);
        assert!(slots.contains(&again) && again != slots[1]);
        assert_eq!(labels(&table), ["b", "d"]);
    }

    #[test]
    fn a_group_is_taken_as_a_whole_or_not_at_all() {
        let mut table = Table::default();
        for (labels, value) in [("a1", 0), ("a2", 0), ("b1", 0), ("b2", 1)] {
            table.insert(labels, value);
        }
        let taken = table.take_groups(|labels| labels.as_bytes()[0], |_, value| *value == 0);
        assert_eq!(taken, [("a1", 0), ("a2", 0)]);
        assert_eq!(labels(&table), ["b1", "b2"]);
    }
}
