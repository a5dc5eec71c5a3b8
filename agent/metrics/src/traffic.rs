//! The families that come from one [`Snapshot`].

use zonemeter_model::{
    cluster::Kind,
    snapshot::{HostLabels, PodLabels, Snapshot, WorkloadLabels, direction_name},
    traffic::{BackendMethod, Class, Count, Direction},
};

use super::{catalogue as metric, catalogue::Metric, exposition::Exposition};

/// Writes every family of the snapshot; none while it is restoring, or counters would seem to begin
/// anew.
pub(super) fn write(body: &mut Exposition, snapshot: &Snapshot) {
    if snapshot.restoring {
        return;
    }
    write_pods(body, snapshot, &metric::POD_BYTES, bytes);
    write_pods(body, snapshot, &metric::POD_PACKETS, packets);
    write_workloads(body, snapshot);
    write_hosts(body, snapshot, &metric::HOST_BYTES, bytes);
    write_hosts(body, snapshot, &metric::HOST_PACKETS, packets);
    write_uplinks(body, snapshot, &metric::UPLINK_BYTES, bytes);
    write_uplinks(body, snapshot, &metric::UPLINK_PACKETS, packets);
    write_directions(
        body,
        &snapshot.hosts_retired,
        [&metric::HOST_RETIRED_BYTES, &metric::HOST_RETIRED_PACKETS],
    );
    write_sums(body, snapshot);
    write_cluster(body, snapshot);
}

fn write_pods(
    body: &mut Exposition,
    snapshot: &Snapshot,
    metric: &'static Metric,
    value: fn(&Count) -> u64,
) {
    let mut family = body.family(metric);
    for series in &snapshot.pods {
        let labels = pod_labels(&series.labels);
        family.sample_since(&labels, value(&series.count), series.created);
    }
}

fn pod_labels(labels: &PodLabels) -> [&str; 7] {
    [
        &labels.namespace,
        &labels.pod,
        &labels.zone,
        direction_name(labels.direction),
        labels.scope.name(),
        &labels.peer_zone,
        labels.via.name(),
    ]
}

fn write_workloads(body: &mut Exposition, snapshot: &Snapshot) {
    let mut family = body.family(&metric::WORKLOAD_BYTES);
    for series in &snapshot.workloads {
        family.sample_since(
            &workload_labels(&series.labels),
            series.bytes,
            series.created,
        );
    }
}

fn workload_labels(labels: &WorkloadLabels) -> [&str; 11] {
    [
        &labels.namespace,
        &labels.workload.name,
        &labels.workload.kind,
        &labels.zone,
        direction_name(labels.direction),
        labels.scope.name(),
        &labels.peer_namespace,
        &labels.peer_workload.name,
        &labels.peer_workload.kind,
        &labels.peer_zone,
        labels.via.name(),
    ]
}

fn write_hosts(
    body: &mut Exposition,
    snapshot: &Snapshot,
    metric: &'static Metric,
    value: fn(&Count) -> u64,
) {
    let mut family = body.family(metric);
    for series in &snapshot.hosts {
        let labels = host_labels(&series.labels);
        family.sample_since(&labels, value(&series.count), series.created);
    }
}

fn host_labels(labels: &HostLabels) -> [&str; 13] {
    let party = &labels.party;
    [
        party.kind.name(),
        &party.namespace,
        &party.pod,
        &party.workload.name,
        &party.workload.kind,
        &labels.zone,
        direction_name(labels.direction),
        labels.scope.name(),
        &labels.peer_namespace,
        &labels.peer_workload.name,
        &labels.peer_workload.kind,
        &labels.peer_zone,
        labels.via.name(),
    ]
}

fn write_uplinks(
    body: &mut Exposition,
    snapshot: &Snapshot,
    metric: &'static Metric,
    value: fn(&Count) -> u64,
) {
    let mut family = body.family(metric);
    for direction in Direction::ALL {
        for class in Class::ALL {
            let count = &snapshot.uplinks[direction as usize][class as usize];
            family.sample(&[direction_name(direction), class.name()], value(count));
        }
    }
}

fn write_sums(body: &mut Exposition, snapshot: &Snapshot) {
    let Snapshot {
        interface,
        pending,
        retired,
        before_attach,
        flow_overflow,
        ..
    } = snapshot;
    write_directions(
        body,
        interface,
        [&metric::INTERFACE_BYTES, &metric::INTERFACE_PACKETS],
    );
    write_unattributed(body, snapshot, &metric::UNATTRIBUTED_BYTES, bytes);
    write_unattributed(body, snapshot, &metric::UNATTRIBUTED_PACKETS, packets);
    write_directions(
        body,
        flow_overflow,
        [&metric::FLOW_OVERFLOW_BYTES, &metric::FLOW_OVERFLOW_PACKETS],
    );
    write_directions(
        body,
        pending,
        [&metric::PENDING_BYTES, &metric::PENDING_PACKETS],
    );
    write_directions(
        body,
        retired,
        [&metric::RETIRED_BYTES, &metric::RETIRED_PACKETS],
    );
    write_directions(
        body,
        before_attach,
        [&metric::BEFORE_ATTACH_BYTES, &metric::BEFORE_ATTACH_PACKETS],
    );
}

/// A family of bytes and one of packets by direction.
fn write_directions(body: &mut Exposition, counts: &[Count; 2], metrics: [&'static Metric; 2]) {
    for (metric, value) in metrics.into_iter().zip([bytes, packets]) {
        let mut family = body.family(metric);
        for direction in Direction::ALL {
            let count = &counts[direction as usize];
            family.sample(&[direction_name(direction)], value(count));
        }
    }
}

fn write_unattributed(
    body: &mut Exposition,
    snapshot: &Snapshot,
    metric: &'static Metric,
    value: fn(&Count) -> u64,
) {
    let mut family = body.family(metric);
    for direction in Direction::ALL {
        for (reason, counts) in &snapshot.unattributed {
            let labels = [direction_name(direction), reason.name()];
            family.sample(&labels, value(&counts[direction as usize]));
        }
    }
}

fn write_cluster(body: &mut Exposition, snapshot: &Snapshot) {
    if let Some(zone) = &snapshot.zone {
        let labels = [&*zone.node, &*zone.zone, &*zone.zone_id];
        body.family(&metric::ZONE_INFO).sample(&labels, 1);
    }
    body.family(&metric::SERIES_FOLDED)
        .sample(&[], snapshot.series_folded);
    body.family(&metric::RECONCILIATION_ERRORS)
        .sample(&[], snapshot.drains_that_disagreed);
    for (metric, value) in [
        (&metric::SERVICE_BYTES, bytes as fn(&Count) -> u64),
        (&metric::SERVICE_PACKETS, packets),
    ] {
        let mut family = body.family(metric);
        for method in BackendMethod::ALL {
            family.sample(&[method.name()], value(&snapshot.backends[method as usize]));
        }
    }
    let mut objects = body.family(&metric::CLUSTER_OBJECTS);
    for (kind, count) in Kind::ALL.into_iter().zip(snapshot.cluster_objects) {
        objects.sample(&[kind.name()], count);
    }
}

fn bytes(count: &Count) -> u64 {
    count.bytes
}

fn packets(count: &Count) -> u64 {
    count.packets
}
