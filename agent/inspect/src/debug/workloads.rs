//! `/api/workloads`: totals by workload and scope, over all peers; the node's own units are
//! workloads, too.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Query, State},
};
use zonemeter_model::{
    cluster::Workload,
    snapshot::{HostSeries, Scope, Snapshot, WorkloadSeries},
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
type WorkloadKey = (Arc<str>, Arc<str>, Arc<str>);

fn workloads(snapshot: &Snapshot) -> Workloads {
    let mut rows: BTreeMap<WorkloadKey, BTreeMap<Scope, [u64; 2]>> = BTreeMap::new();
    let mut add = |namespace: &Arc<str>, workload: Workload, scope, direction, bytes| {
        let who = (Arc::clone(namespace), workload.name, workload.kind);
        let totals = rows.entry(who).or_default().entry(scope).or_default();
        totals[direction as usize] += bytes;
    };
    for WorkloadSeries { labels, bytes, .. } in &snapshot.workloads {
        let workload = labels.workload.clone();
        add(
            &labels.namespace,
            workload,
            labels.scope,
            labels.direction,
            *bytes,
        );
    }
    for HostSeries { labels, count, .. } in &snapshot.hosts {
        let party = &labels.party;
        add(
            &party.namespace,
            party.as_end(),
            labels.scope,
            labels.direction,
            count.bytes,
        );
    }
    let rows = rows
        .into_iter()
        .map(|((namespace, workload, kind), scopes)| WorkloadTotals {
            namespace: namespace.to_string(),
            workload: workload.to_string(),
            workload_kind: kind.to_string(),
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
