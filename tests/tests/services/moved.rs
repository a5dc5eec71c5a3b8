//! What moved in the metrics of all nodes while a path was taken.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use zonemeter_lab::{Agent, Family, Metrics};

use crate::{cluster::Cluster, party::Labels};

/// Longer than a peer is waited for that the API may yet name.
const PATIENCE: Duration = Duration::from_secs(30);

/// One series of the workload family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) workload: String,
    pub(crate) direction: &'static str,
    pub(crate) labels: Labels,
}

/// Bytes by series.
pub(crate) type Bytes = BTreeMap<Series, u64>;

/// A reading of every agent.
pub(crate) struct Reading {
    bytes: Bytes,
    methods: BTreeMap<String, u64>,
}

impl Reading {
    /// Everything sent before the call is in it. In IPv6 neighbour discovery comes and goes by
    /// itself, so what stays on the link is left out.
    pub(crate) fn take(agents: &mut [Agent], family: Family) -> Self {
        let scrapes = Agent::all_settled(agents).unwrap();
        let mut reading = Self {
            bytes: Bytes::new(),
            methods: BTreeMap::new(),
        };
        scrapes.iter().for_each(|metrics| reading.add(metrics));
        let is_kept = |series: &Series| family.has_v4() || series.labels.scope != "link_local";
        reading.bytes.retain(|series, _| is_kept(series));
        reading
    }

    fn add(&mut self, metrics: &Metrics) {
        for direction in ["transmit", "receive"] {
            let wanted = [("direction", direction)];
            for sample in metrics.select("zonemeter_workload_bytes_total", &wanted) {
                let label = |name| sample.label(name).to_owned();
                let series = Series {
                    workload: label("workload"),
                    direction,
                    labels: Labels {
                        scope: label("scope"),
                        peer_zone: label("peer_zone"),
                        peer_kind: label("peer_workload_kind"),
                        peer: label("peer_workload"),
                    },
                };
                *self.bytes.entry(series).or_default() += sample.value as u64;
            }
        }
        for sample in metrics.select("zonemeter_service_bytes_total", &[]) {
            let method = sample.label("method").to_owned();
            *self.methods.entry(method).or_default() += sample.value as u64;
        }
    }

    /// What has moved since `before`.
    pub(crate) fn since(&self, before: &Self) -> Bytes {
        let grown = self.bytes.iter().map(|(series, bytes)| {
            let earlier = before.bytes.get(series).copied().unwrap_or_default();
            (series.clone(), bytes - earlier)
        });
        grown.filter(|(_, bytes)| *bytes > 0).collect()
    }

    /// Bytes to and from Service addresses since `before`, by method, without zeros.
    pub(crate) fn methods_since(&self, before: &Self) -> BTreeMap<String, u64> {
        let grown = self.methods.iter().map(|(method, bytes)| {
            let earlier = before.methods.get(method).copied().unwrap_or_default();
            (method.clone(), bytes - earlier)
        });
        grown.filter(|(_, bytes)| *bytes > 0).collect()
    }
}

/// Waits until exactly `expected` has moved since `before`.
pub(crate) fn wait(
    cluster: &mut Cluster,
    before: &Reading,
    expected: &Bytes,
    what: &str,
) -> Reading {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = Reading::take(&mut cluster.agents, cluster.family);
        let moved = now.since(before);
        if moved == *expected {
            return now;
        }
        assert!(
            Instant::now() < deadline,
            "{what}: expected {expected:#?}, the metrics show {moved:#?}, methods {:?}",
            now.methods_since(before)
        );
        thread::sleep(Duration::from_millis(100));
    }
}
