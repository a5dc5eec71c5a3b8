//! `/api/health`: what is counted, whether the sums are equal, what is missing.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::{Query, State},
};
use zonemeter_model::{
    recent::Recent,
    snapshot::{Snapshot, direction_name},
    traffic::{Count, Direction},
};

use super::{
    Standing,
    answer::{DirectionSums, HealthShown, Refusal, UnattributedShown, unix_seconds},
    query::Parameters,
    zones::total,
};

pub(super) async fn show(
    State(state): State<super::State>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<HealthShown>, Refusal> {
    Parameters::new(pairs, &[])?;
    let snapshot = Arc::clone(&state.snapshots.borrow());
    let recent = Arc::clone(&state.recent.borrow());
    let Standing {
        ready,
        alive,
        missing,
        uncounted_pods,
    } = (state.standing)();
    let counted: BTreeSet<_> = recent
        .interfaces
        .iter()
        .filter_map(|interface| interface.pod.as_ref().map(|(name, _)| name))
        .collect();
    let zone = snapshot.zone.clone();
    let covered = snapshot.covered;
    let since = |at: Instant| Instant::now().saturating_duration_since(at).as_secs_f64();
    Ok(Json(HealthShown {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node: zone
            .as_ref()
            .map_or(String::new(), |zone| zone.node.to_string()),
        zone: zone
            .as_ref()
            .map_or(String::new(), |zone| zone.zone.to_string()),
        zone_id: zone
            .as_ref()
            .map_or(String::new(), |zone| zone.zone_id.to_string()),
        since_unix_seconds: covered.map_or(0.0, |covered| {
            let lasted: Duration = covered.until.saturating_duration_since(covered.since);
            unix_seconds(covered.ended) - lasted.as_secs_f64()
        }),
        age_seconds: covered.map(|covered| since(covered.until)),
        ready,
        alive,
        missing,
        interfaces: recent.interfaces.len(),
        counted_pods: counted.len(),
        uncounted_pods,
        sums: Direction::ALL
            .map(|direction| sums(&snapshot, direction))
            .into(),
        unattributed: unattributed(&snapshot),
        drains_that_disagreed: snapshot.drains_that_disagreed,
        lacking: lacking(&recent),
    }))
}

fn sums(snapshot: &Snapshot, direction: Direction) -> DirectionSums {
    let index = direction as usize;
    let mut pods = Count::ZERO;
    for series in &snapshot.pods {
        if series.labels.direction == direction {
            pods += series.count;
        }
    }
    let mut unattributed = Count::ZERO;
    for (_, counts) in &snapshot.unattributed {
        unattributed += counts[index];
    }
    let (pending, retired) = (snapshot.pending[index], snapshot.retired[index]);
    let mut sum = pods;
    [unattributed, pending, retired]
        .into_iter()
        .for_each(|part| sum += part);
    let interfaces = snapshot.interface[index];
    DirectionSums {
        direction: direction_name(direction).to_owned(),
        pods: total(pods),
        unattributed: total(unattributed),
        pending: total(pending),
        retired: total(retired),
        interfaces: total(interfaces),
        equal: sum == interfaces,
    }
}

fn unattributed(snapshot: &Snapshot) -> Vec<UnattributedShown> {
    let seen = snapshot.unattributed.iter();
    let mut shown: Vec<_> = seen
        .filter(|(_, counts)| *counts != [Count::ZERO; 2])
        .map(|(reason, counts)| {
            let [transmit, receive] = counts.map(total);
            UnattributedShown {
                reason: reason.name().to_owned(),
                transmit,
                receive,
            }
        })
        .collect();
    shown.sort_by(|one, other| one.reason.cmp(&other.reason));
    shown
}

fn lacking(recent: &Recent) -> Vec<String> {
    let mut lacking: Vec<String> = recent
        .interfaces
        .iter()
        .filter_map(|one| Some(format!("{}: {}", one.name, one.lacks.as_ref()?)))
        .collect();
    lacking.sort();
    lacking
}
