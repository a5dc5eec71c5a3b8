//! `/api/zones`: totals by zone, peer zone and scope.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Query, State},
};
use zonemeter_model::{
    snapshot::{HostSeries, PodSeries, Scope, Snapshot},
    traffic::{Count, Direction},
};

use super::{
    answer::{Refusal, Total, ZonePair, Zones},
    query::Parameters,
};

pub(super) async fn list(
    State(state): State<super::State>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<Zones>, Refusal> {
    Parameters::new(pairs, &[])?;
    let snapshot = Arc::clone(&state.snapshots.borrow());
    Ok(Json(zones(&snapshot)))
}

fn zones(snapshot: &Snapshot) -> Zones {
    let mut pairs: BTreeMap<(&str, &str, Scope), [Count; 2]> = BTreeMap::new();
    for PodSeries { labels, count, .. } in &snapshot.pods {
        let counts = pairs
            .entry((&labels.zone, &labels.peer_zone, labels.scope))
            .or_default();
        counts[labels.direction as usize] += *count;
    }
    for HostSeries { labels, count, .. } in &snapshot.hosts {
        let counts = pairs
            .entry((&labels.zone, &labels.peer_zone, labels.scope))
            .or_default();
        counts[labels.direction as usize] += *count;
    }
    let row = |((zone, peer_zone, scope), counts): ((&str, &str, Scope), [Count; 2])| ZonePair {
        zone: zone.to_owned(),
        peer_zone: peer_zone.to_owned(),
        scope: scope.name().to_owned(),
        transmit: total(counts[Direction::Transmit as usize]),
        receive: total(counts[Direction::Receive as usize]),
    };
    Zones {
        zones: pairs.into_iter().map(row).collect(),
    }
}

/// A count as the JSON has it.
pub(super) fn total(count: Count) -> Total {
    Total {
        bytes: count.bytes,
        packets: count.packets,
    }
}
