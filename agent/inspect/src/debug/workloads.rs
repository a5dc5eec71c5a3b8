//! `/api/workloads`: totals by workload and scope, over all peers.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Query, State},
};
use zonemeter_model::{
    snapshot::{Scope, Snapshot, WorkloadSeries},
    traffic::Direction,
};

use super::{
    answer::{Refusal, ScopeTotals, WorkloadTotals, Workloads},
    query::Parameters,
};

pub(super) async fn list(
    State(state): State<super::State>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<Workloads>, Refusal> {
    Parameters::new(pairs, &[])?;
    let snapshot = Arc::clone(&state.snapshots.borrow());
    Ok(Json(workloads(&snapshot)))
}

/// Namespace, workload, kind.
type Who<'a> = (&'a str, &'a str, &'a str);

fn workloads(snapshot: &Snapshot) -> Workloads {
    let mut rows: BTreeMap<Who<'_>, BTreeMap<Scope, [u64; 2]>> = BTreeMap::new();
    for WorkloadSeries { labels, bytes, .. } in &snapshot.workloads {
        let who = (
            &*labels.namespace,
            &*labels.workload.name,
            &*labels.workload.kind,
        );
        let totals = rows
            .entry(who)
            .or_default()
            .entry(labels.scope)
            .or_default();
        totals[labels.direction as usize] += bytes;
    }
    let rows = rows
        .into_iter()
        .map(|((namespace, workload, kind), scopes)| WorkloadTotals {
            namespace: namespace.to_owned(),
            workload: workload.to_owned(),
            workload_kind: kind.to_owned(),
            scopes: scopes.into_iter().map(scope_totals).collect(),
        });
    Workloads {
        workloads: rows.collect(),
    }
}

fn scope_totals((scope, bytes): (Scope, [u64; 2])) -> ScopeTotals {
    ScopeTotals {
        scope: scope.name().to_owned(),
        transmit_bytes: bytes[Direction::Transmit as usize],
        receive_bytes: bytes[Direction::Receive as usize],
    }
}
