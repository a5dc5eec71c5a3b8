//! A real Prometheus 3 that scrapes a lab's agents and evaluates the project's own rules.
//!
//! It runs in the machine's root namespace, on loopback, and reaches the agents by their nodes'
//! management links, so that its scrapes are on no wire that the lab counts.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

mod answer;
mod backfill;
mod config;
mod rules;

pub use answer::Series;
pub use config::{Objects, Settings};

use crate::{
    agent::Agent, control_plane::free_addresses, go_tools::PROMETHEUS, http, lab::Lab,
    process::Process,
};

/// How long it may take until it answers and has scraped every agent, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);
/// Stores a 0 at the time of creation that OpenMetrics states, so that `increase()` sees the first
/// bytes of a series (docs/metrics.md, "The first bytes of a series").
const FEATURES: &str = "--enable-feature=created-timestamp-zero-ingestion";

/// A running Prometheus; it is killed when the value is dropped.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    address: SocketAddr,
    folder: PathBuf,
}

impl Prometheus {
    /// Starts one for `agents` and waits until each has been scraped.
    ///
    /// # Errors
    /// The executable is missing, or not all agents were scraped in time: with what it wrote.
    pub fn start(lab: &Lab, agents: &[Agent], settings: &Settings) -> Result<Self> {
        Self::launch(lab, agents, settings, None)
    }

    /// As [`Self::start`], with what the operator would make of these objects.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_for(
        lab: &Lab,
        agents: &[Agent],
        settings: &Settings,
        objects: Objects<'_>,
    ) -> Result<Self> {
        Self::launch(lab, agents, settings, Some(objects))
    }

    fn launch(
        lab: &Lab,
        agents: &[Agent],
        settings: &Settings,
        objects: Option<Objects<'_>>,
    ) -> Result<Self> {
        let folder = folder(lab.directory()).join(settings.name);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let configuration = config::write(&folder, agents, settings, objects)?;
        let [address] = free_addresses()?;
        let mut command = Command::new(PROMETHEUS.find()?.join("prometheus"));
        command
            .arg(format!("--config.file={}", configuration.display()))
            .arg(storage(&folder))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .args(settings.created_timestamps.then_some(FEATURES))
            .current_dir(&folder);
        let mut started = Self {
            process: Process::start(command, &folder.join("prometheus.log"))?,
            address,
            folder,
        };
        started.await_scrapes(agents.len())?;
        Ok(started)
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where its configuration, its rules, its log and its data are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What an expression gives now.
    pub fn query(&self, expression: &str) -> Result<Vec<Series>> {
        self.ask(expression, None)
    }

    /// What an expression gave at a time.
    pub fn query_at(&self, expression: &str, time: SystemTime) -> Result<Vec<Series>> {
        self.ask(expression, Some(time))
    }

    /// Asks until `condition` holds; fails at the deadline with the last answer.
    pub fn query_until(
        &self,
        expression: &str,
        patience: Duration,
        condition: impl Fn(&[Series]) -> bool,
    ) -> Result<Vec<Series>> {
        let deadline = Instant::now() + patience;
        loop {
            let answer = self.query(expression)?;
            if condition(&answer) {
                return Ok(answer);
            }
            if Instant::now() > deadline {
                bail!("not within {patience:?}: {expression}: {answer:#?}");
            }
            thread::sleep(POLL);
        }
    }

    /// A document of the HTTP API below `/api/v1/`: its `data`.
    pub fn api(&self, path: &str) -> Result<Value> {
        let answer = http::get(self.address, &format!("/api/v1/{path}"), &[])?;
        let body: Value = serde_json::from_str(&answer.body)
            .with_context(|| format!("{path}: {} {}", answer.status, answer.body))?;
        ensure!(body["status"] == "success", "{path}: {}", body["error"]);
        Ok(body["data"].clone())
    }

    /// Leaves it running when the value is dropped; it ends with its lab.
    pub fn keep(&mut self) {
        self.process.keep();
    }

    fn ask(&self, expression: &str, time: Option<SystemTime>) -> Result<Vec<Series>> {
        let mut path = format!("query?query={}", encoded(expression));
        if let Some(time) = time {
            let time = time.duration_since(UNIX_EPOCH).context("time")?;
            path += &format!("&time={:.3}", time.as_secs_f64());
        }
        answer::series(&self.api(&path)?).with_context(|| expression.to_owned())
    }

    fn await_scrapes(&mut self, agents: usize) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let up = self.query("sum(up)");
            if let Ok([sum]) = up.as_deref()
                && sum.value == agents as f64
            {
                return Ok(());
            }
            if self.process.has_ended() || Instant::now() > deadline {
                let log = fs::read_to_string(self.folder.join("prometheus.log"));
                bail!(
                    "not every agent was scraped: {up:?}\n{}",
                    log.unwrap_or_default()
                );
            }
            thread::sleep(POLL);
        }
    }
}

/// Ends a Prometheus that a kept or killed lab left: the one that stores in the lab's directory.
pub(crate) fn end_left(lab: &Path) -> Result<()> {
    let mark = storage(&folder(lab));
    let is_ours = |argument: &[u8]| argument.starts_with(mark.as_bytes());
    for entry in fs::read_dir("/proc").context("list /proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // A process may end while it is looked at.
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if arguments.split(|byte| *byte == 0).any(is_ours) {
            // SAFETY: kill takes no pointers.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
    Ok(())
}

fn folder(lab: &Path) -> PathBuf {
    lab.join("prometheus")
}

fn storage(folder: &Path) -> String {
    format!("--storage.tsdb.path={}/", folder.display())
}

/// Percent-encoding of everything but unreserved characters (RFC 3986, section 2.3).
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
