//! Accepting and answering.

use std::{convert::Infallible, io, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use anyhow::Result;
use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, Response, StatusCode, header},
    response::IntoResponse as _,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower::ServiceExt as _;
use zonemeter_metrics::{Peer, SelfMetrics, self_metrics::Refused};

use super::{
    HEADER_BYTES, IDLE, LIFE, Listener,
    connections::{Admission, Connections, Slot},
    held::HeldBody,
};

/// What is being answered gets so long when the connection or the process is at its end.
const GRACE: Duration = Duration::from_secs(2);
/// Connections that are being refused with a status and a reason; past it they are just closed.
const REFUSALS: usize = 32;
/// Pause after an accept that failed and where nothing could be closed.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// How often the log repeats that accepting fails.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// How many connections a listener may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    connections: usize,
}

impl Limits {
    /// `most`, and no more than an eighth of the descriptors that the process may open.
    pub fn new(most: usize, descriptors: u64) -> Self {
        let share = usize::try_from(descriptors / 8).unwrap_or(usize::MAX);
        Self {
            connections: most.min(share).max(8),
        }
    }
}

/// Who is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Whoever reaches the address.
    Everybody,
    /// Programs of this network namespace: both ends of the connection have loopback addresses,
    /// however it was routed (`net.ipv4.conf.*.route_localnet` lets pods reach 127.0.0.1).
    Loopback,
}

/// The addresses of a TCP connection; none of a Unix socket.
#[derive(Clone, Copy, Debug)]
struct Ends {
    tcp: Option<[IpAddr; 2]>,
}

impl Ends {
    fn peer(self) -> Option<IpAddr> {
        self.tcp.map(|[peer, _]| peer)
    }

    fn is_loopback(self) -> bool {
        let all_loopback = |ends: [IpAddr; 2]| ends.iter().all(IpAddr::is_loopback);
        self.tcp.is_none_or(all_loopback)
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Cancel safe.
async fn accept(listener: &Listener) -> io::Result<(Stream, Ends)> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            // IPv4 on a listener of both families is mapped into IPv6.
            let ends = [peer.ip(), stream.local_addr()?.ip()].map(|end| end.to_canonical());
            Ok((Stream::Tcp(stream), Ends { tcp: Some(ends) }))
        }
        Listener::Unix(listener, _) => {
            let (stream, _) = listener.accept().await?;
            Ok((Stream::Unix(stream), Ends { tcp: None }))
        }
    }
}

/// Answers by `router` until `stop` changes.
///
/// # Errors
/// None: what fails is tried again, and shown.
pub async fn serve(
    listener: Listener,
    router: Router,
    (audience, limits): (Audience, Limits),
    metrics: SelfMetrics,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let mut server = Server {
        router,
        audience,
        connections: Connections::new(limits.connections),
        refusals: Arc::new(Semaphore::new(REFUSALS)),
        metrics,
        stop: stop.clone(),
        running: JoinSet::new(),
        said: None,
    };
    loop {
        tokio::select! {
            biased;
            _ = stop.changed() => break,
            Some(_) = server.running.join_next() => {}
            accepted = accept(&listener) => {
                if let Some(pause) = server.accepted(accepted) {
                    sleep(pause).await;
                }
            }
        }
    }
    while server.running.join_next().await.is_some() {}
    Ok(())
}

struct Server {
    router: Router,
    audience: Audience,
    connections: Connections,
    refusals: Arc<Semaphore>,
    metrics: SelfMetrics,
    stop: watch::Receiver<bool>,
    running: JoinSet<()>,
    /// When the log last said that accepting fails.
    said: Option<Instant>,
}

impl Server {
    /// Takes a connection; or how long to wait with the next.
    fn accepted(&mut self, accepted: io::Result<(Stream, Ends)>) -> Option<Duration> {
        match accepted {
            Ok((Stream::Tcp(stream), ends)) => self.take(stream, ends),
            Ok((Stream::Unix(stream), ends)) => self.take(stream, ends),
            Err(error) => return self.failed(&error),
        }
        None
    }

    fn take<S>(&mut self, stream: S, ends: Ends)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if self.audience == Audience::Loopback && !ends.is_loopback() {
            let why = "only this node's own programs are answered here: use kubectl port-forward\n";
            return self.refuse(stream, Refused::NotLoopback, StatusCode::FORBIDDEN, why);
        }
        let slot = match self.connections.admit(ends.peer()) {
            Admission::Free(slot) => slot,
            Admission::Instead(slot) => {
                self.metrics.refused(Refused::GaveWay);
                slot
            }
            Admission::Full => {
                let why = "too many connections: try again\n";
                let status = StatusCode::SERVICE_UNAVAILABLE;
                return self.refuse(stream, Refused::Connections, status, why);
            }
        };
        let router = self.router.clone();
        let peer = Peer(ends.peer());
        let stop = self.stop.clone();
        self.running
            .spawn(until_its_end(stream, router, peer, slot, stop));
    }

    /// Says why, if there are not too many to be told.
    fn refuse<S>(&mut self, stream: S, reason: Refused, status: StatusCode, why: &'static str)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.metrics.refused(reason);
        if let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() {
            self.running
                .spawn(tell(stream, status, why, self.stop.clone(), permit));
        }
    }

    /// Out of descriptors or memory, or the connection was gone before it was accepted. Never a
    /// reason to end; a pause keeps it from spinning where nothing can be closed.
    fn failed(&mut self, error: &io::Error) -> Option<Duration> {
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::NotConnected
        ) {
            return None;
        }
        self.metrics.refused(Refused::AcceptFailed);
        if self.said.is_none_or(|said| said.elapsed() > SAY_AGAIN) {
            self.said = Some(Instant::now());
            tracing::error!(
                "a connection cannot be accepted, idle ones are closed for it: {error}"
            );
        }
        self.connections.shed();
        Some(ACCEPT_AGAIN)
    }
}

fn protocol() -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(HEADER_BYTES);
    protocol
}

fn forbid_sniffing(answer: &mut Response<Body>) {
    answer.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
}

/// What goes wrong on a connection is its client's affair.
async fn until_its_end(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    peer: Peer,
    slot: Slot,
    mut stop: watch::Receiver<bool>,
) {
    let answer = service_fn(|mut request: Request<Incoming>| {
        let busy = slot.busy();
        request.extensions_mut().insert(peer);
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            let Ok(mut answer) = answer.await;
            forbid_sniffing(&mut answer);
            Ok::<_, Infallible>(answer.map(|body| HeldBody::new(body, busy)))
        }
    });
    let mut connection = pin!(protocol().serve_connection(TokioIo::new(stream), answer));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = slot.closed() => return,
        _ = stop.changed() => {}
        () = sleep(LIFE) => {}
    }
    if slot.is_busy() {
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            _ = timeout(GRACE, connection) => {}
            () = slot.closed() => {}
        }
    }
}

/// The same answer to whatever is asked, once.
async fn tell(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    status: StatusCode,
    why: &'static str,
    mut stop: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    let answer = service_fn(|_: Request<Incoming>| async move {
        let mut answer: Response<Body> = (status, why).into_response();
        let again = HeaderValue::from_static("1");
        answer.headers_mut().insert(header::RETRY_AFTER, again);
        forbid_sniffing(&mut answer);
        Ok::<_, Infallible>(answer)
    });
    let mut protocol = protocol();
    let told = protocol
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::select! {
        _ = timeout(GRACE, told) => {}
        _ = stop.changed() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_have_to_be_on_loopback() {
        for (peer, local, expected) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.9.9.9", "127.0.0.1", true),
            ("::1", "::1", true),
            // A pod by way of route_localnet.
            ("10.0.1.7", "127.0.0.1", false),
            ("127.0.0.1", "10.0.1.7", false),
            ("10.0.1.7", "10.0.1.1", false),
        ] {
            let tcp = [peer, local].map(|end| end.parse().unwrap());
            let ends = Ends { tcp: Some(tcp) };
            assert_eq!(ends.is_loopback(), expected, "{peer} to {local}");
        }
        assert!(Ends { tcp: None }.is_loopback());
    }

    #[test]
    fn the_limit_leaves_descriptors_to_the_rest_of_the_process() {
        assert_eq!(Limits::new(512, u64::MAX).connections, 512);
        assert_eq!(Limits::new(512, 1_000).connections, 125);
        assert_eq!(Limits::new(512, 10).connections, 8);
    }
}
