//! Plain HTTP to the API server: `kubectl proxy` on a Unix socket speaks TLS and has the
//! administrator's token, so that a writer needs neither.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process::Process;

const READY_WITHIN: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `kubectl proxy`.
#[derive(Debug)]
pub struct Proxy {
    _process: Process,
    socket: PathBuf,
}

impl Proxy {
    /// Starts one and waits until it takes connections.
    pub(super) fn start(kubectl: &Path, kubeconfig: &Path, folder: &Path) -> Result<Self> {
        let socket = folder.join("proxy.socket");
        let mut command = Command::new(kubectl);
        command.arg("--kubeconfig").arg(kubeconfig).arg("proxy");
        command.arg("--unix-socket").arg(&socket);
        let process = Process::start(command, &folder.join("proxy.log"))?;
        let deadline = Instant::now() + READY_WITHIN;
        while let Err(error) = UnixStream::connect(&socket) {
            ensure!(Instant::now() < deadline, "kubectl proxy: {error}");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Self {
            _process: process,
            socket,
        })
    }

    /// Sends one request; the status code of the answer and its body.
    ///
    /// # Errors
    /// No answer, or one that is no JSON.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let answer = self
            .exchange(method, path, body)
            .with_context(|| format!("{method} {path}"))?;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .context("an answer without a body")?;
        let status = head.split(' ').nth(1).context("no status")?;
        Ok((status.parse()?, serde_json::from_str(body)?))
    }

    /// [`Self::request`], the answer's body where it is one of success.
    ///
    /// # Errors
    /// Any other answer, with what the server said.
    pub fn succeed(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        match self.request(method, path, body)? {
            (200..300, answer) => Ok(answer),
            (status, answer) => bail!("{method} {path}: {status} {}", answer["message"]),
        }
    }

    /// HTTP/1.0: the answer ends with the connection.
    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> Result<String> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let kind = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
