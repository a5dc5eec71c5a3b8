//! `--prometheus`: a real Prometheus beside the demo, with the project's rules, and the proof that
//! rules and dashboards are about something.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use zonemeter_lab::{
    Agent, Lab,
    go_tools::PROMETHEUS,
    prometheus::{Prometheus, Settings},
};

use crate::{
    exec,
    go::{self, recipes},
    progress::{self, say},
    python, repository,
};

const DRAW: &str = "deploy/grafana/draw.py";
/// Relative to the repository.
const PICTURES: &str = "docs/pictures";
/// Enough samples for [`CHOICES`] and for a rate of four steps.
pub(super) const LEAST_SECONDS: u64 = 15;
/// What variables of one value are set to: a workload that speaks across zones, and an earlier
/// time at which there was a demo.
const CHOICES: [&str; 3] = ["namespace=default", "workload=client-dep", "earlier=8s"];
/// The step of dollars, as in `[$__range:5m]`.
const STEP_S: u64 = 300;
/// Until the first samples are there, and their rules' results.
const SETTLE_S: u64 = 30;
/// An expression worth asking for first.
const EXAMPLE: &str = "sum by (workload, peer_workload, zone, peer_zone) \
                       (increase(zonemeter_workload_bytes_total{scope=\"cross_zone\"}[5m]))";

/// Builds and installs what [`Watching`] needs, as the user and not as root.
pub(super) fn prepare() -> Result<()> {
    go::ensure(recipes::PROMETHEUS)?;
    python::ensure().map(|_| ())
}

/// A Prometheus that looks on.
pub(super) struct Watching {
    prometheus: Prometheus,
}

impl Watching {
    /// Starts it and says where to look.
    pub(super) fn start(lab: &Lab, agents: &[Agent]) -> Result<Self> {
        let started = progress::quiet_step("starting Prometheus", || {
            Prometheus::start(lab, agents, &Settings::new("demo"))
        })?;
        let (url, tools) = (started.url(), PROMETHEUS.folder()?);
        let folder = started.folder().display();
        say(&format!(
            "    {url}/api/v1/ answers; configuration, rules and log: {folder}"
        ));
        say("    honor_labels is on: namespace and pod are those of the pod that was measured");
        if !tools.given {
            say("    built from source it has no web pages; ask it like this:");
        }
        let promtool = tools.path.join("promtool");
        say(&format!(
            "    {} query instant {url} '{EXAMPLE}'",
            promtool.display()
        ));
        Ok(Self {
            prometheus: started,
        })
    }

    /// Fails unless every rule, every panel's query and every variable has data by now; draws
    /// the panels where asked to.
    pub(super) fn check(&mut self, lab: &Lab, seconds: u64, draw: bool) -> Result<()> {
        let rules = progress::quiet_step("looking for data behind every rule", || {
            self.prometheus.check_rules()
        })?;
        say(&format!("    {rules} rules, all with data"));
        let pictures = match draw {
            true => repository::root().join(PICTURES),
            false => lab.directory().join("pictures"),
        };
        progress::quiet_step("asking every query of every dashboard", || {
            self.draw(&pictures, Duration::from_secs(seconds))
        })?;
        if draw {
            give_to_owner(&pictures)?;
            say(&format!(
                "    {PICTURES}: drawings of the panels' queries, not of Grafana"
            ));
        }
        Ok(())
    }

    /// Leaves it running until the lab ends.
    pub(super) fn keep(&mut self) {
        self.prometheus.keep();
        say(&format!(
            "Prometheus stays too: {}/api/v1/",
            self.prometheus.url()
        ));
    }

    fn draw(&self, pictures: &Path, age: Duration) -> Result<()> {
        let mut command = python::script(&python::ensure()?, DRAW)
            .arg(self.prometheus.url())
            .arg("--out")
            .arg(pictures)
            .args(["--step", "2", "--age", &age.as_secs().to_string()])
            .args(["--range", &range(age).to_string()]);
        for choice in CHOICES {
            command = command.args(["--set", choice]);
        }
        exec::run_quietly(command)
    }
}

/// The seconds that panels show. Dollars come in whole steps, each of which looks back one more: a
/// range of whole steps that are all full shows bytes and dollars of equally long times.
fn range(age: Duration) -> u64 {
    let whole = age.as_secs().saturating_sub(SETTLE_S) / STEP_S;
    match whole.saturating_sub(1) {
        0 => age.as_secs(),
        steps => steps * STEP_S,
    }
}

/// The demo runs as root; pictures belong to whom the repository belongs.
fn give_to_owner(pictures: &Path) -> Result<()> {
    let owner = fs::metadata(repository::root()).context("the repository's owner")?;
    let listed = fs::read_dir(pictures).with_context(|| format!("list {}", pictures.display()))?;
    let files: Vec<PathBuf> = listed
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    for path in files.iter().map(PathBuf::as_path).chain([pictures]) {
        chown(path, Some(owner.uid()), Some(owner.gid()))
            .with_context(|| format!("give {} to its owner", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_of_whole_steps_whose_windows_are_full() {
        for (age, shown) in [
            (25, 25),
            (420, 420),
            (629, 629),
            (630, 300),
            (660, 300),
            (930, 600),
        ] {
            assert_eq!(range(Duration::from_secs(age)), shown, "{age}");
        }
    }
}
