//! Fewer ranges that say the same: for every address, the entry of the longest prefix stays.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::table::{Entries, Entry};

/// Joins neighbours that say the same, then drops what the range around it says already.
pub(super) fn aggregate(entries: Entries) -> Entries {
    without_repetitions(joined(entries))
}

/// From the longest prefixes up: two halves that say the same become their whole, which takes
/// the place of what the whole said, for no address of it was left to that.
fn joined(entries: Entries) -> Entries {
    let mut by_length: BTreeMap<(u8, IpNet), Entry> = entries
        .into_iter()
        .map(|(range, entry)| ((range.prefix_len(), range), entry))
        .collect();
    let mut done = Entries::new();
    while let Some(((length, range), entry)) = by_length.pop_last() {
        let whole = range.supernet();
        let other = whole.and_then(|whole| other_half(whole, range));
        let same = |other: &IpNet| by_length.get(&(length, *other)) == Some(&entry);
        match (whole, other.filter(same)) {
            (Some(whole), Some(other)) => {
                by_length.remove(&(length, other));
                by_length.insert((whole.prefix_len(), whole), entry);
            }
            _ => {
                done.insert(range, entry);
            }
        }
    }
    done
}

fn other_half(whole: IpNet, half: IpNet) -> Option<IpNet> {
    let mut halves = whole.subnets(half.prefix_len()).ok()?;
    halves.find(|other| *other != half)
}

/// Networks sort before those inside them, so the nearest one around is the last one kept that
/// contains it.
fn without_repetitions(entries: Entries) -> Entries {
    let mut kept = Entries::new();
    let mut around: Vec<(IpNet, Entry)> = Vec::new();
    for (range, entry) in entries {
        while around
            .last()
            .is_some_and(|(outer, _)| !outer.contains(&range))
        {
            around.pop();
        }
        if around.last().is_some_and(|(_, outer)| *outer == entry) {
            continue;
        }
        around.push((range, entry.clone()));
        kept.insert(range, entry);
    }
    kept
}
