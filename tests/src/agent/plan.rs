//! How to start an agent: flags, environment, binary.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    agent::{Agent, DEBUG_PORT, METRICS_PORT},
    node::Node,
};

/// How to start an agent.
#[derive(Clone, Debug)]
pub struct AgentPlan {
    node: Node,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    binary: Option<PathBuf>,
    wrapper: Vec<OsString>,
    container: Vec<OsString>,
    /// Stands beside another one on its node.
    is_second: bool,
}

impl AgentPlan {
    /// By default all addresses of the node are listened on, so that the node itself and the
    /// machine's root namespace reach the agent.
    pub(crate) fn new(node: Node, cluster: &Path, networks: &Path) -> Self {
        let state = node.directory().join("state");
        let plan = Self {
            arguments: vec!["agent".into()],
            environment: Vec::new(),
            binary: None,
            wrapper: Vec::new(),
            container: Vec::new(),
            is_second: false,
            node: node.clone(),
        };
        plan.flag("--node-name", node.object_name())
            .flag("--cluster-file", cluster)
            .flag("--networks-file", networks)
            .flag("--pin-dir", node.pin_directory())
            .flag("--state-dir", state)
    }

    /// Sets a flag; a flag set before gets the new value.
    pub fn flag(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self = self.without(name);
        self.arguments.extend([name.into(), value.into()]);
        self
    }

    /// Takes a flag and its value out.
    pub fn without(mut self, name: &str) -> Self {
        if let Some(at) = self.arguments.iter().position(|argument| argument == name) {
            self.arguments.drain(at..at + 2);
        }
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Makes it one that runs beside another agent of the node: with ports, a log and directories
    /// of its own.
    pub fn second(mut self) -> Self {
        self.is_second = true;
        let [metrics, debug] = self.ports();
        let name = format!("{}-second", self.node.name());
        let pins = self.node.pin_directory().with_file_name(name);
        let state = self.node.directory().join("state-second");
        self.flag("--listen", format!("[::]:{metrics}"))
            .flag("--debug-listen", format!("127.0.0.1:{debug}"))
            .flag("--pin-dir", pins)
            .flag("--state-dir", state)
    }

    /// Of `/metrics` and of the debug page.
    pub(super) fn ports(&self) -> [u16; 2] {
        let further = if self.is_second { 10 } else { 0 };
        [METRICS_PORT + further, DEBUG_PORT + further]
    }

    /// Runs another binary than [`agent_binary`].
    pub fn binary(mut self, path: &Path) -> Self {
        self.binary = Some(path.to_owned());
        self
    }

    /// Starts the binary through another program, such as `setpriv --bounding-set=-all`.
    pub fn wrapped(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(Into::into).collect();
        self
    }

    /// Runs the agent of a container, which has flags of its own, by this command in place of the
    /// binary. The container has to outlive the agent.
    pub fn in_container(mut self, command: Vec<String>) -> Self {
        self.container = command.into_iter().map(Into::into).collect();
        self
    }

    /// Starts the process and returns at once.
    pub fn start(&self) -> Result<Agent> {
        for state in ["state", "state-second"] {
            let state = self.node.directory().join(state);
            fs::create_dir_all(&state).with_context(|| format!("create {}", state.display()))?;
        }
        let log = self.log();
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("open {}", log.display()))?;
        let mut command = self.command()?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child = command
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        Ok(Agent::new(child, self.node.clone(), log, self.clone()))
    }

    /// Starts the process and waits until `/readyz` says yes.
    pub fn start_ready(&self) -> Result<Agent> {
        let mut agent = self.start()?;
        agent.wait_ready(Duration::from_secs(30))?;
        Ok(agent)
    }

    /// Runs the process to its end, which has to come within `patience`; for wrong flags.
    pub fn run(&self, patience: Duration) -> Result<(ExitStatus, String)> {
        let from = fs::metadata(self.log()).map_or(0, |meta| meta.len());
        let mut agent = self.start()?;
        let status = agent.wait_end(patience)?;
        let said = agent.log()?;
        Ok((
            status,
            said.get(from as usize..).unwrap_or(&said).to_owned(),
        ))
    }

    fn command(&self) -> Result<Command> {
        let mut words = self.container.clone();
        if words.is_empty() {
            let binary = self.binary.clone().map_or_else(agent_binary, Ok)?;
            words.extend(self.wrapper.iter().cloned());
            words.push(binary.into());
            words.extend(self.arguments.iter().cloned());
        }
        let mut command = self.node.namespace().command(&words[0]);
        command.args(&words[1..]);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_setting(name)) {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    fn log(&self) -> PathBuf {
        let name = match self.is_second {
            true => "agent-second.log",
            false => "agent.log",
        };
        self.node.directory().join(name)
    }
}

/// The binary that labs run: `$ZONEMETER_BIN`, else `zonemeter` beside the running test, demo or
/// benchmark in the target directory.
pub fn agent_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ZONEMETER_BIN") {
        let path = PathBuf::from(path);
        ensure!(
            path.is_file(),
            "ZONEMETER_BIN names {}, which is no file",
            path.display()
        );
        return Ok(path);
    }
    let own = std::env::current_exe().context("path of the running test")?;
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("zonemeter"))
        .find(|candidate| candidate.is_file())
        .context("no zonemeter binary: run cargo build -p zonemeter-agent, or set ZONEMETER_BIN")
}

/// Variables that the agent reads; the lab's agents get theirs from the plan alone.
fn is_setting(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("ZONEMETER_") || name == "NODE_NAME" || name == "KUBECONFIG"
}
