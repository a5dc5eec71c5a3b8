//! What scrapes show, one after the other and beside the wire.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use zonemeter_lab::{Agent, Count, Metrics, Sample};

use super::PATIENCE;

/// What `/metrics` shows of a drain; all of it is kept.
const FAMILIES: [&str; 8] = [
    "zonemeter_pod_",
    "zonemeter_workload_",
    "zonemeter_interface_",
    "zonemeter_unattributed_",
    "zonemeter_retired_",
    "zonemeter_before_attach_",
    "zonemeter_service_",
    "zonemeter_series_folded_",
];

/// The first scrape that shows traffic; compared with the one before it.
pub(super) fn shown_after(agent: &Agent, last: &Metrics) -> Metrics {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Not listening yet is an error; listening and still reading shows no traffic.
        if let Ok(now) = scrape(agent)
            && now
                .select("zonemeter_interface_bytes_total", &[])
                .next()
                .is_some()
        {
            never_back(last, &now);
            return now;
        }
        assert!(Instant::now() < deadline, "{}", agent.log().unwrap());
        thread::sleep(Duration::from_millis(5));
    }
}

/// In OpenMetrics, with the times since when series count.
pub(super) fn scrape(agent: &Agent) -> anyhow::Result<Metrics> {
    let accept = ("accept", "application/openmetrics-text; version=1.0.0");
    let answer = agent.get_with("/metrics", &[accept])?;
    let metrics = Metrics::parse(&answer.body)?;
    // An imbalance is no reason to try again.
    metrics.check_conservation().unwrap();
    Ok(metrics)
}

/// Each counter of the first scrape is in the second, counts since the same time, and is no lower.
pub(super) fn never_back(before: &Metrics, after: &Metrics) {
    let key = |sample: &Sample| format!("{}{:?}", sample.name, sample.labels);
    let kept = |sample: &&Sample| {
        FAMILIES
            .iter()
            .any(|family| sample.name.starts_with(family))
    };
    let values: BTreeMap<String, f64> = after
        .samples()
        .iter()
        .map(|sample| (key(sample), sample.value))
        .collect();
    for sample in before.samples().iter().filter(kept) {
        let now = values.get(&key(sample)).copied();
        let goes_on = match sample.name.ends_with("_created") {
            true => now == Some(sample.value),
            false => now >= Some(sample.value),
        };
        assert!(goes_on, "{sample}, then {now:?}");
    }
}

fn directions(of: impl Fn(&str, &str) -> u64) -> [Count; 2] {
    ["transmit", "receive"].map(|direction| Count {
        bytes: of("bytes", direction),
        packets: of("packets", direction),
    })
}

/// All IP traffic, from the pods and to them.
pub(super) fn seen(metrics: &Metrics) -> [Count; 2] {
    directions(|unit, direction| {
        let name = format!("zonemeter_interface_{unit}_total");
        metrics.sum(&name, &[("direction", direction)])
    })
}

/// Of what has a peer, and of what found no room in the tables.
const SCOPES: [&str; 2] = ["cross_zone", "unknown"];

/// The client's traffic with another zone, which is that with the server.
pub(super) fn of_pods(metrics: &Metrics) -> [Count; 2] {
    directions(|unit, direction| {
        let name = format!("zonemeter_pod_{unit}_total");
        let of = |scope| {
            let labels = [
                ("direction", direction),
                ("scope", scope),
                ("pod", "client"),
            ];
            metrics.sum(&name, &labels)
        };
        SCOPES.into_iter().map(of).sum()
    })
}

/// Bytes between the two workloads.
pub(super) fn of_workloads(metrics: &Metrics) -> [u64; 2] {
    ["transmit", "receive"].map(|direction| {
        let of = |scope| {
            let labels = [("direction", direction), ("scope", scope)];
            metrics.sum("zonemeter_workload_bytes_total", &labels)
        };
        SCOPES.into_iter().map(of).sum()
    })
}
