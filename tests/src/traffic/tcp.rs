//! TCP transfers of known size.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{namespace::Namespace, traffic::PATIENCE};

const CHUNK: usize = 64 * 1024;

/// A server that reads each connection to its end and answers with the number of bytes that it
/// got.
#[derive(Debug)]
pub struct TcpSink {
    /// The port.
    pub port: u16,
    thread: JoinHandle<Result<Vec<SocketAddr>>>,
}

impl TcpSink {
    /// Waits until all connections were served; returns their peers as the server saw them.
    pub fn finish(self) -> Result<Vec<SocketAddr>> {
        match self.thread.join() {
            Ok(peers) => peers,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// Serves `connections` connections on `port` (0: any) of both families.
pub fn tcp_sink(on: &Namespace, port: u16, connections: usize) -> Result<TcpSink> {
    let listener = on
        .run(|| TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))))?
        .with_context(|| format!("listen on TCP port {port}"))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let thread = std::thread::spawn(move || {
        let deadline = Instant::now() + PATIENCE;
        (0..connections)
            .map(|_| serve(&accept(&listener, deadline)?))
            .collect()
    });
    Ok(TcpSink { port, thread })
}

/// Sends `bytes` to a sink and waits for its answer, which must name the same number. Returns
/// the client's own address.
pub fn tcp_send(from: &Namespace, to: SocketAddr, bytes: u64) -> Result<SocketAddr> {
    from.run(|| send(to, bytes))?
        .with_context(|| format!("send {bytes} bytes to {to}"))
}

/// A sink at `to` and one transfer of `bytes` to it. Returns client and server as the server saw
/// the client.
pub fn tcp_transfer(
    from: &Namespace,
    to: &Namespace,
    address: IpAddr,
    port: u16,
    bytes: u64,
) -> Result<SocketAddr> {
    let sink = tcp_sink(to, port, 1)?;
    tcp_send(from, SocketAddr::new(address, sink.port), bytes)?;
    sink.finish()?.pop().context("the sink saw no client")
}

/// Waits for a connection until the deadline.
pub(super) fn accept(listener: &TcpListener, deadline: Instant) -> Result<TcpStream> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if Instant::now() > deadline {
                    bail!("nobody connected to {}", listener.local_addr()?);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error).context("accept"),
        }
    }
}

fn serve(mut stream: &TcpStream) -> Result<SocketAddr> {
    let mut buffer = vec![0; CHUNK];
    let mut received = 0_u64;
    loop {
        match stream.read(&mut buffer).context("read")? {
            0 => break,
            more => received += more as u64,
        }
    }
    stream
        .write_all(&received.to_be_bytes())
        .context("answer")?;
    Ok(stream.peer_addr()?)
}

fn send(to: SocketAddr, bytes: u64) -> Result<SocketAddr> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE).context("connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let chunk = vec![0x5a; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let part = left.min(CHUNK as u64) as usize;
        stream.write_all(&chunk[..part]).context("write")?;
        left -= part as u64;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).context("read the answer")?;
    let arrived = u64::from_be_bytes(answer);
    ensure!(arrived == bytes, "{arrived} of {bytes} bytes arrived");
    Ok(stream.local_addr()?)
}
