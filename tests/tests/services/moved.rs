//! What moved in the metrics of all nodes since they were last looked at.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use zonemeter_lab::{Agent, Family, Metrics, SILENCE};

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

/// Bytes to and from Service addresses, by the method that named the other end.
pub(crate) type Methods = BTreeMap<String, u64>;

/// A reading of every agent.
pub(crate) struct Reading {
    bytes: Bytes,
    methods: Methods,
}

impl Reading {
    /// Everything sent before the call is in it. In IPv6 neighbour discovery comes and goes by
    /// itself, so what stays on the link is left out.
    fn take(agents: &mut [Agent], family: Family) -> Self {
        let scrapes = Agent::all_settled(agents).unwrap();
        let mut reading = Self {
            bytes: Bytes::new(),
            methods: Methods::new(),
        };
        scrapes.iter().for_each(|metrics| reading.add(metrics));
        let is_kept = |series: &Series| family.has_v4() || series.labels.scope != "link_local";
        reading.bytes.retain(|series, _| is_kept(series));
        reading
    }

    /// Waits until what pods say by themselves at start (multicast reports) is over.
    pub(crate) fn quiet(agents: &mut [Agent], family: Family) -> Self {
        let deadline = Instant::now() + PATIENCE;
        let mut before = Self::take(agents, family);
        loop {
            thread::sleep(SILENCE);
            let now = Self::take(agents, family);
            if now.since(&before).is_empty() {
                return now;
            }
            assert!(Instant::now() < deadline, "the pods do not fall silent");
            before = now;
        }
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

    fn since(&self, before: &Self) -> Bytes {
        grown(&self.bytes, &before.bytes)
    }
}

/// What has grown, and by how much.
fn grown<K: Clone + Ord>(now: &BTreeMap<K, u64>, before: &BTreeMap<K, u64>) -> BTreeMap<K, u64> {
    let grown = now.iter().map(|(key, value)| {
        let earlier = before.get(key).copied().unwrap_or_default();
        (key.clone(), value - earlier)
    });
    grown.filter(|(_, more)| *more > 0).collect()
}

/// What moved, and by which methods the other ends of Service addresses were named.
pub(crate) struct Moved {
    pub(crate) bytes: Bytes,
    pub(crate) methods: Methods,
}

/// Waits until the metrics have moved by exactly what `expected` says, and until both stand still:
/// a connection ends some time after its last byte, so the truth behind `expected` is read again
/// for every reading of the agents, and it must fit twice in a row.
pub(crate) fn wait(
    cluster: &mut Cluster,
    what: &str,
    expected: impl Fn(&Cluster) -> Bytes,
) -> Moved {
    let deadline = Instant::now() + PATIENCE;
    let mut fitted = None;
    loop {
        let wanted = expected(cluster);
        let now = Reading::take(&mut cluster.agents, cluster.family);
        let bytes = now.since(&cluster.reading);
        let methods = grown(&now.methods, &cluster.reading.methods);
        if bytes == wanted && fitted.as_ref() == Some(&bytes) {
            cluster.reading = now;
            return Moved { bytes, methods };
        }
        assert!(
            Instant::now() < deadline,
            "{what}: expected {wanted:#?}, the metrics show {bytes:#?}, by {methods:?}",
        );
        fitted = (bytes == wanted).then_some(bytes);
    }
}
