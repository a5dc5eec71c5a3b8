//! The way from a node's namespace to the API server of the root namespace: the same address on
//! the node's own loopback, so that one kubeconfig serves everywhere.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::namespace::Namespace;

const POLL: Duration = Duration::from_millis(10);

/// Passes connections on until it is dropped; then it ends them.
#[derive(Debug)]
pub(super) struct Relay {
    stop: Arc<AtomicBool>,
    open: Connections,
    thread: Option<JoinHandle<()>>,
}

type Connections = Arc<Mutex<Vec<TcpStream>>>;

impl Relay {
    /// Listens at `address` inside and passes on to `address` outside.
    pub(super) fn start(inside: &Namespace, address: SocketAddr) -> Result<Self> {
        let listener = inside
            .run(|| TcpListener::bind(address))?
            .with_context(|| format!("listen on {address} in {}", inside.name()))?;
        listener.set_nonblocking(true)?;
        let (stop, open) = (Arc::<AtomicBool>::default(), Connections::default());
        let (seen, connections) = (Arc::clone(&stop), Arc::clone(&open));
        let thread = thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                match listener.accept() {
                    // A server that is away shows as a connection that ends at once.
                    Ok((client, _)) => drop(pass_on(client, address, &connections)),
                    Err(_) => thread::sleep(POLL),
                }
            }
        });
        Ok(Self {
            stop,
            open,
            thread: Some(thread),
        })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for connection in open.iter() {
            // Its other end may have ended it.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn pass_on(client: TcpStream, target: SocketAddr, open: &Connections) -> io::Result<()> {
    client.set_nonblocking(false)?;
    let server = TcpStream::connect(target)?;
    let mut connections = open.lock().unwrap_or_else(PoisonError::into_inner);
    connections.extend([client.try_clone()?, server.try_clone()?]);
    let back = (server.try_clone()?, client.try_clone()?);
    for (from, to) in [(client, server), back] {
        thread::spawn(move || copy(from, to));
    }
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    // However it ends, both ends shall know.
    let _ = io::copy(&mut from, &mut to);
    let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
}
