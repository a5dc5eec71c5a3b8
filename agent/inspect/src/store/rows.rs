//! A store's series as rows: each is one end of a pair, in one direction.

use std::collections::{BTreeSet, HashMap};

use super::{
    Prices,
    expression::Span,
    http::{Labels, Sample},
};
use crate::{
    debug::pairs::answer::{Pair, PairEnd, PairTraffic, PricesUsed},
    view::Row,
};

/// What a question to the store brought.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    /// Unix time of all values.
    pub(super) time: f64,
    /// One for each end of each pair; dollars are that end's.
    pub(super) rows: Vec<Row>,
    pub(super) prices: Prices,
    /// What could not be told.
    pub(super) lacks: Vec<String>,
    places: HashMap<Labels, usize>,
}

impl Stored {
    /// Of rates and of dollars a month, by own end.
    pub(super) fn of_pairs(rates: &[Sample], dollars: &[Sample], span: Span) -> Self {
        let mut stored = Self::default();
        for sample in rates {
            stored.add_rate(sample, key(&sample.metric), span);
        }
        for sample in dollars {
            let place = stored.place(key(&sample.metric));
            let cost = &mut stored.rows[place].pair.dollars_per_month;
            *cost = Some(cost.unwrap_or_default() + sample.value);
        }
        let priced = !dollars.is_empty();
        for row in stored.rows.iter_mut().filter(|_| priced) {
            row.pair.dollars_per_month.get_or_insert(0.0);
        }
        stored
    }

    /// Of rates by pod, and by unit where it is none.
    pub(super) fn of_pods(rates: &[Sample], span: Span) -> Self {
        let mut stored = Self::default();
        for sample in rates {
            let mut key = key(&sample.metric);
            if !sample.metric.pod.is_empty() {
                key.workload.clone_from(&sample.metric.pod);
                "Pod".clone_into(&mut key.workload_kind);
            }
            stored.add_rate(sample, key, span);
        }
        stored
    }

    /// Several clusters in one store are shown as one; that is said.
    pub(super) fn note_clusters(&mut self, samples: &[Sample]) {
        let names: BTreeSet<&str> = samples
            .iter()
            .map(|sample| &*sample.metric.cluster)
            .collect();
        if names.len() > 1 {
            let names: Vec<&str> = names.into_iter().collect();
            self.lacks.push(format!(
                "several clusters together ({}): choose one by --cluster",
                names.join(", ")
            ));
        }
    }

    fn add_rate(&mut self, sample: &Sample, key: Labels, span: Span) {
        let place = self.place(key);
        let pair = &mut self.rows[place].pair;
        let traffic = match &*sample.metric.direction {
            "receive" => &mut pair.receive,
            _ => &mut pair.transmit,
        };
        traffic.bytes_per_second += sample.value;
        traffic.bytes = (traffic.bytes_per_second * span.seconds()).round() as u64;
        pair.total_bytes = pair.transmit.bytes + pair.receive.bytes;
    }

    fn place(&mut self, key: Labels) -> usize {
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        self.rows.push(row(&key));
        self.places.insert(key, self.rows.len() - 1);
        self.rows.len() - 1
    }
}

/// What both directions of an end have in common, in whatever cluster.
pub(super) fn key(labels: &Labels) -> Labels {
    Labels {
        cluster: String::new(),
        direction: String::new(),
        as_of: String::new(),
        pod: String::new(),
        ..labels.clone()
    }
}

/// The row of an end, without numbers.
pub(super) fn row(key: &Labels) -> Row {
    let end = |namespace: &str, workload: &str, kind: &str, zone: &str| PairEnd {
        namespace: namespace.to_owned(),
        workload: workload.to_owned(),
        kind: kind.to_owned(),
        zone: zone.to_owned(),
    };
    Row::from(Pair {
        local: end(&key.namespace, &key.workload, &key.workload_kind, &key.zone),
        peer: end(
            &key.peer_namespace,
            &key.peer_workload,
            &key.peer_workload_kind,
            &key.peer_zone,
        ),
        scope: key.scope.clone(),
        via: key.via.clone(),
        transmit: PairTraffic::default(),
        ..Pair::default()
    })
}

/// `None` where no price is in force.
pub(super) fn prices(samples: &[Sample]) -> Prices {
    let is_price = |sample: &&Sample| !sample.metric.scope.is_empty();
    let as_of: BTreeSet<&String> = samples
        .iter()
        .filter(is_price)
        .map(|sample| &sample.metric.as_of)
        .collect();
    let gigabyte = samples.iter().find(|sample| !is_price(sample));
    (!as_of.is_empty()).then(|| PricesUsed {
        as_of: as_of.into_iter().cloned().collect(),
        gigabyte_bytes: gigabyte.map_or(1e9, |sample| sample.value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(workload: &str, direction: &str, value: f64) -> Sample {
        Sample {
            metric: Labels {
                namespace: "shop".to_owned(),
                workload: workload.to_owned(),
                direction: direction.to_owned(),
                scope: "cross_zone".to_owned(),
                ..Labels::default()
            },
            value,
        }
    }

    #[test]
    fn both_directions_and_the_dollars_of_an_end_are_one_row() {
        let rates = [
            sample("a", "transmit", 10.0),
            sample("a", "receive", 1.0),
            sample("b", "receive", 2.0),
        ];
        let mut dollars = sample("a", "", 3.0);
        dollars.metric.as_of = "2025-09".to_owned();
        let stored = Stored::of_pairs(&rates, &[dollars], Span::Hour);
        let shown: Vec<_> = stored
            .rows
            .iter()
            .map(|row| {
                let pair = &row.pair;
                (
                    pair.transmit.bytes,
                    pair.receive.bytes,
                    pair.dollars_per_month,
                )
            })
            .collect();
        assert_eq!(shown, [(36_000, 3_600, Some(3.0)), (0, 7_200, Some(0.0)),]);
    }

    #[test]
    fn without_series_of_dollars_there_are_none() {
        let stored = Stored::of_pairs(&[sample("a", "transmit", 1.0)], &[], Span::Hour);
        assert_eq!(stored.rows[0].pair.dollars_per_month, None);
        assert_eq!(prices(&[]), None);
    }

    #[test]
    fn several_clusters_are_said() {
        let mut other = sample("a", "transmit", 1.0);
        other.metric.cluster = "two".to_owned();
        let mut stored = Stored::default();
        stored.note_clusters(&[sample("a", "transmit", 1.0)]);
        assert!(stored.lacks.is_empty());
        stored.note_clusters(&[sample("a", "transmit", 1.0), other]);
        assert!(stored.lacks[0].contains("(, two)"), "{:?}", stored.lacks);
    }
}
