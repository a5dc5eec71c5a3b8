//! `cargo xtask rules`: what Prometheus's own tools say of the rules, of a scrape and of the
//! dashboards. Everything runs; then it fails if anything did.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;
use zonemeter_lab::{agent_binary, npm};

use crate::{
    exec::{self, Cmd},
    go::{self, recipes},
    lint, progress, python, repository, setup, test,
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
    progress::step("building the agent", || {
        test::build_agent()?;
        let example = "build --locked --package zonemeter-agent --example scrape";
        exec::run(Cmd::cargo().words(example).args(test::AS_IN_TESTS))
    })?;
    check()
}

/// As [`run`], where set-up and agent are known to be complete.
pub(crate) fn check() -> Result<()> {
    let promtool = go::ensure(recipes::PROMETHEUS)?.join("promtool");
    let python = python::ensure()?;
    let folder = repository::root().join("target/rules");
    fs::create_dir_all(&folder)?;
    let (text, open_metrics) = (folder.join("scrape.txt"), folder.join("scrape.om"));
    progress::step("scraping the agent in both formats", || {
        fs::write(&text, scrape(&[SERIES])?)?;
        Ok(fs::write(&open_metrics, scrape(&[SERIES, "openmetrics"])?)?)
    })?;
    let prices = progress::step("writing prices of three regions", || {
        written_prices(&folder)
    })?;
    let promtool_in = |folder: PathBuf| Cmd::new(&promtool).current_dir(folder);
    let ours = || promtool_in(repository::root().join("deploy/prometheus"));
    let lint = "check rules --lint=all --lint-fatal";
    // promtool reads the text format only, from its standard input.
    let metrics = Cmd::new("sh").args(["-c", r#"exec "$0" check metrics --extended < "$1""#]);
    let formats = python::script(&python, "deploy/prometheus/check_scrape.py");
    let dashboards = python::script(&python, "deploy/grafana/generate.py");
    let grafana = repository::root().join("deploy/grafana");
    let modules = progress::quiet_step("getting Grafana's library", || {
        npm::packages(&grafana, "dashboards")
    })?;
    let import = Cmd::new("node").current_dir(grafana).arg("import.mjs");
    let checks = [
        ("promtool check rules", ours().words(lint).args(RULES)),
        (
            "promtool check rules of `zonemeter prices`",
            promtool_in(folder).words(lint).args(prices),
        ),
        (
            "promtool test rules",
            ours().words("test rules").args(RULE_TESTS),
        ),
        ("promtool check metrics", metrics.arg(&promtool).arg(&text)),
        (
            "prometheus_client reads both formats",
            formats.arg(&text).arg(&open_metrics),
        ),
        ("dashboards are as generated", dashboards.arg("--check")),
        ("Grafana's library reads them", import.arg(modules)),
    ];
    lint::all_of(
        "rules",
        checks.map(|(name, command)| (name, move || exec::run_quietly(command))),
    )
}

/// What `zonemeter prices` writes for each region, as files.
fn written_prices(folder: &Path) -> Result<Vec<PathBuf>> {
    let of_region = |region: &str| {
        let list = repository::root().join(PRICE_LIST);
        let prices = Cmd::new(agent_binary()?)
            .words("prices --price-list")
            .arg(list);
        let file = folder.join(format!("prices.{region}.yaml"));
        fs::write(&file, exec::output(prices.args(["--region", region]))?)?;
        Ok(file)
    };
    REGIONS.into_iter().map(of_region).collect()
}

/// What `/metrics` answers: the example of the same name prints it.
fn scrape(arguments: &[&str]) -> Result<String> {
    let example = repository::target_folder()?.join("debug/examples/scrape");
    exec::output(Cmd::new(example).args(arguments))
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
