//! The configuration, as `deploy/prometheus/README.md` has it for a cluster.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::agent::Agent;

/// The project's rules, in the order in which they need each other; relative to this package.
const RULES: &str = "../deploy/prometheus";
const RULE_FILES: [&str; 2] = ["zonemeter.prices.yaml", "zonemeter.rules.yaml"];
/// How often the rules are evaluated as they are delivered.
const RULE_INTERVAL: &str = "interval: 1m";

/// How it runs.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Tells several in one lab apart.
    pub name: &'static str,
    /// Between two scrapes.
    pub scrape_every: Duration,
    /// Between two evaluations of the rules: a lab stands for seconds, not for hours.
    pub evaluate_every: Duration,
    /// Whether it stores a 0 at the time of creation that OpenMetrics states, so that
    /// `increase()` sees the first bytes of a series.
    pub created_timestamps: bool,
}

impl Settings {
    /// Scrapes and evaluates every second, with created timestamps.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            scrape_every: Duration::from_secs(1),
            evaluate_every: Duration::from_secs(1),
            created_timestamps: true,
        }
    }
}

/// What the Prometheus Operator makes a configuration of.
#[derive(Clone, Copy, Debug)]
pub struct Objects<'a> {
    /// A PodMonitor with one endpoint.
    pub monitor: &'a Value,
    /// PrometheusRules.
    pub rules: &'a [Value],
}

/// Writes configuration and rules into `folder`; the path of the former. JSON is YAML as well.
pub(super) fn write(
    folder: &Path,
    agents: &[Agent],
    settings: &Settings,
    objects: Option<Objects<'_>>,
) -> Result<PathBuf> {
    let text = |duration: Duration| format!("{}ms", duration.as_millis());
    let evaluate_every = text(settings.evaluate_every);
    let rule_files = match objects {
        Some(objects) => write_rules(folder, objects.rules, &evaluate_every)?,
        None => {
            for name in RULE_FILES {
                copy_rules(folder, name, &evaluate_every)?;
            }
            RULE_FILES.map(str::to_owned).to_vec()
        }
    };
    // A cluster's service discovery tells the node; `instance` is by the node there.
    let label = match objects {
        Some(_) => "__meta_kubernetes_pod_node_name",
        None => "instance",
    };
    let targets: Vec<_> = agents
        .iter()
        .map(|agent| {
            json!({
                "targets": [agent.target()],
                "labels": { label: agent.node().object_name() },
            })
        })
        .collect();
    let job = match objects {
        Some(objects) => job_of(objects.monitor, &targets),
        None => json!({
            "job_name": "zonemeter",
            // `namespace` and `pod` are those of the pod that was measured.
            "honor_labels": true,
            "static_configs": targets,
        }),
    };
    let configuration = json!({
        "global": {
            "scrape_interval": text(settings.scrape_every),
            "scrape_timeout": text(settings.scrape_every),
            "evaluation_interval": evaluate_every,
        },
        "rule_files": rule_files,
        "scrape_configs": [job],
    });
    let file = folder.join("prometheus.yaml");
    fs::write(&file, format!("{configuration:#}\n"))
        .with_context(|| format!("write {}", file.display()))?;
    Ok(file)
}

/// What the operator writes for a PodMonitor, but for the discovery and the interval, which are the
/// lab's.
fn job_of(monitor: &Value, targets: &[Value]) -> Value {
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    let relabelings = |field: &str| -> Vec<Value> {
        let all = endpoint[field].as_array().into_iter().flatten();
        all.map(|one| {
            let mut rule = json!({ "source_labels": one["sourceLabels"] });
            for (theirs, ours) in [("targetLabel", "target_label"), ("regex", "regex")] {
                if let Some(value) = one.get(theirs) {
                    rule[ours] = value.clone();
                }
            }
            let action = one["action"].as_str().unwrap_or("replace");
            rule["action"] = json!(action.to_lowercase());
            rule
        })
        .collect()
    };
    json!({
        "job_name": "zonemeter",
        "honor_labels": endpoint["honorLabels"],
        "metrics_path": endpoint["path"],
        "static_configs": targets,
        "relabel_configs": relabelings("relabelings"),
        "metric_relabel_configs": relabelings("metricRelabelings"),
    })
}

fn write_rules(folder: &Path, rules: &[Value], interval: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for rule in rules {
        let mut groups = rule["spec"].clone();
        for group in groups["groups"].as_array_mut().into_iter().flatten() {
            group["interval"] = json!(interval);
        }
        let name = rule["metadata"]["name"].as_str().context("a rule's name")?;
        let name = format!("{name}.json");
        fs::write(folder.join(&name), groups.to_string())?;
        files.push(name);
    }
    Ok(files)
}

fn copy_rules(folder: &Path, name: &str, interval: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(RULES).join(name);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        text.contains(RULE_INTERVAL),
        "{} no longer says {RULE_INTERVAL:?}, which labs replace",
        path.display()
    );
    let text = text.replace(RULE_INTERVAL, &format!("interval: {interval}"));
    let copy = folder.join(name);
    fs::write(&copy, text).with_context(|| format!("write {}", copy.display()))
}
