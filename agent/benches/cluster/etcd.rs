//! What the API server reads from etcd, by its own count.

use std::collections::BTreeMap;

use zonemeter_lab::control_plane::ControlPlane;

/// What the agent lists and watches.
const RESOURCES: [&str; 4] = ["nodes", "pods", "services", "endpointslices"];
/// Requests to etcd, and lists that the watch cache did not answer.
const METRICS: [&str; 2] = [
    "etcd_request_duration_seconds_count{",
    "apiserver_storage_list_total{",
];

/// Reads of these resources so far, by series.
pub(crate) fn reads(plane: &ControlPlane) -> BTreeMap<String, u64> {
    let metrics = plane.kubectl(&["get", "--raw", "/metrics"]).unwrap();
    let counted = metrics.lines().filter(|line| is_read(line));
    let read = |line: &str| {
        let (series, count) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), count.parse::<f64>().unwrap() as u64)
    };
    counted.map(read).collect()
}

/// How many there were between two calls; prints each series that has grown.
pub(crate) fn between(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> u64 {
    let grown = |(series, count): (&String, &u64)| {
        let more = count - before.get(series).copied().unwrap_or_default();
        if more > 0 {
            println!("  {more} more of {series}");
        }
        more
    };
    after.iter().map(grown).sum()
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
