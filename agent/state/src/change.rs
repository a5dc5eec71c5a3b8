//! What two lists of series differ by. Both are in the order of their labels, so that one walk over
//! them finds it; who reads it needs positions only, and may have another order.

use std::{mem, time::SystemTime};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use zonemeter_model::{
    snapshot::{HostLabels, HostSeries, PodLabels, PodSeries, WorkloadLabels, WorkloadSeries},
    traffic::Count,
};

/// A series of either family.
pub(super) trait Series {
    /// What tells it from others.
    type Labels: Ord;
    /// What tells it from others.
    fn labels(&self) -> &Self::Labels;
    /// When it began.
    fn created(&self) -> SystemTime;
    /// Its value; a series of bytes only has no packets.
    fn total(&self) -> Count;
    /// Gives it a value.
    fn set_total(&mut self, total: Count);
}

impl Series for PodSeries {
    type Labels = PodLabels;

    fn labels(&self) -> &PodLabels {
        &self.labels
    }

    fn created(&self) -> SystemTime {
        self.created
    }

    fn total(&self) -> Count {
        self.count
    }

    fn set_total(&mut self, total: Count) {
        self.count = total;
    }
}

impl Series for HostSeries {
    type Labels = HostLabels;

    fn labels(&self) -> &HostLabels {
        &self.labels
    }

    fn created(&self) -> SystemTime {
        self.created
    }

    fn total(&self) -> Count {
        self.count
    }

    fn set_total(&mut self, total: Count) {
        self.count = total;
    }
}

impl Series for WorkloadSeries {
    type Labels = WorkloadLabels;

    fn labels(&self) -> &WorkloadLabels {
        &self.labels
    }

    fn created(&self) -> SystemTime {
        self.created
    }

    fn total(&self) -> Count {
        Count {
            bytes: self.bytes,
            packets: 0,
        }
    }

    fn set_total(&mut self, total: Count) {
        self.bytes = total.bytes;
    }
}

/// The way from one list of series to the next; `R` is a series as it is written.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Changes<R> {
    /// Position in the earlier list, and by how many bytes and packets it grew.
    grown: Vec<(u32, u64, u64)>,
    /// Positions in the earlier list, going up.
    gone: Vec<u32>,
    /// Positions in the later list, going up, and what stands there.
    new: Vec<(u32, R)>,
}

impl<R> Changes<R> {
    /// The way from `before` to `after`. One that began anew under the same labels is gone and
    /// new.
    pub(super) fn between<'s, S: Series>(
        before: &[S],
        after: &'s [S],
        write: impl Fn(&'s S) -> R,
    ) -> Self {
        let mut changes = Self {
            grown: Vec::new(),
            gone: Vec::new(),
            new: Vec::new(),
        };
        let mut after = (0..).zip(after).peekable();
        for (position, old) in (0..).zip(before) {
            while let Some((at, new)) = after.next_if(|(_, new)| new.labels() < old.labels()) {
                changes.new.push((at, write(new)));
            }
            let Some((at, new)) = after.next_if(|(_, new)| new.labels() == old.labels()) else {
                changes.gone.push(position);
                continue;
            };
            match growth(old, new) {
                Some(Count::ZERO) => {}
                Some(Count { bytes, packets }) => changes.grown.push((position, bytes, packets)),
                None => {
                    changes.gone.push(position);
                    changes.new.push((at, write(new)));
                }
            }
        }
        changes.new.extend(after.map(|(at, new)| (at, write(new))));
        changes
    }

    /// Takes `series` this way.
    ///
    /// # Errors
    /// When it does not begin there.
    pub(super) fn apply<S: Series>(
        self,
        series: &mut Vec<S>,
        read: impl FnMut(R) -> Result<S>,
    ) -> Result<()> {
        for (position, bytes, packets) in self.grown {
            let one = series.get_mut(position as usize);
            let one = one.context("a change of a series that is not there")?;
            let total = plus(one.total(), Count { bytes, packets });
            one.set_total(total.context("a total beyond 64 bits")?);
        }
        take_out(series, self.gone)?;
        put_in(series, self.new, read)
    }
}

fn take_out<S>(series: &mut Vec<S>, gone: Vec<u32>) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let mut gone = gone.into_iter().peekable();
    let mut positions = 0..;
    series.retain(|_| {
        let position = positions.next();
        gone.next_if(|gone| Some(*gone) == position).is_none()
    });
    ensure!(
        gone.next().is_none(),
        "the end of a series that is not there"
    );
    Ok(())
}

fn put_in<S, R>(
    series: &mut Vec<S>,
    new: Vec<(u32, R)>,
    mut read: impl FnMut(R) -> Result<S>,
) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let mut old = mem::take(series).into_iter();
    for (at, one) in new {
        let between = (at as usize).saturating_sub(series.len());
        series.extend(old.by_ref().take(between));
        ensure!(series.len() == at as usize, "a new series out of its place");
        series.push(read(one)?);
    }
    series.extend(old);
    Ok(())
}

/// By how much it grew; `None` where it is not the same series going on.
fn growth<S: Series>(old: &S, new: &S) -> Option<Count> {
    let (before, after) = (old.total(), new.total());
    let same = old.created() == new.created();
    same.then_some(Count {
        bytes: after.bytes.checked_sub(before.bytes)?,
        packets: after.packets.checked_sub(before.packets)?,
    })
}

fn plus(a: Count, b: Count) -> Option<Count> {
    Some(Count {
        bytes: a.bytes.checked_add(b.bytes)?,
        packets: a.packets.checked_add(b.packets)?,
    })
}
