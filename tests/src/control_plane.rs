//! A real Kubernetes control plane on loopback: etcd and kube-apiserver, nothing else. Nobody
//! schedules, nobody runs pods: what a test writes is what there is.
//!
//! Authorization is RBAC, authentication by one administrator's token and by ServiceAccount
//! tokens of the server's own making.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

mod credentials;
mod proxy;
mod shared;

pub use proxy::Proxy;
pub(crate) use shared::Lease;

use crate::{go_tools::KUBERNETES, process::Process};

/// How long etcd and the API server may take until they answer, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// A server whose start takes too long ends itself, and a kubelet would start it again.
const STARTS: usize = 3;
/// Ports of servers: below those that the kernel gives to connections, which would otherwise take
/// one between the look whether it is free and the server's start.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;
const POLL_EVERY: Duration = Duration::from_millis(200);

/// A running control plane; dropped, it is gone with all it held.
#[derive(Debug)]
pub struct ControlPlane {
    // In the order of dropping: the server before its store, both before their folder.
    api: Option<Process>,
    _etcd: Process,
    /// Of the executables.
    tools: PathBuf,
    etcd_address: SocketAddr,
    address: SocketAddr,
    arguments: Vec<String>,
    folder: TempDir,
}

impl ControlPlane {
    /// Starts one and waits until it is ready. `arguments` are more flags of the API server.
    ///
    /// # Errors
    /// The executables are missing, or did not become ready: then with what they wrote.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        let mut plane = Self::start_store(arguments)?;
        plane.start_api()?;
        Ok(plane)
    }

    /// Starts the store only; [`Self::start_api`] completes it.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_store(arguments: &[&str]) -> Result<Self> {
        let tools = KUBERNETES.find()?;
        let folder = tempfile::Builder::new()
            .prefix("zonemeter-control-plane-")
            .tempdir()?;
        credentials::write(folder.path())?;
        let [etcd_address, peer, address] = free_addresses()?;
        let etcd = start_etcd(&tools, folder.path(), etcd_address, peer)?;
        let arguments = arguments
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        Ok(Self {
            api: None,
            _etcd: etcd,
            tools,
            etcd_address,
            address,
            arguments,
            folder,
        })
    }

    /// Starts the API server, again after [`Self::kill_api`] at the same address, and waits
    /// until it is ready.
    ///
    /// # Errors
    /// It did not become ready: with what it wrote.
    pub fn start_api(&mut self) -> Result<()> {
        let mut result = Ok(());
        for _ in 0..STARTS {
            self.spawn_api()?;
            result = self.await_ready();
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn spawn_api(&mut self) -> Result<()> {
        let mut command = Command::new(self.tools.join("kube-apiserver"));
        command.args(self.api_arguments()).args(&self.arguments);
        let log = self.folder.path().join("kube-apiserver.log");
        self.api = Some(Process::start(command, &log)?);
        Ok(())
    }

    /// Kills the API server as a crash would.
    pub fn kill_api(&mut self) {
        self.api = None;
    }

    /// Where the API server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A folder that lives as long as the control plane, for a test's own files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A kubeconfig of the administrator.
    ///
    /// # Errors
    /// As [`Self::kubeconfig`].
    pub fn admin_kubeconfig(&self) -> Result<PathBuf> {
        self.kubeconfig(
            "admin",
            self.address,
            &self.folder.path().join(credentials::ADMIN_TOKEN),
        )
    }

    /// Writes a kubeconfig called `name` that reaches the server through `address` with the token
    /// in a file.
    ///
    /// # Errors
    /// The server has never run (its certificate is not there yet), or the disk is full.
    pub fn kubeconfig(&self, name: &str, address: SocketAddr, token: &Path) -> Result<PathBuf> {
        let authority = credentials::authority(self.folder.path())?;
        let path = self.folder.path().join(format!("{name}.kubeconfig"));
        // Whole at any time: a program that is running may read it while the next one starts.
        let new = tempfile::NamedTempFile::new_in(self.folder.path())?;
        std::fs::write(&new, credentials::kubeconfig(address, &authority, token))?;
        new.persist(&path)?;
        Ok(path)
    }

    /// The certificate of the server's authority, PEM.
    ///
    /// # Errors
    /// The server has never run.
    pub fn authority(&self) -> Result<String> {
        credentials::authority(self.folder.path())
    }

    /// Runs kubectl as the administrator; what it printed.
    ///
    /// # Errors
    /// kubectl failed: with what it wrote.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(self.tools.join("kubectl"));
        command
            .arg("--kubeconfig")
            .arg(self.admin_kubeconfig()?)
            .args(arguments);
        let done = command.output().context("cannot start kubectl")?;
        if !done.status.success() {
            bail!(
                "kubectl {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&done.stderr)
            );
        }
        Ok(String::from_utf8(done.stdout)?)
    }

    /// Starts a way to the server that needs no TLS and no token.
    ///
    /// # Errors
    /// kubectl could not be started, or takes no connections.
    pub fn proxy(&self) -> Result<Proxy> {
        Proxy::start(
            &self.tools.join("kubectl"),
            &self.admin_kubeconfig()?,
            self.folder.path(),
        )
    }

    fn api_arguments(&self) -> Vec<String> {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        vec![
            format!("--etcd-servers=http://{}", self.etcd_address),
            format!("--bind-address={}", self.address.ip()),
            format!("--advertise-address={}", self.address.ip()),
            format!("--secure-port={}", self.address.port()),
            format!("--cert-dir={}", file(credentials::CERTIFICATES)),
            format!("--token-auth-file={}", file(credentials::TOKENS)),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!(
                "--service-account-key-file={}",
                file(credentials::VERIFYING_KEY)
            ),
            format!(
                "--service-account-signing-key-file={}",
                file(credentials::SIGNING_KEY)
            ),
            "--authorization-mode=RBAC".to_owned(),
            // Nobody is there to make the `default` account of a namespace.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112".to_owned(),
            "--allow-privileged=true".to_owned(),
        ]
    }

    fn await_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let Err(error) = self.kubectl(&["get", "--raw", "/readyz"]) else {
                return Ok(());
            };
            let ended = self.api.as_mut().is_none_or(Process::has_ended);
            if ended || Instant::now() > deadline {
                let log = std::fs::read_to_string(self.folder.path().join("kube-apiserver.log"));
                let log = log.unwrap_or_default();
                let tail = log.lines().rev().take(5).collect::<Vec<_>>().join("\n");
                bail!("the API server did not become ready: {error:#}\n{tail}");
            }
            std::thread::sleep(POLL_EVERY);
        }
    }
}

fn start_etcd(
    tools: &Path,
    folder: &Path,
    address: SocketAddr,
    peer: SocketAddr,
) -> Result<Process> {
    let (client, peer) = (format!("http://{address}"), format!("http://{peer}"));
    let mut command = Command::new(tools.join("etcd"));
    command.arg("--data-dir").arg(folder.join("etcd"));
    // A test's store need not outlive a power cut.
    command.args(["--unsafe-no-fsync", "--log-level=error"]);
    command.args([
        "--listen-client-urls",
        &client,
        "--advertise-client-urls",
        &client,
    ]);
    command.args([
        "--listen-peer-urls",
        &peer,
        "--initial-advertise-peer-urls",
        &peer,
    ]);
    command.args(["--initial-cluster", &format!("default={peer}")]);
    Process::start(command, &folder.join("etcd.log"))
}

/// Addresses that were free a moment ago, all different.
pub(crate) fn free_addresses<const N: usize>() -> Result<[SocketAddr; N]> {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Processes that start beside each other begin at different ports.
    let first = (std::process::id().wrapping_mul(37) % u32::from(PORTS)) as u16;
    let candidates = (0..PORTS).map(|_| {
        let offset = first.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % PORTS;
        SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST_PORT + offset))
    });
    let free = candidates.filter(|address| TcpListener::bind(address).is_ok());
    let found: Vec<_> = free.take(N).collect();
    found
        .try_into()
        .map_err(|_| anyhow::anyhow!("no free ports"))
}
