//! A tiny HTTP server and client: `GET /N` answers with N bytes.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    namespace::Namespace,
    traffic::{PATIENCE, tcp::accept},
};

/// A running server; it stops when the value is dropped, or at its deadline.
#[derive(Debug)]
pub struct HttpServer {
    /// The port.
    pub port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves on `port` of both families for at most `lifetime`, one connection at a time.
pub fn http_server(on: &Namespace, port: u16, lifetime: Duration) -> Result<HttpServer> {
    let listener = on
        .run(|| TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))))?
        .with_context(|| format!("listen on TCP port {port}"))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let stop = Arc::new(AtomicBool::new(false));
    let (seen, end) = (Arc::clone(&stop), Instant::now() + lifetime);
    let thread = std::thread::spawn(move || {
        while !seen.load(Ordering::Relaxed) && Instant::now() < end {
            // Short, so that the flag is looked at; a client that goes away is its own trouble.
            if let Ok(stream) = accept(&listener, Instant::now() + Duration::from_millis(50)) {
                let _ = answer(stream);
            }
        }
    });
    Ok(HttpServer {
        port,
        stop,
        thread: Some(thread),
    })
}

/// Gets `bytes` bytes of body from a server, over a connection of its own.
pub fn http_get(from: &Namespace, server: SocketAddr, bytes: usize) -> Result<()> {
    from.run(|| get(server, bytes))?
        .with_context(|| format!("GET {bytes} bytes from {server}"))
}

fn get(server: SocketAddr, bytes: usize) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).context("connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /{bytes} HTTP/1.0\r\nHost: {server}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("read")?;
    ensure!(
        answer.starts_with(b"HTTP/1.0 200 "),
        "the answer is not 200"
    );
    let head = answer
        .windows(4)
        .position(|at| at == b"\r\n\r\n")
        .context("no body")?;
    ensure!(
        answer.len() - head - 4 == bytes,
        "the body has {} bytes",
        answer.len() - head - 4
    );
    Ok(())
}

fn answer(mut stream: TcpStream) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let path = request.split(' ').nth(1).unwrap_or_default();
    let size = path.trim_start_matches('/').parse().unwrap_or(0);
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? <= 2 {
            break;
        }
    }
    write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {size}\r\n\r\n")?;
    stream.write_all(&vec![b'z'; size])?;
    Ok(())
}
