//! A minimal HTTP/1.1 client: one GET, one answer.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::patience::stretched;

const PATIENCE: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The headers as they came, one per line.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Gets `path` of a server in this namespace.
///
/// # Errors
/// When it does not answer in time.
pub fn http_get(server: SocketAddr, path: &str) -> Result<HttpAnswer> {
    get(server, path, &[])
}

/// Gets `path`; HTTP/1.0, so that the body ends with the connection and is never chunked.
pub(crate) fn get(server: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<HttpAnswer> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)
        .with_context(|| format!("connect to {server}"))?;
    stream.set_read_timeout(Some(stretched(PATIENCE)))?;
    let more: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: {server}\r\n{more}\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("read the answer")?;
    let answer = String::from_utf8(answer).context("the answer is not UTF-8")?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("an answer without a body")?;
    let status = head
        .split(' ')
        .nth(1)
        .context("an answer without a status")?;
    Ok(HttpAnswer {
        status: status
            .parse()
            .with_context(|| format!("status {status:?}"))?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}
