//! `/api/interfaces`: what is counted, and where.

use axum::{
    Json,
    extract::{Query, State},
};
use zonemeter_model::recent::{Recent, RecentInterface};

use super::{
    answer::{Interface, Interfaces, Refusal, unix_seconds},
    flows::traffic,
    query::Parameters,
    zones::total,
};

pub(super) async fn list(
    State(state): State<super::State>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<Interfaces>, Refusal> {
    Parameters::new(pairs, &[])?;
    let recent = state.recorded().await;
    let mut interfaces: Vec<_> = recent
        .interfaces
        .iter()
        .map(|one| row(one, &recent))
        .collect();
    interfaces.sort_by(|one, other| (&one.name, one.index).cmp(&(&other.name, other.index)));
    let [transmit_overflow, receive_overflow] = recent.overflow.map(total);
    Ok(Json(Interfaces {
        drained_unix_seconds: unix_seconds(recent.ended),
        seconds: recent.lasted.as_secs_f64(),
        transmit_overflow,
        receive_overflow,
        interfaces,
    }))
}

fn row(interface: &RecentInterface, recent: &Recent) -> Interface {
    let pod = interface.pod.as_ref().map(|(name, _)| name);
    let found_by = interface.pod.as_ref().map(|(_, by)| by.name());
    let [transmit, receive] = interface.seen.map(|count| traffic(count, recent));
    let [transmit_before_attach, receive_before_attach] = interface.before_attach.map(total);
    Interface {
        name: interface.name.to_string(),
        index: interface.index,
        namespace: pod.map_or(String::new(), |name| name.namespace.to_string()),
        pod: pod.map_or(String::new(), |name| name.name.to_string()),
        pod_found_by: found_by.unwrap_or_default().to_owned(),
        transmit,
        receive,
        transmit_before_attach,
        receive_before_attach,
        lacks: interface.lacks.as_deref().map(str::to_owned),
    }
}
