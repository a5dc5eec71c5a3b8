//! The configuration, as `deploy/prometheus/README.md` has it for a cluster.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

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

/// Writes configuration and rules into `folder`; the path of the former. JSON is YAML as well.
pub(super) fn write(folder: &Path, agents: &[Agent], settings: &Settings) -> Result<PathBuf> {
    let text = |duration: Duration| format!("{}ms", duration.as_millis());
    for name in RULE_FILES {
        copy_rules(folder, name, &text(settings.evaluate_every))?;
    }
    let targets: Vec<_> = agents
        .iter()
        .map(|agent| {
            json!({
                "targets": [agent.target()],
                // By the node, as the relabelling of a cluster's Prometheus does it.
                "labels": { "instance": agent.node().object_name() },
            })
        })
        .collect();
    let configuration = json!({
        "global": {
            "scrape_interval": text(settings.scrape_every),
            "scrape_timeout": text(settings.scrape_every),
            "evaluation_interval": text(settings.evaluate_every),
        },
        "rule_files": RULE_FILES,
        "scrape_configs": [{
            "job_name": "zonemeter",
            // `namespace` and `pod` are those of the pod that was measured.
            "honor_labels": true,
            "static_configs": targets,
        }],
    });
    let file = folder.join("prometheus.yaml");
    fs::write(&file, format!("{configuration:#}\n"))
        .with_context(|| format!("write {}", file.display()))?;
    Ok(file)
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
