//! The whole agent against the cluster: its executable, started as in a DaemonSet, on a node
//! without pods' veths.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    populate::{self, Size},
    relay::Relay,
};

/// What is not there: nothing is counted.
const NO_INTERFACE: &str = "zm-none*";
const POLL: Duration = Duration::from_millis(20);
const TIMEOUT: Duration = Duration::from_secs(120);
/// Memory that the listing has left free goes back to the system by then.
const SETTLE: Duration = Duration::from_secs(30);
/// Watches say little after the lists: what comes in such pieces is no list any more.
const LAST_OF_A_LIST: u64 = 1 << 16;

/// What an agent took to be ready and to stay so.
pub(crate) struct Measured {
    /// From the start of the process until `/readyz` misses nothing but the pods' interfaces.
    pub(crate) ready: Duration,
    /// From the last bytes of the lists until then.
    pub(crate) ready_after_lists: Duration,
    /// From the API server until then, with TLS around them.
    pub(crate) received: u64,
    /// Some time after that.
    pub(crate) memory: Memory,
}

/// Lines of `/proc/PID/status` in bytes.
pub(crate) struct Memory {
    /// The highest resident set so far.
    pub(crate) highest: u64,
    pub(crate) resident: u64,
    /// Of the resident set: heap and stacks.
    pub(crate) anonymous: u64,
    /// Of the resident set: the executable, which agents of one node would share.
    pub(crate) file: u64,
}

/// True where nothing is missing but what this node has not: interfaces of its pods.
fn is_ready(told: &str) -> bool {
    let waits = ["counting: ", "cluster: ", "own_node: "];
    told.contains("pods of this node have") && !waits.iter().any(|name| told.contains(name))
}

/// The process, which ends with the value.
struct Agent {
    child: Child,
    metrics: SocketAddr,
}

/// Needs root.
pub(crate) fn measure(kubeconfig: &Path, relay: &Relay, size: Size) -> Measured {
    let agent = Agent::start(kubeconfig);
    let started = Instant::now();
    let mut received = vec![(Duration::ZERO, 0)];
    let ready = loop {
        received.push((started.elapsed(), relay.received()));
        if agent
            .get("/readyz")
            .is_some_and(|answer| is_ready(&answer.1))
        {
            break started.elapsed();
        }
        assert!(started.elapsed() < TIMEOUT, "{:?}", agent.get("/readyz"));
        thread::sleep(POLL);
    };
    let total = relay.received();
    let enough = |(_, bytes): &&(Duration, u64)| *bytes + LAST_OF_A_LIST >= total;
    let listed = received.iter().find(enough).map_or(ready, |(at, _)| *at);
    thread::sleep(SETTLE);
    let (_, metrics) = agent.get("/metrics").unwrap();
    let pods = format!("zonemeter_cluster_objects{{kind=\"Pod\"}} {}\n", size.pods);
    assert!(metrics.contains(&pods), "not shown: {pods}");
    Measured {
        ready,
        ready_after_lists: ready.saturating_sub(listed),
        received: total,
        memory: agent.memory(),
    }
}

impl Agent {
    fn start(kubeconfig: &Path) -> Self {
        let [metrics, debug] = [free_address(), free_address()];
        let built = || env!("CARGO_BIN_EXE_zonemeter").into();
        let mut command = Command::new(std::env::var_os("ZONEMETER_BIN").unwrap_or_else(built));
        // What the shell of whoever measures has set is not what is measured.
        command.env_clear();
        command
            .arg("agent")
            .args(["--node-name", &populate::node(0)])
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["--interface", NO_INTERFACE, "--pin-dir", ""])
            .args(["--listen", &metrics.to_string()])
            .args(["--debug-listen", &debug.to_string()]);
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        Self { child, metrics }
    }

    /// Status and body; `None` while nobody listens.
    fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.metrics).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    }

    fn memory(&self) -> Memory {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let bytes = |field: &str| {
            let line = status.lines().find(|line| line.starts_with(field));
            let words = line.unwrap().split_whitespace().nth(1);
            words.unwrap().parse::<u64>().unwrap() * 1024
        };
        Memory {
            highest: bytes("VmHWM:"),
            resident: bytes("VmRSS:"),
            anonymous: bytes("RssAnon:"),
            file: bytes("RssFile:"),
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself, which the measurement has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
