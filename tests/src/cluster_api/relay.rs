//! The way from a node's namespace to the API server of the root namespace: the same address on
//! the node's own loopback, so that one kubeconfig serves everywhere. It can be cut.

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
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    stop: AtomicBool,
    cut: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// Listens at `address` inside and passes on to `address` outside.
    pub(super) fn start(inside: &Namespace, address: SocketAddr) -> Result<Self> {
        let listener = inside
            .run(|| TcpListener::bind(address))?
            .with_context(|| format!("listen on {address} in {}", inside.name()))?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            target: address,
            stop: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let seen = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            while !seen.stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    // A server that is away shows as a connection that ends at once.
                    Ok((client, _)) => drop(seen.pass_on(client)),
                    Err(_) => thread::sleep(POLL),
                }
            }
        });
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Ends every connection, and each new one at once.
    pub(super) fn cut(&self) {
        self.shared.cut.store(true, Ordering::SeqCst);
        self.shared.end_all();
    }

    /// Passes connections on again.
    pub(super) fn mend(&self) {
        self.shared.cut.store(false, Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.shared.end_all();
    }
}

impl Shared {
    fn pass_on(&self, client: TcpStream) -> io::Result<()> {
        client.set_nonblocking(false)?;
        let server = TcpStream::connect(self.target)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked under the lock: a cut ends what is in the list, or is seen here.
        if self.cut.load(Ordering::SeqCst) {
            return Ok(());
        }
        open.extend([client.try_clone()?, server.try_clone()?]);
        drop(open);
        let back = (server.try_clone()?, client.try_clone()?);
        for (from, to) in [(client, server), back] {
            thread::spawn(move || copy(from, to));
        }
        Ok(())
    }

    fn end_all(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for connection in open.drain(..) {
            // Its other end may have ended it.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    // However it ends, both ends shall know.
    let _ = io::copy(&mut from, &mut to);
    let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
}
