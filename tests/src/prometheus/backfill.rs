//! A Prometheus that holds samples of any time, and scrapes nobody.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail};

use super::{POLL, Prometheus, READY_WITHIN};
use crate::{control_plane::free_addresses, go_tools::PROMETHEUS, process::Process, tool};

impl Prometheus {
    /// Starts one in `folder` with the samples of these OpenMetrics files. Each file is read once
    /// for every two hours of its samples: give long times in several files.
    ///
    /// # Errors
    /// The executables are missing, a file cannot be read, or it does not answer in time: with what
    /// it wrote.
    pub fn with_samples(folder: &Path, files: &[PathBuf]) -> Result<Self> {
        let tools = PROMETHEUS.find()?;
        let data = folder.join("data");
        for file in files {
            let mut command = Command::new(tools.join("promtool"));
            command.args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"]);
            tool::output(command.arg(file).arg(&data))?;
        }
        let configuration = folder.join("prometheus.yaml");
        // Thanos takes no other.
        let named = "global: { external_labels: { replica: a } }\n";
        fs::write(&configuration, named).context("a configuration")?;
        let [address] = free_addresses()?;
        let mut command = Command::new(tools.join("prometheus"));
        command
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg("--storage.tsdb.retention.time=10y")
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .current_dir(folder);
        let mut started = Self {
            process: Process::start(command, &folder.join("prometheus.log"))?,
            address,
            folder: folder.to_owned(),
        };
        started.await_answer()?;
        Ok(started)
    }

    fn await_answer(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while self.query("vector(1)").is_err() {
            if self.process.has_ended() || Instant::now() > deadline {
                let log = fs::read_to_string(self.folder.join("prometheus.log"));
                bail!("it does not answer: {}", log.unwrap_or_default());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}
