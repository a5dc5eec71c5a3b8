//! The demo's own programs that run inside a namespace: this binary, started again there, so that
//! they can outlive the command (`--keep`) and end with the lab.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::Stdio,
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use zonemeter_lab::{DEBUG_PORT, Namespace, traffic};

use crate::repository;

/// Longer than any demo is kept.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    /// Answers `GET /N` with N bytes.
    HttpServer,
    /// Passes connections on to the port on the namespace's own loopback. The socket that accepts
    /// them is its standard input, and belongs to another namespace.
    PortForward,
}

impl Part {
    /// Runs it until it is killed.
    pub(super) fn run(self, namespace: &str, port: u16) -> Result<()> {
        match self {
            Self::HttpServer => {
                let _server = traffic::http_server(&Namespace::open(namespace)?, port, LIFETIME)?;
                thread::sleep(LIFETIME);
                Ok(())
            }
            Self::PortForward => {
                let listener = io::stdin().as_fd().try_clone_to_owned()?;
                forward(&TcpListener::from(listener), port)
            }
        }
    }

    /// The arguments of this binary that lead to [`Part::run`].
    pub(super) fn arguments(self, namespace: &str, port: u16) -> Vec<String> {
        let name = self
            .to_possible_value()
            .map(|value| value.get_name().to_owned());
        let name = name.unwrap_or_default();
        let words = ["demo", "--part", &name, "--namespace", namespace, "--port"];
        words
            .into_iter()
            .map(str::to_owned)
            .chain([port.to_string()])
            .collect()
    }
}

/// Makes the debug page of the agent on `node` reachable from this namespace until the lab ends:
/// the address for a browser. The page's own port where that is free.
pub(super) fn forward_page(node: &Namespace) -> Result<SocketAddr> {
    let here = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = here(DEBUG_PORT).or_else(|_| here(0));
    let listener = listener.context("a port on the loopback for the page")?;
    let address = listener.local_addr()?;
    node.command(repository::own_program())
        .args(Part::PortForward.arguments(node.name(), DEBUG_PORT))
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting what passes the page on")?;
    Ok(address)
}

fn forward(listener: &TcpListener, port: u16) -> Result<()> {
    for accepted in listener.incoming() {
        let outer = accepted.context("accepting a connection")?;
        thread::spawn(move || -> io::Result<()> {
            let inner = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            let (from_inner, to_outer) = (inner.try_clone()?, outer.try_clone()?);
            let back = thread::spawn(move || pass(from_inner, to_outer));
            pass(outer, inner)?;
            back.join().unwrap_or(Ok(()))
        });
    }
    Ok(())
}

/// One direction, to its end.
fn pass(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Write)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_connection_is_passed_on_in_both_directions() {
        let local = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (outer, inner) = (local(), local());
        let (address, port) = (
            outer.local_addr().unwrap(),
            inner.local_addr().unwrap().port(),
        );
        thread::spawn(move || forward(&outer, port));
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let (mut server, _) = inner.accept().unwrap();
        let mut asked = String::new();
        server.read_to_string(&mut asked).unwrap();
        assert_eq!(asked, "question");
        server.write_all(b"answer").unwrap();
        drop(server);
        let mut answered = String::new();
        client.read_to_string(&mut answered).unwrap();
        assert_eq!(answered, "answer");
    }
}
