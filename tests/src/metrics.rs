//! A reader of the Prometheus text format (version 0.0.4), written from the format's
//! description and not from the agent.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context, Result, bail, ensure};

/// One scrape.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    samples: Vec<Sample>,
    types: BTreeMap<String, String>,
}

/// One line of a scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// The value of label `name`, empty where the sample has none: Prometheus does not tell
    /// these apart.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    fn matches(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.name == name
            && labels
                .iter()
                .all(|(label, value)| self.label(label) == *value)
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{:?} {}", self.name, self.labels, self.value)
    }
}

impl Metrics {
    /// Reads the text of a scrape; refuses what the format does not allow, and a series that
    /// occurs twice.
    pub fn parse(text: &str) -> Result<Self> {
        let mut metrics = Self::default();
        let mut seen = std::collections::BTreeSet::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            metrics
                .line(line)
                .with_context(|| format!("line {} of the scrape: {line}", number + 1))?;
        }
        for sample in &metrics.samples {
            let key = format!("{}{:?}", sample.name, sample.labels);
            ensure!(seen.insert(key), "the scrape has {sample} twice");
        }
        Ok(metrics)
    }

    /// Every sample, in the order of the scrape.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The samples of `name` whose labels include `labels`.
    pub fn select(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.matches(name, labels))
    }

    /// Sum over the samples of `name` whose labels include `labels`; 0 where there is none.
    /// Counts below 2^53 are exact.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.select(name, labels)
            .map(|sample| sample.value as u64)
            .sum()
    }

    /// The only sample of `name` whose labels include `labels`.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.select(name, labels);
        match (found.next(), found.next()) {
            (Some(sample), None) => Some(sample.value),
            (None, _) | (Some(_), Some(_)) => None,
        }
    }

    /// The type that the scrape states for the family `name`.
    pub fn type_of(&self, name: &str) -> Option<&str> {
        self.types.get(name).map(String::as_str)
    }

    /// Fails unless the contract's conservation holds: in each direction, for bytes and packets,
    /// pods + unattributed + pending + retired = interfaces.
    pub fn check_conservation(&self) -> Result<()> {
        for unit in ["bytes", "packets"] {
            for direction in ["transmit", "receive"] {
                let term = |name: String| (self.sum(&name, &[("direction", direction)]), name);
                let parts = [
                    term(format!("zonemeter_pod_{unit}_total")),
                    term(format!("zonemeter_unattributed_{unit}_total")),
                    term(format!("zonemeter_pending_{unit}")),
                    term(format!("zonemeter_retired_{unit}_total")),
                ];
                let (seen, name) = term(format!("zonemeter_interface_{unit}_total"));
                let sum: u64 = parts.iter().map(|(value, _)| value).sum();
                ensure!(
                    sum == seen,
                    "conservation broken: {direction}: {parts:?} sum to {sum}, {name} is {seen}"
                );
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<()> {
        if line.is_empty() {
            return Ok(());
        }
        if let Some(comment) = line.strip_prefix('#') {
            let mut words = comment.split_whitespace();
            if words.next() == Some("TYPE") {
                let (name, kind) = (words.next(), words.next());
                let name = name.context("TYPE without a name")?.to_owned();
                let kind = kind.context("TYPE without a type")?.to_owned();
                ensure!(self.types.insert(name, kind).is_none(), "a second TYPE");
            }
            return Ok(());
        }
        self.samples.push(sample(line)?);
        Ok(())
    }
}

fn sample(line: &str) -> Result<Sample> {
    let end = line
        .find(|c: char| c == '{' || c.is_whitespace())
        .context("no value")?;
    let (name, rest) = line.split_at(end);
    ensure!(is_name(name), "{name:?} is no metric name");
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (BTreeMap::new(), rest),
    };
    let mut words = rest.split_whitespace();
    let value = number(words.next().context("no value")?)?;
    if let Some(timestamp) = words.next() {
        timestamp
            .parse::<i64>()
            .with_context(|| format!("timestamp {timestamp:?}"))?;
    }
    ensure!(words.next().is_none(), "text after the value");
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// Reads labels up to and including the closing brace; returns what follows it.
fn labels(mut rest: &str) -> Result<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, after) = rest.split_once('=').context("a label without '='")?;
        let name = name.trim();
        ensure!(
            is_name(name) && !name.contains(':'),
            "{name:?} is no label name"
        );
        let quoted = after
            .trim_start()
            .strip_prefix('"')
            .context("a label without quotes")?;
        let (value, after) = quoted_value(quoted)?;
        ensure!(
            labels.insert(name.to_owned(), value).is_none(),
            "label {name} twice"
        );
        rest = after.trim_start();
        rest = match (rest.strip_prefix(','), rest.starts_with('}')) {
            (Some(after), _) => after,
            (None, true) => rest,
            (None, false) => bail!("labels go on with {rest:?}"),
        };
    }
}

/// The escapes are `\\`, `\"` and `\n`, and no others.
fn quoted_value(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[index + 1..])),
            '\\' => match characters.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some(plain @ ('\\' | '"')) => value.push(plain),
                other => bail!("escape {other:?}"),
            },
            other => value.push(other),
        }
    }
    bail!("a label value without an end")
}

fn number(text: &str) -> Result<f64> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        "NaN" => Ok(f64::NAN),
        _ => text.parse().with_context(|| format!("value {text:?}")),
    }
}

fn is_name(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    text.starts_with(first) && text.chars().all(|c| first(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_labels_escapes_timestamps_and_special_values() {
        let text = "# HELP a_total words { \"\n# TYPE a_total counter\n\
                    a_total{x=\"1\",y=\"q\\\"\\\\\\n}\",} 3 1700000000000\n\nb +Inf\nc{} 1e3\n";
        let metrics = Metrics::parse(text).unwrap();
        assert_eq!(metrics.sum("a_total", &[("x", "1")]), 3);
        assert_eq!(metrics.samples()[0].label("y"), "q\"\\\n}");
        assert_eq!(metrics.value("b", &[]), Some(f64::INFINITY));
        assert_eq!(metrics.value("c", &[]), Some(1000.0));
        assert_eq!(metrics.type_of("a_total"), Some("counter"));
    }

    #[test]
    fn refuses_what_the_format_does_not_allow() {
        for text in [
            "a",
            "a{x=1} 2",
            "a{x=\"1\" y=\"2\"} 3",
            "a{x=\"1} 2",
            "9a 1",
            "a 1 2 3",
            "a{x=\"\\t\"} 1",
            "a 1\na 2",
            "a{x=\"1\",x=\"2\"} 1",
            "a one",
        ] {
            assert!(Metrics::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn conservation_is_an_exact_equation_in_each_direction() {
        let balanced = "zonemeter_pod_bytes_total{direction=\"transmit\",pod=\"a\"} 80\n\
                        zonemeter_pod_bytes_total{direction=\"transmit\",pod=\"b\"} 10\n\
                        zonemeter_unattributed_bytes_total{direction=\"transmit\"} 5\n\
                        zonemeter_pending_bytes{direction=\"transmit\"} 4\n\
                        zonemeter_retired_bytes_total{direction=\"transmit\"} 1\n\
                        zonemeter_interface_bytes_total{direction=\"transmit\"} 100\n";
        Metrics::parse(balanced)
            .unwrap()
            .check_conservation()
            .unwrap();
        let off = balanced.replace("} 100", "} 101");
        assert!(Metrics::parse(&off).unwrap().check_conservation().is_err());
    }
}
