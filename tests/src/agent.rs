//! The agent under test: the real binary, one process in a node's namespace.

mod plan;

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

pub use plan::{AgentPlan, agent_binary};

pub use crate::http::HttpAnswer;
use crate::{http, metrics::Metrics, node::Node, patience::stretched};

/// The port of `/metrics`, `/livez` and `/readyz`.
pub const METRICS_PORT: u16 = 9464;
/// The port of the debug page.
pub const DEBUG_PORT: u16 = 9465;
/// How long an agent gets to end after SIGTERM.
const TERM_PATIENCE: Duration = Duration::from_secs(15);
/// How long a drain may take to show itself.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often conditions are looked at.
const POLL: Duration = Duration::from_millis(50);

/// A started agent. It is killed when the value is dropped.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    node: Node,
    log: PathBuf,
    plan: AgentPlan,
    ended: Option<ExitStatus>,
    keep: bool,
}

impl Agent {
    fn new(child: Child, node: Node, log: PathBuf, plan: AgentPlan) -> Self {
        Self {
            child,
            node,
            log,
            plan,
            ended: None,
            keep: false,
        }
    }

    /// The node that the agent runs on.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The process' id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where `/metrics` can be read from the machine's root namespace.
    pub fn url(&self) -> String {
        format!("http://{}/metrics", self.target())
    }

    /// The address and port of [`Agent::url`].
    pub fn target(&self) -> SocketAddr {
        SocketAddr::new(self.node.management_address(), self.plan.ports()[0])
    }

    /// What the agent has written to its standard output and error.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(&self.log).with_context(|| format!("read {}", self.log.display()))
    }

    /// Scrapes `/metrics` and checks conservation.
    pub fn scrape(&self) -> Result<Metrics> {
        let answer = self.get("/metrics")?;
        ensure!(
            answer.status == 200,
            "/metrics answers {}: {}",
            answer.status,
            answer.body
        );
        let metrics = Metrics::parse(&answer.body)?;
        metrics
            .check_conservation()
            .with_context(|| format!("node {}", self.node.name()))?;
        Ok(metrics)
    }

    /// Gets `path` from the metrics port.
    pub fn get(&self, path: &str) -> Result<HttpAnswer> {
        self.get_with(path, &[])
    }

    /// Gets `path` from the metrics port with more request headers.
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Result<HttpAnswer> {
        self.request(self.plan.ports()[0], path, headers)
    }

    /// Gets `path` from the debug port.
    pub fn debug(&self, path: &str) -> Result<HttpAnswer> {
        self.request(self.plan.ports()[1], path, &[])
    }

    /// Scrapes until `condition` holds; fails at the deadline with the last scrape's traffic, and
    /// at once when a scrape breaks conservation or the process has ended.
    pub fn wait_until(
        &mut self,
        patience: Duration,
        condition: impl Fn(&Metrics) -> bool,
    ) -> Result<Metrics> {
        let deadline = Instant::now() + stretched(patience);
        loop {
            self.check_alive()?;
            let metrics = self.scrape()?;
            if condition(&metrics) {
                return Ok(metrics);
            }
            if Instant::now() > deadline {
                bail!(
                    "node {}: not within {patience:?}; last scrape:\n{}",
                    self.node.name(),
                    traffic(&metrics)
                );
            }
            thread::sleep(POLL);
        }
    }

    /// Scrapes until two drains later than now are visible: what was sent before the call is
    /// then in the metrics. A drain shows itself by the count of the drain histogram.
    pub fn settled(&mut self) -> Result<Metrics> {
        let before = drains(&self.scrape()?);
        self.wait_until(PATIENCE, |metrics| drains(metrics) >= before + 2)
    }

    /// [`Agent::settled`] for several agents, whose drains run beside each other.
    pub fn all_settled(agents: &mut [Self]) -> Result<Vec<Metrics>> {
        let mut before = Vec::new();
        for agent in agents.iter() {
            before.push(drains(&agent.scrape()?));
        }
        let settle = |(agent, before): (&mut Self, u64)| {
            agent.wait_until(PATIENCE, |metrics| drains(metrics) >= before + 2)
        };
        agents.iter_mut().zip(before).map(settle).collect()
    }

    /// Waits until `/readyz` answers 200.
    pub fn wait_ready(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + stretched(patience);
        loop {
            self.check_alive()?;
            let last = self.get("/readyz");
            match last {
                Ok(answer) if answer.status == 200 => return Ok(()),
                Ok(_) | Err(_) if Instant::now() < deadline => thread::sleep(POLL),
                Ok(answer) => bail!("not ready within {patience:?}: {}", answer.body),
                Err(error) => {
                    return Err(error).context(format!("not ready; log:\n{}", self.log()?));
                }
            }
        }
    }

    /// Ends the process with SIGTERM and waits for it.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(libc::SIGTERM)?;
        self.wait_end(TERM_PATIENCE)
    }

    /// Ends the process with SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(libc::SIGKILL)?;
        self.wait_end(TERM_PATIENCE).map(|_| ())
    }

    /// Starts the same agent again after [`Agent::stop`] or [`Agent::kill`], and waits until it
    /// is ready.
    pub fn restart(&mut self) -> Result<()> {
        ensure!(self.ended.is_some(), "the agent still runs");
        *self = self.plan.start_ready()?;
        Ok(())
    }

    /// Sends `signal` to the process.
    pub fn signal(&mut self, signal: i32) -> Result<()> {
        self.check_alive()?;
        // SAFETY: kill takes no pointers; the child is not reaped yet, so the id is its own.
        let result = unsafe { libc::kill(self.child.id() as i32, signal) };
        ensure!(result == 0, "kill: {}", std::io::Error::last_os_error());
        Ok(())
    }

    /// Waits for the process to end by itself.
    pub fn wait_end(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + stretched(patience);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                self.ended = Some(status);
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!(
            "the agent did not end within {patience:?}; log:\n{}",
            self.log()?
        )
    }

    /// Leaves the process running when the value is dropped.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            self.ended = Some(status);
            bail!(
                "the agent of node {} ended (code {:?}, signal {:?}); log:\n{}",
                self.node.name(),
                status.code(),
                status.signal(),
                self.log()?
            );
        }
        Ok(())
    }

    fn request(&self, port: u16, path: &str, headers: &[(&str, &str)]) -> Result<HttpAnswer> {
        let server = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port);
        self.node
            .namespace()
            .run(|| http::get(server, path, headers))?
            .with_context(|| format!("GET {path} on node {}", self.node.name()))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // Both fail only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn drains(metrics: &Metrics) -> u64 {
    metrics.sum("zonemeter_drain_duration_seconds_count", &[])
}

/// The lines of a scrape that an error message needs.
fn traffic(metrics: &Metrics) -> String {
    metrics
        .samples()
        .iter()
        .filter(|sample| sample.name.contains("bytes") || sample.name.contains("packets"))
        .filter(|sample| !sample.name.contains("workload") && !sample.name.starts_with("process"))
        .map(|sample| format!("{sample}\n"))
        .collect()
}
