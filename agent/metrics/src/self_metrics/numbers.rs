//! What the agent's numbers about itself are kept in.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use crate::exposition::{Decimal, Family};

/// What writes its samples by itself.
pub(super) trait Samples {
    /// Writes all of them, from the first scrape on.
    fn write(&self, family: &mut Family<'_>);
}

/// A counter or a gauge of whole numbers.
#[derive(Debug, Default)]
pub(super) struct Number(AtomicU64);

impl Number {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// A gauge of seconds since 1970; 0 until it is set.
#[derive(Debug, Default)]
pub(super) struct Timestamp(AtomicU64);

impl Timestamp {
    /// A clock before 1970 shows as 0.
    pub(super) fn set(&self, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.0
            .store(since.as_secs_f64().to_bits(), Ordering::Relaxed);
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Decimal(f64::from_bits(self.0.load(Ordering::Relaxed))).fmt(f)
    }
}

/// One number for each value of one label, all of which are known beforehand and shown from the
/// start.
#[derive(Debug)]
pub(super) struct ByLabel<N>(Vec<(&'static str, N)>);

impl<N: Default> ByLabel<N> {
    /// Every value at zero, in this order.
    pub(super) fn new<const L: usize>(values: [&'static str; L]) -> Self {
        Self(values.map(|value| (value, N::default())).into())
    }

    /// The number of this value; `None` for a value that was not given at first.
    pub(super) fn get(&self, value: &str) -> Option<&N> {
        let found = self.0.iter().find(|(name, _)| *name == value);
        found.map(|(_, number)| number)
    }
}

impl ByLabel<Number> {
    /// Sets the number of this value.
    pub(super) fn set(&self, value: &str, number: u64) {
        if let Some(found) = self.get(value) {
            found.set(number);
        }
    }

    /// Adds to the number of this value.
    pub(super) fn add(&self, value: &str, more: u64) {
        if let Some(found) = self.get(value) {
            found.add(more);
        }
    }
}

/// Observations by size.
#[derive(Debug)]
pub(super) struct Histogram<const B: usize> {
    bounds: [f64; B],
    seen: Mutex<Seen<B>>,
}

#[derive(Debug)]
struct Seen<const B: usize> {
    sum: f64,
    count: u64,
    /// Observations up to each bound.
    up_to: [u64; B],
}

impl<const B: usize> Histogram<B> {
    /// Upper bounds, going up.
    pub(super) fn new(bounds: [f64; B]) -> Self {
        let seen = Seen {
            sum: 0.0,
            count: 0,
            up_to: [0; B],
        };
        Self {
            bounds,
            seen: Mutex::new(seen),
        }
    }

    pub(super) fn observe(&self, value: f64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.sum += value;
        seen.count += 1;
        for (bound, up_to) in self.bounds.iter().zip(&mut seen.up_to) {
            *up_to += u64::from(value <= *bound);
        }
    }
}

impl Samples for Number {
    fn write(&self, family: &mut Family<'_>) {
        family.sample(&[], self);
    }
}

impl Samples for Timestamp {
    fn write(&self, family: &mut Family<'_>) {
        family.sample(&[], self);
    }
}

impl<N: fmt::Display> Samples for ByLabel<N> {
    fn write(&self, family: &mut Family<'_>) {
        for (value, number) in &self.0 {
            family.sample(&[value], number);
        }
    }
}

impl<const B: usize> Samples for Histogram<B> {
    fn write(&self, family: &mut Family<'_>) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = self.bounds.into_iter().zip(seen.up_to);
        family.histogram(seen.sum, seen.count, buckets);
    }
}
