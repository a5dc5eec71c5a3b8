//! Answers of Prometheus's query API:
//! <https://prometheus.io/docs/prometheus/latest/querying/api/#expression-query-result-formats>.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// One series of an instant query.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

impl Series {
    /// The value of label `name`, empty where the series has none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// Reads a vector in the order of the answer; a scalar is one series without labels.
pub(super) fn series(data: &Value) -> Result<Vec<Series>> {
    let result = &data["result"];
    match data["resultType"].as_str() {
        Some("scalar") => Ok(vec![Series {
            labels: BTreeMap::new(),
            value: value(result)?,
        }]),
        Some("vector") => {
            let vector = result.as_array().context("a vector that is no list")?;
            vector.iter().map(one).collect()
        }
        other => bail!("a result of type {other:?}"),
    }
}

fn one(one: &Value) -> Result<Series> {
    let labels = one["metric"]
        .as_object()
        .context("a series without labels")?;
    let label = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    Ok(Series {
        labels: labels.iter().filter_map(label).collect(),
        value: value(&one["value"])?,
    })
}

/// A sample is a pair of a time and a number in quotes.
fn value(sample: &Value) -> Result<f64> {
    let text = sample[1].as_str().context("a sample without a value")?;
    text.parse().with_context(|| format!("value {text:?}"))
}
