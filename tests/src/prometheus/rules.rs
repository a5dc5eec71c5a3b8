//! Whether the rules are about something: a rule that never has data looks like a quiet one.

use std::{collections::BTreeSet, thread, time::Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{POLL, Prometheus, READY_WITHIN};

/// What the names of all metrics of this project begin with; recorded ones have it after a colon.
const PREFIX: &str = "zonemeter_";
/// A rule that looks back this far has no data before, by design: dollars an hour are not shown
/// from a window that is not full. A lab does not stand so long.
const FULL_WINDOW: &str = "offset 5m)";

impl Prometheus {
    /// Waits until every rule was evaluated without an error, every recording rule has data, and
    /// every metric that an alert asks for exists. Returns the number of rules.
    ///
    /// # Errors
    /// What is missing when patience ends.
    pub fn check_rules(&self) -> Result<usize> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let rules = self.rules()?;
            let missing = self.missing(&rules)?;
            if missing.is_empty() {
                return Ok(rules.len());
            }
            if Instant::now() > deadline {
                bail!("rules without data:\n{}", missing.join("\n"));
            }
            thread::sleep(POLL);
        }
    }

    fn rules(&self) -> Result<Vec<Value>> {
        let data = self.api("rules")?;
        let groups = data["groups"].as_array().context("no groups of rules")?;
        let of_group = |group: &Value| group["rules"].as_array().cloned();
        Ok(groups.iter().filter_map(of_group).flatten().collect())
    }

    fn missing(&self, rules: &[Value]) -> Result<Vec<String>> {
        let data = self.api("label/__name__/values")?;
        let names = data.as_array().context("no list of names")?;
        let present: BTreeSet<&str> = names.iter().filter_map(Value::as_str).collect();
        let mut missing = Vec::new();
        for rule in rules {
            let name = rule["name"].as_str().unwrap_or_default();
            let expression = rule["query"].as_str().unwrap_or_default();
            if rule["health"] != "ok" {
                missing.push(format!("{name}: {} {}", rule["health"], rule["lastError"]));
            } else if rule["type"] == "recording"
                && !needs_time(expression)
                && self.query(name)?.is_empty()
            {
                missing.push(format!("{name}: {expression}"));
            }
            let absent = metrics(expression).into_iter();
            let absent = absent.filter(|metric| !present.contains(metric.as_str()));
            missing.extend(absent.map(|metric| format!("{name}: asks for {metric}")));
        }
        if rules.is_empty() {
            missing.push("there are no rules".to_owned());
        }
        Ok(missing)
    }
}

fn needs_time(expression: &str) -> bool {
    expression.trim_end().ends_with(FULL_WINDOW)
}

/// How a selector says by a regular expression which metrics it means.
const BY_PATTERN: &str = "__name__=~\"";

/// The project's metrics that an expression names, each of a selector's alternatives too.
fn metrics(expression: &str) -> Vec<String> {
    let mut parts = expression.split(BY_PATTERN);
    let mut found: Vec<String> = names(parts.next().unwrap_or_default()).collect();
    for part in parts {
        let (pattern, rest) = part.split_once('"').unwrap_or((part, ""));
        found.extend(alternatives(pattern));
        found.extend(names(rest));
    }
    found
}

fn names(text: &str) -> impl Iterator<Item = String> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.split(move |c: char| !in_name(c))
        .filter(|word| word.starts_with(PREFIX) || word.contains(&format!(":{PREFIX}")))
        .map(str::to_owned)
}

/// `a_(b|c)_d` is `a_b_d` and `a_c_d`.
fn alternatives(pattern: &str) -> Vec<String> {
    let group = pattern
        .split_once('(')
        .and_then(|(before, rest)| Some((before, rest.split_once(')')?)));
    match group {
        Some((before, (group, after))) => group
            .split('|')
            .map(|one| format!("{before}{one}{after}"))
            .collect(),
        None => vec![pattern.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_of_a_full_window_needs_time() {
        assert!(needs_time(
            "12 * (a:b:increase5m and a:b:increase5m offset 5m)"
        ));
        assert!(!needs_time("rate(zonemeter_pod_bytes_total[5m])"));
    }

    #[test]
    fn metrics_are_told_from_functions_and_labels() {
        let expression = "sum by (zone) (rate(zonemeter_pod_bytes_total{scope=\"x\"}[5m])) \
                          / namespace:zonemeter_bytes:rate5m";
        assert_eq!(
            metrics(expression),
            [
                "zonemeter_pod_bytes_total",
                "namespace:zonemeter_bytes:rate5m"
            ]
        );
    }

    #[test]
    fn each_alternative_of_a_selector_is_a_metric() {
        let expression = "rate({__name__=~\"zonemeter_(pod|host)_bytes_total\", kind!=\"kernel\"}[5m]) \
                          + zonemeter_ready";
        assert_eq!(
            metrics(expression),
            [
                "zonemeter_pod_bytes_total",
                "zonemeter_host_bytes_total",
                "zonemeter_ready"
            ]
        );
    }
}
