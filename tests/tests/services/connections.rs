//! Short TCP connections at a steady rate, as many clients of a Service make them: each asks
//! once, is answered once and is closed by the server.

use std::{
    collections::BTreeSet,
    io::{self, Read, Write},
    net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use zonemeter_lab::{
    Namespace,
    traffic::{PATIENCE, receive_timeout},
};

/// Threads for each client: one waits for an answer while another asks.
const THREADS: u32 = 4;
/// How soon a server notices that it is to stop.
const STOP_PATIENCE: Duration = Duration::from_millis(200);

/// Longer than two drains of an agent.
pub(crate) const SOON: Duration = Duration::from_secs(12);

/// Payload of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload {
    /// Bytes from the client.
    pub(crate) request: usize,
    /// Bytes from the server.
    pub(crate) answer: usize,
}

/// How many connections for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Connections per second of all clients together; never more.
    pub(crate) per_second: u32,
    /// For how long connections are begun.
    pub(crate) duration: Duration,
}

/// What became of a [`Rate`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    /// Connections, each asked and answered in full.
    pub(crate) connections: u64,
    /// Those of them that had a port which their client had used less than [`SOON`] before.
    pub(crate) reused: u64,
    /// From the first connection to the end of the last.
    pub(crate) elapsed: Duration,
}

impl Reached {
    /// Connections per second.
    pub(crate) fn per_second(&self) -> f64 {
        self.connections as f64 / self.elapsed.as_secs_f64()
    }
}

/// A running server; it stops when the value is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its clients have failed too, where it did.
            let _ = thread.join();
        }
    }
}

/// Serves connections of this payload on `port` of both families, one at a time.
pub(crate) fn serve(on: &Namespace, port: u16, payload: Payload) -> Result<Server> {
    let listener = on
        .run(|| TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))))?
        .with_context(|| format!("listen on TCP port {port}"))?;
    receive_timeout(&listener, STOP_PATIENCE)?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let thread = thread::spawn(move || {
        while !told.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => answer(stream, payload)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("accept"),
            }
        }
        Ok(())
    });
    Ok(Server {
        stop,
        thread: Some(thread),
    })
}

/// Connects from all of `clients` to `server` at `rate`. A thread that is late makes up for it,
/// until the time is over.
pub(crate) fn make(
    clients: &[Namespace],
    server: SocketAddr,
    payload: Payload,
    rate: Rate,
) -> Result<Reached> {
    let threads = clients.len() as u32 * THREADS;
    let every = Duration::from_secs(1) * threads / rate.per_second;
    let start = Instant::now();
    let asking: Vec<_> = (0..threads)
        .map(|number| {
            let client = &clients[number as usize % clients.len()];
            let first = start + every * number / threads;
            let end = start + rate.duration;
            client.spawn(move || ask_until(server, payload, first, every, end))
        })
        .collect();
    let mut used = BTreeSet::new();
    for (number, thread) in asking.into_iter().enumerate() {
        let ports = match thread.join() {
            Ok(ports) => ports?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let client = number % clients.len();
        used.extend(ports.into_iter().map(|(port, when)| (client, port, when)));
    }
    let used: Vec<_> = used.into_iter().collect();
    let again = used.windows(2).filter(|two| {
        let [(client, port, when), (again, same, later)] = [two[0], two[1]];
        (client, port) == (again, same) && later - when < SOON
    });
    Ok(Reached {
        connections: used.len() as u64,
        reused: again.count() as u64,
        elapsed: start.elapsed(),
    })
}

/// Returns the client's port of each connection, and when it was done with.
fn ask_until(
    server: SocketAddr,
    payload: Payload,
    first: Instant,
    every: Duration,
    end: Instant,
) -> Result<Vec<(u16, Instant)>> {
    let mut ports = Vec::new();
    let mut due = first;
    while due < end && Instant::now() < end {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let done = ports.len();
        let port = ask(server, payload)
            .with_context(|| format!("connection number {done} to {server}"))?;
        ports.push((port, Instant::now()));
        due += every;
    }
    Ok(ports)
}

fn ask(server: SocketAddr, payload: Payload) -> Result<u16> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).context("connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream
        .write_all(&vec![0x5a; payload.request])
        .context("ask")?;
    let mut answer = Vec::with_capacity(payload.answer);
    stream.read_to_end(&mut answer).context("read the answer")?;
    ensure!(
        answer.len() == payload.answer,
        "an answer of {} bytes",
        answer.len()
    );
    Ok(stream.local_addr()?.port())
}

fn answer(mut stream: TcpStream, payload: Payload) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = vec![0; payload.request];
    stream.read_exact(&mut request).context("read a request")?;
    stream
        .write_all(&vec![0x5a; payload.answer])
        .context("answer")
}
