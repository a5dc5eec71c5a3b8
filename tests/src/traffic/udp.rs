//! UDP datagrams of known size and number.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    namespace::Namespace,
    traffic::{PATIENCE, option},
};

/// How many datagrams of which size.
#[derive(Clone, Copy, Debug)]
pub struct Datagrams {
    /// How many.
    pub count: u32,
    /// Payload of each.
    pub size: usize,
    /// How many to hand to the kernel as one super-packet (`UDP_SEGMENT`, see udp(7)); 1: none.
    pub batch: u32,
}

impl Datagrams {
    /// `count` datagrams of `size` payload bytes, one by one.
    pub fn new(count: u32, size: usize) -> Self {
        Self {
            count,
            size,
            batch: 1,
        }
    }

    /// Hands `batch` of them at a time to the kernel, which cuts them late.
    pub fn batch(mut self, batch: u32) -> Self {
        self.batch = batch;
        self
    }
}

/// Waits on `port` for `expected` datagrams; the thread fails when they do not come. The result
/// is the list of senders as the server saw them, each once, sorted.
pub fn udp_sink(
    on: &Namespace,
    port: u16,
    expected: u32,
) -> Result<JoinHandle<Result<Vec<SocketAddr>>>> {
    let socket = bind(on, SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))?;
    option::enlarge(&socket)?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    Ok(std::thread::spawn(move || receive(&socket, expected)))
}

/// Sends `what` from one socket and waits until a sink at the other end has got all of it.
/// Returns the client as the server saw it.
pub fn udp_send(
    from: &Namespace,
    to: &Namespace,
    server: SocketAddr,
    what: Datagrams,
) -> Result<SocketAddr> {
    let sink = udp_sink(to, server.port(), what.count)?;
    from.run(|| send(server, what))?
        .with_context(|| format!("send to {server}"))?;
    join(sink)?.pop().context("the sink saw no sender")
}

/// Sends `what` from one socket and waits for nobody.
pub fn udp_send_only(from: &Namespace, server: SocketAddr, what: Datagrams) -> Result<()> {
    from.run(|| send(server, what))?
        .with_context(|| format!("send to {server}"))
}

/// Sends one datagram of `size` bytes from each of the source ports `ports`: as many flows.
pub fn udp_flows(
    from: &Namespace,
    to: &Namespace,
    server: SocketAddr,
    ports: std::ops::Range<u16>,
    size: usize,
) -> Result<()> {
    let sink = udp_sink(to, server.port(), ports.len() as u32)?;
    from.run(|| {
        let payload = vec![0x5a; size];
        for (index, port) in ports.enumerate() {
            let socket = UdpSocket::bind(any(server.ip(), port))?;
            socket.send_to(&payload, server)?;
            pace(index as u32);
        }
        io::Result::Ok(())
    })?
    .with_context(|| format!("send to {server}"))?;
    join(sink).map(|_| ())
}

fn send(server: SocketAddr, what: Datagrams) -> Result<()> {
    let socket = UdpSocket::bind(any(server.ip(), 0)).context("bind")?;
    if what.batch > 1 {
        ensure!(
            what.count.is_multiple_of(what.batch),
            "the count is no multiple of the batch"
        );
        option::segment(&socket, what.size)?;
    }
    let payload = vec![0x5a; what.size * what.batch as usize];
    for index in 0..what.count / what.batch {
        let sent = socket.send_to(&payload, server).context("send")?;
        ensure!(
            sent == payload.len(),
            "{sent} of {} bytes were sent",
            payload.len()
        );
        pace(index);
    }
    Ok(())
}

/// A short rest now and then, so that queues of a thousand packets never overflow.
pub(super) fn pace(index: u32) {
    if index % 64 == 63 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn receive(socket: &UdpSocket, expected: u32) -> Result<Vec<SocketAddr>> {
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = vec![0; 65_536];
    let mut senders = std::collections::BTreeSet::new();
    let mut received = 0;
    while received < expected {
        match socket.recv_from(&mut buffer) {
            Ok((_, sender)) => {
                senders.insert(sender);
                received += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ensure!(
                    Instant::now() < deadline,
                    "{received} of {expected} datagrams arrived"
                );
            }
            Err(error) => return Err(error).context("receive"),
        }
    }
    Ok(senders.into_iter().collect())
}

fn join<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn bind(on: &Namespace, address: SocketAddr) -> Result<UdpSocket> {
    on.run(|| UdpSocket::bind(address))?
        .with_context(|| format!("bind UDP {address}"))
}

/// This port of any address of the same family.
pub fn any(like: IpAddr, port: u16) -> SocketAddr {
    match like {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, port).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, port).into(),
    }
}
