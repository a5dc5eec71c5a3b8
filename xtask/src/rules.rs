//! `cargo xtask rules`: what Prometheus's own tools say of the rules, of a scrape and of the
//! dashboards. Everything runs; then it fails if anything did.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    exec::{self, Cmd},
    progress, prometheus, python, repository, setup,
};

const RULES: [&str; 3] = [
    "zonemeter.prices.yaml",
    "zonemeter.rules.yaml",
    "zonemeter.opencost.yaml",
];
const RULE_TESTS: [&str; 7] = [
    "zonemeter.rules.test.yaml",
    "zonemeter.dollars.test.yaml",
    "zonemeter.prices.test.yaml",
    "zonemeter.nat.test.yaml",
    "zonemeter.opencost.test.yaml",
    "zonemeter.month.test.yaml",
    "zonemeter.surge.test.yaml",
];
/// An excerpt of AWS's price list, and regions that it has prices of.
const PRICE_LIST: &str = "agent/networks/src/prices/tests/price-list.json";
const REGIONS: [&str; 3] = ["us-east-2", "us-gov-west-1", "cn-north-1"];
/// Enough that every metric has several series.
const SERIES: &str = "200";

/// The command.
pub(crate) fn run() -> Result<()> {
    setup::ensure()?;
    check()
}

/// As [`run`], where the set-up is known to be complete.
pub(crate) fn check() -> Result<()> {
    let promtool = prometheus::ensure()?.join("promtool");
    let python = python::ensure()?;
    let scrapes = progress::step("scraping the agent in both formats", Scrapes::take)?;
    let prices = progress::step("writing prices of three regions", written_prices)?;
    let in_folder = || Cmd::new(&promtool).current_dir(prometheus::rules_folder());
    let rules = in_folder().args(["check", "rules", "--lint=all", "--lint-fatal"]);
    let results = [
        checked("promtool check rules", rules.args(RULES)),
        checked(
            "promtool check rules of `zonemeter prices`",
            Cmd::new(&promtool)
                .args(["check", "rules", "--lint=all", "--lint-fatal"])
                .args(prices),
        ),
        checked(
            "promtool test rules",
            in_folder().args(["test", "rules"]).args(RULE_TESTS),
        ),
        checked("promtool check metrics", scrapes.lint(&promtool)),
        checked(
            "prometheus_client reads both formats",
            scrapes.compare(&python),
        ),
        checked(
            "dashboards are as generated",
            python::script(&python, "deploy/grafana/generate.py").arg("--check"),
        ),
    ];
    let failed: Vec<&str> = results.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() {
        progress::say("rules: clean");
        return Ok(());
    }
    bail!("rules: not clean: {}", failed.join(", "))
}

/// What `zonemeter prices` writes for each region, as files.
fn written_prices() -> Result<Vec<PathBuf>> {
    let folder = repository::root().join("target/rules");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let of_region = |region: &str| {
        let printed = exec::output(
            Cmd::cargo()
                .args([
                    "run",
                    "--quiet",
                    "--locked",
                    "--package",
                    "zonemeter-agent",
                    "--",
                ])
                .args(["prices", "--price-list"])
                .arg(repository::root().join(PRICE_LIST))
                .args(["--region", region]),
        )?;
        let file = folder.join(format!("prices.{region}.yaml"));
        fs::write(&file, printed).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    };
    REGIONS.into_iter().map(of_region).collect()
}

fn checked(what: &'static str, command: Cmd) -> Result<(), &'static str> {
    progress::step(what, || exec::run_quietly(command)).map_err(|error| {
        progress::fail(&format!("{error:#}"));
        what
    })
}

/// What `/metrics` answers in each format.
struct Scrapes {
    text: PathBuf,
    open_metrics: PathBuf,
}

impl Scrapes {
    fn take() -> Result<Self> {
        let folder = repository::root().join("target/rules");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self {
            text: scrape(&folder.join("scrape.txt"), &[SERIES])?,
            open_metrics: scrape(&folder.join("scrape.om"), &[SERIES, "openmetrics"])?,
        })
    }

    /// promtool reads the text format only, from its standard input.
    fn lint(&self, promtool: &Path) -> Cmd {
        Cmd::new("sh")
            .args(["-c", r#"exec "$0" check metrics --extended < "$1""#])
            .arg(promtool)
            .arg(&self.text)
    }

    fn compare(&self, python: &Path) -> Cmd {
        python::script(python, "deploy/prometheus/check_scrape.py")
            .arg(&self.text)
            .arg(&self.open_metrics)
    }
}

/// What the example of the same name prints, in `file`.
fn scrape(file: &Path, arguments: &[&str]) -> Result<PathBuf> {
    let printed = exec::output(
        Cmd::cargo()
            .args(["run", "--quiet", "--locked", "--package", "zonemeter-agent"])
            .args(["--example", "scrape", "--"])
            .args(arguments),
    )?;
    fs::write(file, printed).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> String {
        fs::read_to_string(repository::root().join(path)).unwrap()
    }

    /// Every value after `- alert:` in the rules.
    fn alerts() -> Vec<String> {
        let rules = text("deploy/prometheus/zonemeter.rules.yaml");
        let named = rules
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- alert: "));
        named.map(str::to_owned).collect()
    }

    /// What fires in which test is in `*.test.yaml`; what must not, in the test of a healthy agent
    /// and in those of surges and budgets.
    #[test]
    fn every_alert_has_a_test_in_which_it_fires_and_a_runbook() {
        let tests: String = RULE_TESTS
            .map(|name| text(&format!("deploy/prometheus/{name}")))
            .concat();
        let (rules, runbook) = (
            text("deploy/prometheus/zonemeter.rules.yaml"),
            text("docs/alerts.md"),
        );
        let alerts = alerts();
        assert!(alerts.len() > 20, "{alerts:?}");
        for alert in alerts {
            let fires = [
                format!("alertname=\"{alert}\""),
                format!("- alertname: {alert}\n"),
            ];
            assert!(fires.iter().any(|one| tests.contains(one)), "{alert}");
            assert!(runbook.contains(&format!("\n## {alert}\n")), "{alert}");
            let link = format!("docs/alerts.md#{}\n", alert.to_lowercase());
            assert!(rules.contains(&link), "{alert}");
        }
    }

    /// An alert is quiet for the right reason only where the healthy agent has its metrics.
    #[test]
    fn the_healthy_agent_has_every_metric_of_the_alerts() {
        let rules = text("deploy/prometheus/zonemeter.rules.yaml");
        let (_, alerts) = rules.split_once("- name: zonemeter.alerts").unwrap();
        let tests = text("deploy/prometheus/zonemeter.rules.test.yaml");
        let (_, healthy) = tests
            .split_once("nothing fires on a healthy agent")
            .unwrap();
        let (healthy, _) = healthy.split_once("promql_expr_test").unwrap();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
        let words = alerts.split(|c| !is_name(c));
        for metric in words.filter(|word| word.starts_with("zonemeter_")) {
            assert!(healthy.contains(metric), "{metric}");
        }
    }
}
