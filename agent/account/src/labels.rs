//! From the two ends of a flow to the labels of its series.

use std::sync::Arc;

use zonemeter_model::{
    cluster::{Name, Pod},
    snapshot::{PodLabels, WorkloadLabels},
    traffic::Direction,
};
use zonemeter_naming::{resolve::Names, scope::Class};

/// The label sets that a flow is added to.
pub(crate) fn labels(
    names: &Names,
    pod: &Pod,
    direction: Direction,
    class: &Class,
) -> (PodLabels, WorkloadLabels) {
    let zone = names.home_zone().cloned().unwrap_or_default();
    let Name { namespace, name } = &pod.name;
    let Class {
        scope,
        peer_zone,
        via,
        peer_namespace,
        peer_workload,
    } = class.clone();
    let of_pod = PodLabels {
        namespace: Arc::clone(namespace),
        pod: Arc::clone(name),
        zone: Arc::clone(&zone),
        direction,
        scope,
        peer_zone: Arc::clone(&peer_zone),
        via,
    };
    let of_workload = WorkloadLabels {
        namespace: Arc::clone(namespace),
        workload: pod.workload.clone(),
        zone,
        direction,
        scope,
        peer_namespace,
        peer_workload,
        peer_zone,
        via,
    };
    (of_pod, of_workload)
}
