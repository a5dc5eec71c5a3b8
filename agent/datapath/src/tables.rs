//! The flow tables as the agent reads and clears them: in place, and only what was touched.

use anyhow::{Result, ensure};
use zonemeter_common::{
    Totals,
    table::{CLAIM_ROWS, FAMILIES, SLOTS, Slot4, Slot6, touched_word},
};

use super::mapped::Mapped;

/// Words of a [`zonemeter_common::table::Claims`]: how many slots are taken, one that is 0, the rows.
const CLAIM_WORDS: usize = 2 + CLAIM_ROWS;

/// The maps, for [`Tables::new`].
pub(super) struct Maps {
    pub(super) slots4: Mapped<Slot4>,
    pub(super) slots6: Mapped<Slot6>,
    pub(super) touched: [Mapped<u64>; FAMILIES],
    pub(super) claims: Mapped<u32>,
    pub(super) totals: Mapped<Totals>,
    pub(super) used: Mapped<u64>,
}

/// Both tables, with what belongs to them.
pub(super) struct Tables {
    maps: Maps,
    /// Possible numbers of CPUs.
    cpus: usize,
    /// Buckets of a part, as a power of two; `None` where there are no tables.
    bits: Option<u32>,
}

impl Tables {
    /// Their size follows from that of the maps, so that those of an earlier process are read, too.
    ///
    /// # Errors
    /// When the maps do not fit together.
    pub(super) fn new(maps: Maps) -> Result<Self> {
        let parts = maps.totals.len();
        let buckets = maps.slots4.len() / SLOTS;
        let bits = match buckets {
            1 => None,
            _ => {
                let each = buckets / parts.max(1);
                let fits = each.is_power_of_two() && each * parts == buckets;
                ensure!(fits, "{buckets} buckets of {parts} parts");
                Some(each.ilog2())
            }
        };
        Ok(Self {
            maps,
            cpus: parts / 2,
            bits,
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
            parts.map(|part| self.taken_of(part, family) as usize).sum()
        };
        [of(0), of(1)]
    }

    /// Calls `each` with every taken slot of IPv4 in this set, at rest.
    pub(super) fn read4(&self, set: usize, mut each: impl FnMut(&Slot4)) {
        self.touched(set, 0, |bucket| {
            let slots = (0..SLOTS).map_while(|slot| {
                let slot = self.maps.slots4.get(bucket * SLOTS + slot)?;
                (slot.kind != 0).then_some(slot)
            });
            slots.for_each(|slot| each(&slot));
        });
    }

    /// Calls `each` with every taken slot of IPv6 in this set, at rest.
    pub(super) fn read6(&self, set: usize, mut each: impl FnMut(&Slot6)) {
        self.touched(set, 1, |bucket| {
            let slots = (0..SLOTS).map_while(|slot| {
                let slot = self.maps.slots6.get(bucket * SLOTS + slot)?;
                (slot.kind != 0).then_some(slot)
            });
            slots.for_each(|slot| each(&slot));
        });
    }

    /// Empties this set, at rest. A process may die between any two writes: what says that
    /// something is there goes after it.
    pub(super) fn clear(&mut self, set: usize) {
        let mut touched = Vec::new();
        self.touched(set, 0, |bucket| touched.push(bucket));
        for bucket in touched.drain(..) {
            for slot in 0..SLOTS {
                self.maps
                    .slots4
                    .set(bucket * SLOTS + slot, Slot4::default());
            }
        }
        self.touched(set, 1, |bucket| touched.push(bucket));
        for bucket in touched {
            for slot in 0..SLOTS {
                self.maps
                    .slots6
                    .set(bucket * SLOTS + slot, Slot6::default());
            }
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

    fn clear_claims(&mut self, part: usize, family: usize) {
        let Some(bits) = self.bits.filter(|_| self.taken_of(part, family) != 0) else {
            return;
        };
        for word in words(part, bits) {
            self.maps.touched[family].set(word, 0);
        }
        let first = claims(part, family);
        for word in (first..first + CLAIM_WORDS).rev() {
            self.maps.claims.set(word, 0);
        }
    }

    /// Slots of a part that are taken.
    fn taken_of(&self, part: usize, family: usize) -> u32 {
        // Without tables the map has one element, which nobody counts in.
        self.maps.claims.get(claims(part, family)).unwrap_or(0)
    }

    /// Calls `each` with the index of every bucket of this set that has a taken slot; a CPU that saw
    /// nothing costs one look.
    fn touched(&self, set: usize, family: usize, mut each: impl FnMut(usize)) {
        let Some(bits) = self.bits else { return };
        for part in (0..self.cpus).map(|cpu| part(cpu, set)) {
            if self.taken_of(part, family) == 0 {
                continue;
            }
            let first = part << bits;
            for (number, word) in words(part, bits).enumerate() {
                let mut touched = self.maps.touched[family].get(word).unwrap_or(0);
                while touched != 0 {
                    each(first + number * 64 + touched.trailing_zeros() as usize);
                    touched &= touched - 1;
                }
            }
        }
    }
}

fn part(cpu: usize, set: usize) -> usize {
    cpu * 2 + set
}

fn claims(part: usize, family: usize) -> usize {
    (part * FAMILIES + family) * CLAIM_WORDS
}

/// The words of the touched map that belong to a part.
fn words(part: usize, bits: u32) -> std::ops::Range<usize> {
    let part = part as u32;
    let last = touched_word(part, (1 << bits) - 1, bits);
    touched_word(part, 0, bits) as usize..last as usize + 1
}
