//! What the API server reads from etcd, by its own count.

use zonemeter_lab::control_plane::ControlPlane;

/// What the agent lists and watches.
const RESOURCES: [&str; 4] = ["nodes", "pods", "services", "endpointslices"];
/// Requests to etcd, and lists that the watch cache did not answer.
const METRICS: [&str; 2] = [
    "etcd_request_duration_seconds_count{",
    "apiserver_storage_list_total{",
];

/// Reads of these resources so far.
pub(crate) fn reads(plane: &ControlPlane) -> u64 {
    let metrics = plane.kubectl(&["get", "--raw", "/metrics"]).unwrap();
    let counted = metrics.lines().filter(|line| is_read(line));
    let count = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
    counted.map(count).sum::<f64>() as u64
}

fn is_read(line: &str) -> bool {
    let is_ours = |resource: &str| line.contains(&format!("resource=\"{resource}\""));
    let is_write = ["create", "update", "delete"]
        .iter()
        .any(|operation| line.contains(&format!("operation=\"{operation}\"")));
    METRICS.iter().any(|metric| line.starts_with(metric))
        && RESOURCES.iter().any(|resource| is_ours(resource))
        && !is_write
}
