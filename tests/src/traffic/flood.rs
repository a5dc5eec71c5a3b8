//! Senders at full speed for a stated time.

use std::{
    io::{Read, Write},
    net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{
    namespace::Namespace,
    traffic::{PATIENCE, tcp::accept, udp},
};

/// A sender under way; it stops by itself.
#[derive(Debug)]
pub struct Flood {
    sender: JoinHandle<Result<u64>>,
    receiver: Option<JoinHandle<Result<u64>>>,
}

impl Flood {
    /// True when the sender has stopped.
    pub fn is_over(&self) -> bool {
        self.sender.is_finished()
    }

    /// Waits for the end; returns the payload bytes that were sent.
    pub fn finish(self) -> Result<u64> {
        let sent = join(self.sender)?;
        if let Some(receiver) = self.receiver {
            join(receiver)?;
        }
        Ok(sent)
    }
}

/// One TCP connection from `from` to `server`, a port in `to`, writing as fast as it goes.
pub fn tcp_flood(
    from: &Namespace,
    to: &Namespace,
    server: SocketAddr,
    duration: Duration,
) -> Result<Flood> {
    let listener = to
        .run(|| TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, server.port()))))?
        .with_context(|| format!("listen on {server}"))?;
    listener.set_nonblocking(true)?;
    let receiver = std::thread::spawn(move || drain(&listener));
    let sender = from.spawn(move || write_for(server, duration));
    Ok(Flood {
        sender,
        receiver: Some(receiver),
    })
}

/// Datagrams of `size` bytes from `from` to `server` as fast as the socket takes them; nobody
/// reads them.
pub fn udp_flood(
    from: &Namespace,
    to: &Namespace,
    server: SocketAddr,
    size: usize,
    duration: Duration,
) -> Result<Flood> {
    let sink = to
        .run(|| UdpSocket::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, server.port()))))?
        .with_context(|| format!("bind {server}"))?;
    let sender = from.spawn(move || {
        let _open_until_the_end = sink;
        send_for(server, size, duration)
    });
    Ok(Flood {
        sender,
        receiver: None,
    })
}

fn drain(listener: &TcpListener) -> Result<u64> {
    let mut stream = accept(listener, Instant::now() + PATIENCE)?;
    let mut buffer = vec![0; 256 * 1024];
    let mut received = 0;
    loop {
        match stream.read(&mut buffer).context("read")? {
            0 => return Ok(received),
            more => received += more as u64,
        }
    }
}

fn write_for(server: SocketAddr, duration: Duration) -> Result<u64> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).context("connect")?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let chunk = vec![0x5a; 256 * 1024];
    let (end, mut sent) = (Instant::now() + duration, 0);
    while Instant::now() < end {
        stream.write_all(&chunk).context("write")?;
        sent += chunk.len() as u64;
    }
    Ok(sent)
}

fn send_for(server: SocketAddr, size: usize, duration: Duration) -> Result<u64> {
    let socket = UdpSocket::bind(udp::any(server.ip(), 0)).context("bind")?;
    let payload = vec![0x5a; size];
    let (end, mut sent) = (Instant::now() + duration, 0);
    while Instant::now() < end {
        for _ in 0..64 {
            sent += socket.send_to(&payload, server).context("send")? as u64;
        }
    }
    Ok(sent)
}

fn join<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
