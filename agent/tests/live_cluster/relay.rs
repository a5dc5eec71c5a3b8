//! A relay in front of the API server that can be cut or stalled, and counts.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    /// Takes connections and says nothing.
    Stalled,
    /// Ends every connection.
    Cut,
}

pub(crate) struct Relay {
    address: SocketAddr,
    state: watch::Sender<State>,
    received: Arc<AtomicU64>,
    /// Of one connection from the server, after which it is cut.
    at_most: Arc<AtomicU64>,
}

impl Relay {
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, seen) = watch::channel(State::Open);
        let received = Arc::<AtomicU64>::default();
        let at_most = Arc::new(AtomicU64::new(u64::MAX));
        let counters = [Arc::clone(&received), Arc::clone(&at_most)];
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(relay(stream, target, seen.clone(), counters.clone()));
            }
        });
        Self {
            address,
            state,
            received,
            at_most,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes from the server, with TLS around them.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(crate) fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Cuts each connection when it has brought so many bytes.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.at_most.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn stall(&self) {
        self.state.send_replace(State::Stalled);
    }

    pub(crate) fn mend(&self) {
        self.at_most.store(u64::MAX, Ordering::Relaxed);
        self.state.send_replace(State::Open);
    }
}

async fn relay(
    mut client: TcpStream,
    target: SocketAddr,
    mut state: watch::Receiver<State>,
    [received, at_most]: [Arc<AtomicU64>; 2],
) {
    // Dropping both ends is how a cut shows.
    if state
        .wait_for(|state| *state != State::Stalled)
        .await
        .is_ok_and(|state| *state == State::Cut)
    {
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let count = async {
        let (mut buffer, mut brought) = (vec![0; 1 << 16], 0);
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            received.fetch_add(read as u64, Ordering::Relaxed);
            brought += read as u64;
            if brought > at_most.load(Ordering::Relaxed) {
                break;
            }
            if to_client.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = count => {}
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        _ = state.wait_for(|state| *state == State::Cut) => {}
    }
}
