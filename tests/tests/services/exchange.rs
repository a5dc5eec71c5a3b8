//! UDP requests that are answered: known bytes in both directions.

use std::{
    net::{SocketAddr, UdpSocket},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use zonemeter_lab::{
    Namespace,
    traffic::{PATIENCE, any},
};

/// How many requests and answers, and the payload of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    /// Requests, and as many answers.
    pub(crate) count: u32,
    /// Payload of a request.
    pub(crate) request: usize,
    /// Payload of an answer.
    pub(crate) answer: usize,
}

/// Sends requests one by one from `source` (port 0: any) in `from` to `asked`, which a server at
/// `server` in `to` must get and answer. Returns the client as the server saw it.
pub(crate) fn udp_exchange(
    (from, source): (&Namespace, SocketAddr),
    asked: SocketAddr,
    (to, server): (&Namespace, SocketAddr),
    what: Exchange,
) -> Result<SocketAddr> {
    let serving = answering(to, server, what)?;
    let asking = from.run(|| ask(source, asked, what))?;
    let client = match serving.join() {
        Ok(client) => client,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    asking.with_context(|| format!("ask {asked}"))?;
    client.with_context(|| format!("answer at {server}"))
}

fn answering(
    on: &Namespace,
    server: SocketAddr,
    what: Exchange,
) -> Result<JoinHandle<Result<SocketAddr>>> {
    let socket = on
        .run(|| UdpSocket::bind(server))?
        .with_context(|| format!("bind UDP {server}"))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    Ok(std::thread::spawn(move || answer(&socket, what)))
}

fn answer(socket: &UdpSocket, what: Exchange) -> Result<SocketAddr> {
    let deadline = Instant::now() + PATIENCE;
    let (mut buffer, payload) = (vec![0; 65_536], vec![0x5a; what.answer]);
    let (mut answered, mut client) = (0, None);
    while answered < what.count {
        match socket.recv_from(&mut buffer) {
            Ok((_, sender)) => {
                socket.send_to(&payload, sender).context("answer")?;
                client = Some(sender);
                answered += 1;
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                ensure!(Instant::now() < deadline, "{answered} requests came");
            }
            Err(error) => return Err(error).context("receive"),
        }
    }
    client.context("no request came")
}

fn ask(source: SocketAddr, asked: SocketAddr, what: Exchange) -> Result<()> {
    let source = match source.ip().is_unspecified() {
        true => any(asked.ip(), source.port()),
        false => source,
    };
    let socket = UdpSocket::bind(source).context("bind")?;
    socket.connect(asked).context("connect")?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let (payload, mut buffer) = (vec![0x5a; what.request], vec![0; 65_536]);
    for number in 0..what.count {
        socket.send(&payload).context("send")?;
        let got = socket
            .recv(&mut buffer)
            .with_context(|| format!("the answer to request {number}"))?;
        ensure!(got == what.answer, "an answer of {got} bytes");
    }
    Ok(())
}
