//! Families whose labels are known beforehand.
//!
//! [`Labelled`] is one whose label has a known set of values: all are
//! shown from the start, in a fixed order. (The library's own family holds only what was touched, in the order of a hash map.)

use std::fmt;

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric, gauge::ConstGauge},
};

use crate::catalogue::Metric;

/// One metric for each value of one label. Clones share the metrics' values.
#[derive(Clone, Debug)]
pub(super) struct Labelled<M> {
    label: &'static str,
    /// In the order given.
    metrics: Vec<(&'static str, M)>,
}

impl<M: Default> Labelled<M> {
    /// Every value at zero, under the only label of `metric`.
    pub(super) fn new<const N: usize>(metric: &Metric, values: [&'static str; N]) -> Self {
        Self {
            label: metric.labels[0],
            metrics: values.map(|value| (value, M::default())).into(),
        }
    }

    /// The metric of this value; `None` for a value that was not given at first.
    pub(super) fn get(&self, value: &str) -> Option<&M> {
        let found = self.metrics.iter().find(|(name, _)| *name == value);
        found.map(|(_, metric)| metric)
    }
}

impl<M: EncodeMetric + TypedMetric> EncodeMetric for Labelled<M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (value, metric) in &self.metrics {
            let labels = [(self.label, *value)];
            metric.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

/// One gauge that is always 1 and says something by its labels.
#[derive(Debug)]
pub(super) struct Constant<const N: usize> {
    labels: [(&'static str, &'static str); N],
}

impl<const N: usize> Constant<N> {
    /// `values` in the order of the metric's labels.
    pub(super) fn new(metric: &Metric, values: [&'static str; N]) -> Self {
        let labels = std::array::from_fn(|index| (metric.labels[index], values[index]));
        Self { labels }
    }
}

impl<const N: usize> EncodeMetric for Constant<N> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        ConstGauge::new(1u32).encode(encoder.encode_family(&self.labels)?)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}
