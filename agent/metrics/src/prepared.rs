//! The traffic part of `/metrics`, rendered as soon as a drain has ended, so that a scraper need
//! not wait for it: at 10,000 series it is most of a scrape's time.
//!
//! Only for formats in which somebody has asked lately; whoever asks for the first time waits.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::task::spawn_blocking;
use zonemeter_model::snapshot::Snapshot;

use super::{
    State,
    exposition::{Exposition, Format},
    packing::Part,
    traffic,
};

/// How long a scraper is expected to come again: longer than any usual interval.
const EXPECTED: Duration = Duration::from_secs(5 * 60);

/// How a scraper wants the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variant {
    pub(super) format: Format,
    pub(super) gzip: bool,
}

impl Variant {
    const ALL: [Self; 4] = [
        Self::new(Format::Prometheus, false),
        Self::new(Format::Prometheus, true),
        Self::new(Format::OpenMetrics, false),
        Self::new(Format::OpenMetrics, true),
    ];

    const fn new(format: Format, gzip: bool) -> Self {
        Self { format, gzip }
    }
}

/// What is ready, by variant. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Prepared(Arc<[Mutex<Slot>; Variant::ALL.len()]>);

#[derive(Debug, Default)]
struct Slot {
    asked: Option<Instant>,
    /// The snapshot that it shows is not kept for it.
    part: Option<(Weak<Snapshot>, Part)>,
}

impl Prepared {
    /// The part that shows this snapshot; somebody asks for it.
    pub(super) fn get(&self, variant: Variant, snapshot: &Arc<Snapshot>) -> io::Result<Part> {
        {
            let mut slot = self.slot(variant);
            slot.asked = Some(Instant::now());
            if let Some(part) = slot.of(snapshot) {
                return Ok(part);
            }
        }
        self.render(variant, snapshot)
    }

    /// Renders what is expected to be asked for, and forgets what is not.
    fn prepare(&self, snapshot: &Arc<Snapshot>, now: Instant) {
        for variant in Variant::ALL {
            let asked = self.slot(variant).asked;
            if asked.is_some_and(|asked| now.saturating_duration_since(asked) < EXPECTED) {
                // Whoever asks then learns of a failure.
                let _ = self.render(variant, snapshot);
            } else {
                self.slot(variant).part = None;
            }
        }
    }

    fn render(&self, variant: Variant, snapshot: &Arc<Snapshot>) -> io::Result<Part> {
        let mut body = Exposition::new(variant.format, variant.gzip);
        traffic::write(&mut body, snapshot);
        let part = body.part()?;
        self.slot(variant).part = Some((Arc::downgrade(snapshot), part.clone()));
        Ok(part)
    }

    fn slot(&self, variant: Variant) -> MutexGuard<'_, Slot> {
        let index = usize::from(variant.format == Format::OpenMetrics) * 2;
        let slot = &self.0[index + usize::from(variant.gzip)];
        // A slot is whole at any moment.
        slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn of(&self, snapshot: &Arc<Snapshot>) -> Option<Part> {
        let (of, part) = self.part.as_ref()?;
        Weak::ptr_eq(of, &Arc::downgrade(snapshot)).then(|| part.clone())
    }
}

/// Prepares after every drain, for ever.
pub async fn prepare(state: State) -> Result<()> {
    let mut snapshots = state.snapshots;
    while snapshots.changed().await.is_ok() {
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        let prepared = state.prepared.clone();
        spawn_blocking(move || prepared.prepare(&snapshot, Instant::now())).await?;
    }
    // Nobody drains any more: whoever did says why.
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    const GZIP: Variant = Variant::new(Format::OpenMetrics, true);

    fn is_ready(prepared: &Prepared, variant: Variant, snapshot: &Arc<Snapshot>) -> bool {
        prepared.slot(variant).of(snapshot).is_some()
    }

    #[test]
    fn every_variant_has_a_slot_of_its_own() {
        let (prepared, snapshot) = (Prepared::default(), Arc::default());
        for (count, variant) in Variant::ALL.into_iter().enumerate() {
            let ready = |variant: &Variant| is_ready(&prepared, *variant, &snapshot);
            assert_eq!(
                Variant::ALL.iter().filter(|variant| ready(variant)).count(),
                count
            );
            prepared.get(variant, &snapshot).unwrap();
        }
    }

    #[test]
    fn what_was_asked_for_lately_is_ready_after_the_next_drain() {
        let prepared = Prepared::default();
        let [first, second, third]: [Arc<Snapshot>; 3] = Default::default();
        prepared.get(GZIP, &first).unwrap();
        let now = Instant::now();
        prepared.prepare(&second, now);
        assert!(is_ready(&prepared, GZIP, &second));
        assert!(!is_ready(&prepared, GZIP, &first));
        let other = Variant::new(Format::Prometheus, false);
        assert!(!is_ready(&prepared, other, &second));
        prepared.prepare(&third, now + EXPECTED);
        assert!(prepared.slot(GZIP).part.is_none());
    }
}
