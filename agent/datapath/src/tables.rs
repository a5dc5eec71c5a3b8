//! The flow tables as the agent reads and clears them: in place, only slots that are taken, and the
//! index only of CPUs that took any.

use anyhow::{Result, ensure};
use zonemeter_common::{
    Totals,
    table::{Bucket, CLAIM_ROWS, FAMILIES, Slot4, Slot6},
};

use super::mapped::Mapped;

/// Words of a [`zonemeter_common::table::Claims`]: how many slots are taken, one that is 0, the rows.
const CLAIM_WORDS: usize = 2 + CLAIM_ROWS;

/// The maps, for [`Tables::new`].
pub(super) struct Maps {
    pub(super) slots4: Mapped<Slot4>,
    pub(super) slots6: Mapped<Slot6>,
    pub(super) indexes: [Mapped<Bucket>; FAMILIES],
    pub(super) claims: Mapped<u32>,
    pub(super) totals: Mapped<Totals>,
    pub(super) used: Mapped<u64>,
}

/// Both tables, with what belongs to them.
pub(super) struct Tables {
    maps: Maps,
    /// Possible numbers of CPUs.
    cpus: usize,
    /// Slots of a part; 0 where there are no tables.
    slots: usize,
    /// Buckets of a part.
    buckets: usize,
}

impl Tables {
    /// Their size follows from that of the maps, so that those of an earlier process are read, too.
    ///
    /// # Errors
    /// When the maps do not fit together.
    pub(super) fn new(maps: Maps) -> Result<Self> {
        let parts = maps.totals.len();
        // Without tables the maps have one element, which nobody counts in.
        let (slots, buckets) = (maps.slots4.len() / parts, maps.indexes[0].len() / parts);
        let elements = |each: usize| if slots == 0 { 1 } else { each * parts };
        let sizes = [
            (maps.slots4.len(), elements(slots)),
            (maps.slots6.len(), elements(slots)),
            (maps.indexes[0].len(), elements(buckets)),
            (maps.indexes[1].len(), elements(buckets)),
            (maps.claims.len(), elements(FAMILIES) * CLAIM_WORDS),
        ];
        for (found, fits) in sizes {
            ensure!(
                found == fits,
                "a map of the tables has {found} elements, and {fits} fit {parts} parts"
            );
        }
        Ok(Self {
            cpus: parts / 2,
            slots,
            buckets,
            maps,
        })
    }

    /// Calls `each` with the totals of every CPU in this set.
    pub(super) fn totals(&self, set: usize, mut each: impl FnMut(&Totals)) {
        let totals = (0..self.cpus).filter_map(|cpu| self.maps.totals.get(part(cpu, set)));
        totals.for_each(|totals| each(&totals));
    }

    /// Slots of this set that are taken, by family.
    pub(super) fn taken(&self, set: usize) -> [usize; FAMILIES] {
        let of = |family| {
            let parts = (0..self.cpus).map(|cpu| part(cpu, set));
            parts.map(|part| self.taken_of(part, family)).sum()
        };
        [of(0), of(1)]
    }

    /// Calls `each` with every taken slot of IPv4 in this set, at rest.
    pub(super) fn read4(&self, set: usize, mut each: impl FnMut(&Slot4)) {
        let slots = self.taken_slots(set, 0);
        let slots = slots.filter_map(|slot| self.maps.slots4.get(slot));
        // Empty where a process died while it cleared them.
        let slots = slots.filter(|slot| slot.kind != 0);
        slots.for_each(|slot| each(&slot));
    }

    /// Calls `each` with every taken slot of IPv6 in this set, at rest.
    pub(super) fn read6(&self, set: usize, mut each: impl FnMut(&Slot6)) {
        let slots = self.taken_slots(set, 1);
        let slots = slots.filter_map(|slot| self.maps.slots6.get(slot));
        let slots = slots.filter(|slot| slot.kind != 0);
        slots.for_each(|slot| each(&slot));
    }

    /// Empties this set, at rest. A process may die between any two writes: what says that
    /// something is there goes after it.
    pub(super) fn clear(&mut self, set: usize) {
        for slot in self.taken_slots(set, 0) {
            self.maps.slots4.set(slot, Slot4::default());
        }
        for slot in self.taken_slots(set, 1) {
            self.maps.slots6.set(slot, Slot6::default());
        }
        for cpu in 0..self.cpus {
            for family in 0..FAMILIES {
                self.clear_claims(part(cpu, set), family);
            }
            self.maps.totals.set(part(cpu, set), Totals::default());
        }
        for family in 0..FAMILIES {
            self.maps.used.set(set * FAMILIES + family, 0);
        }
    }

    /// Empties the first `slots` slots of each CPU and half of the index, as a process that dies
    /// meanwhile.
    #[cfg(test)]
    pub(super) fn clear_in_part(&mut self, set: usize, slots: usize) {
        for part in (0..self.cpus).map(|cpu| part(cpu, set)) {
            for slot in part * self.slots..part * self.slots + slots {
                self.maps.slots4.set(slot, Slot4::default());
                self.maps.slots6.set(slot, Slot6::default());
            }
            for bucket in part * self.buckets..part * self.buckets + self.buckets / 2 {
                for index in &mut self.maps.indexes {
                    index.set(bucket, Bucket::default());
                }
            }
        }
    }

    fn clear_claims(&mut self, part: usize, family: usize) {
        if self.taken_of(part, family) == 0 {
            return;
        }
        let index = &mut self.maps.indexes[family];
        for bucket in part * self.buckets..(part + 1) * self.buckets {
            // What is empty stays in the cache of the CPU that looks into it.
            if index.get(bucket) != Some(Bucket::default()) {
                index.set(bucket, Bucket::default());
            }
        }
        let first = claims(part, family);
        for word in (first..first + CLAIM_WORDS).rev() {
            self.maps.claims.set(word, 0);
        }
    }

    /// Slots of a part that are taken, which are its first ones.
    fn taken_of(&self, part: usize, family: usize) -> usize {
        let taken = self.maps.claims.get(claims(part, family)).unwrap_or(0);
        self.slots.min(taken as usize)
    }

    /// Every slot of this set that is taken; a CPU that saw nothing costs one look.
    fn taken_slots(&self, set: usize, family: usize) -> impl Iterator<Item = usize> + use<> {
        let ranges: Vec<_> = (0..self.cpus)
            .map(|cpu| part(cpu, set))
            .map(|part| {
                let first = part * self.slots;
                first..first + self.taken_of(part, family)
            })
            .collect();
        ranges.into_iter().flatten()
    }
}

fn part(cpu: usize, set: usize) -> usize {
    cpu * 2 + set
}

fn claims(part: usize, family: usize) -> usize {
    (part * FAMILIES + family) * CLAIM_WORDS
}
