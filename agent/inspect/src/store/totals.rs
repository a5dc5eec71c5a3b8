//! Bytes of the last day, as an agent has its totals.

use std::collections::BTreeMap;

use anyhow::Result;
use zonemeter_model::snapshot::Scope;

use super::{Store, http::Sample, now};
use crate::debug::answer::{ScopeTotals, Total, WorkloadTotals, Workloads, ZonePair, Zones};

/// Times are rounded to it, so that an answer is used again.
const STEP: f64 = 60.0;

impl Store {
    /// `/api/zones`
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn zones(&self) -> Result<Zones> {
        let time = (now() / STEP).floor() * STEP;
        let samples = self.sum(self.expressions().zones(), time).await?;
        Ok(zones(&samples))
    }

    /// `/api/workloads`
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn workloads(&self) -> Result<Workloads> {
        let time = (now() / STEP).floor() * STEP;
        let samples = self.sum(self.expressions().workloads(), time).await?;
        Ok(workloads(&samples))
    }
}

/// By direction: transmit, receive.
type Both = [u64; 2];

fn add(sum: &mut Both, sample: &Sample) {
    let at = usize::from(sample.metric.direction == "receive");
    sum[at] += sample.value.round() as u64;
}

fn zones(samples: &[Sample]) -> Zones {
    let mut sums: BTreeMap<_, Both> = BTreeMap::new();
    for sample in samples {
        let of = &sample.metric;
        let key = (&*of.zone, &*of.peer_zone, order(&of.scope), &*of.scope);
        add(sums.entry(key).or_default(), sample);
    }
    let total = |bytes| Total { bytes, packets: 0 };
    let pair =
        |((zone, peer_zone, _, scope), [transmit, receive]): ((&str, &str, _, &str), Both)| {
            ZonePair {
                zone: zone.to_owned(),
                peer_zone: peer_zone.to_owned(),
                scope: scope.to_owned(),
                transmit: total(transmit),
                receive: total(receive),
            }
        };
    Zones {
        zones: sums.into_iter().map(pair).collect(),
    }
}

fn workloads(samples: &[Sample]) -> Workloads {
    let mut sums: BTreeMap<_, BTreeMap<_, Both>> = BTreeMap::new();
    for sample in samples {
        let of = &sample.metric;
        let who = (&*of.namespace, &*of.workload, &*of.workload_kind);
        let scopes = sums.entry(who).or_default();
        add(
            scopes.entry((order(&of.scope), &*of.scope)).or_default(),
            sample,
        );
    }
    let scope =
        |((_, scope), [transmit_bytes, receive_bytes]): ((usize, &str), Both)| ScopeTotals {
            scope: scope.to_owned(),
            transmit_bytes,
            receive_bytes,
        };
    let workloads = sums
        .into_iter()
        .map(|((namespace, workload, kind), scopes)| WorkloadTotals {
            namespace: namespace.to_owned(),
            workload: workload.to_owned(),
            workload_kind: kind.to_owned(),
            scopes: scopes.into_iter().map(scope).collect(),
        });
    Workloads {
        workloads: workloads.collect(),
    }
}

fn order(scope: &str) -> usize {
    let at = Scope::ALL.iter().position(|known| known.name() == scope);
    at.unwrap_or(Scope::ALL.len())
}

#[cfg(test)]
mod tests {
    use super::{super::http::Labels, *};

    fn sample(zone: &str, scope: &str, direction: &str, value: f64) -> Sample {
        Sample {
            metric: Labels {
                zone: zone.to_owned(),
                scope: scope.to_owned(),
                direction: direction.to_owned(),
                workload: "w".to_owned(),
                ..Labels::default()
            },
            value,
        }
    }

    #[test]
    fn directions_are_joined_and_scopes_are_in_order() {
        let samples = [
            sample("a", "internet", "transmit", 3.4),
            sample("a", "cross_zone", "transmit", 1.0),
            sample("a", "cross_zone", "receive", 2.0),
        ];
        let zones = zones(&samples).zones;
        let shown: Vec<_> = zones
            .iter()
            .map(|pair| (&*pair.scope, pair.transmit.bytes, pair.receive.bytes))
            .collect();
        assert_eq!(shown, [("cross_zone", 1, 2), ("internet", 3, 0)]);
        let workloads = workloads(&samples).workloads;
        assert_eq!((workloads.len(), workloads[0].scopes.len()), (1, 2));
    }
}
