//! Listeners from the outside: sockets in, bytes out.

use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::Arc,
};

use axum::{Router, routing::get};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    sync::{Notify, watch},
    task::JoinHandle,
};
use zonemeter_metrics::SelfMetrics;

use super::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

struct Running {
    port: u16,
    stop: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap().unwrap();
    }
}

fn start(listener: Listener, router: Router, limits: Limits) -> Running {
    let port = match &listener {
        Listener::Tcp(listener) => listener.local_addr().unwrap().port(),
        Listener::Unix(..) => 0,
    };
    let (stop, stopped) = watch::channel(false);
    let limits = (Audience::Everybody, limits);
    let served = serve(listener, router, limits, SelfMetrics::default(), stopped);
    let task = tokio::spawn(served);
    Running { port, stop, task }
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

fn any(address: &str) -> Listener {
    bind("--listen", &address.parse().unwrap()).unwrap()
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    stream.write_all(GET).await.unwrap();
    rest(stream).await
}

async fn rest(mut stream: impl AsyncRead + Unpin) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn connect(server: &Running) -> TcpStream {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
    TcpStream::connect(address).await.unwrap()
}

#[tokio::test]
async fn the_default_address_answers_both_families() {
    let server = start(any("[::]:0"), hello(), Limits::new(8, 1_000));
    for address in [
        SocketAddr::from((Ipv4Addr::LOCALHOST, server.port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, server.port)),
    ] {
        let answer = ask(TcpStream::connect(address).await.unwrap()).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(
            answer.contains("x-content-type-options: nosniff\r\n"),
            "{answer}"
        );
        assert!(answer.contains("content-length: 5\r\n"), "{answer}");
        assert!(answer.ends_with("hello"), "{answer}");
    }
    server.end().await;
}

#[test]
fn only_any_ipv6_address_falls_back_to_ipv4() {
    let error = std::io::Error::from_raw_os_error(libc::EAFNOSUPPORT);
    let lacks = |address: &str| bind::lacks_ipv6(address.parse().unwrap(), &error);
    assert!(lacks("[::]:9464"));
    assert!(!lacks("[::1]:9464") && !lacks("0.0.0.0:9464"));
    let in_use = std::io::Error::from_raw_os_error(libc::EADDRINUSE);
    assert!(!bind::lacks_ipv6("[::]:9464".parse().unwrap(), &in_use));
}

/// The clock is the runtime's, which skips what nobody has to wait for.
#[tokio::test(start_paused = true)]
async fn a_header_that_does_not_end_and_an_idle_connection_are_closed() {
    let server = start(any("127.0.0.1:0"), hello(), Limits::new(8, 1_000));
    let began = tokio::time::Instant::now();
    let (mut slow, idle) = (connect(&server).await, connect(&server).await);
    slow.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    let ended = tokio::time::timeout(2 * IDLE, rest(slow)).await;
    assert!(ended.is_ok());
    assert!(began.elapsed() >= IDLE, "{:?}", began.elapsed());
    assert_eq!(rest(idle).await, "");
    // Kept alive after an answer, it is idle again.
    let mut kept = connect(&server).await;
    kept.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let answered = tokio::time::timeout(2 * IDLE, rest(kept)).await;
    assert!(answered.unwrap().ends_with("hello"));
    server.end().await;
}

#[tokio::test]
async fn idle_connections_keep_nobody_out() {
    let server = start(any("127.0.0.1:0"), hello(), Limits::new(8, 1_000));
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(connect(&server).await);
        let answer = ask(connect(&server).await).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    assert_eq!(rest(idle.remove(0)).await, "", "the oldest one gave way");
    server.end().await;
}

#[tokio::test]
async fn whoever_waits_for_all_its_answers_is_told_to_come_again() {
    let (go_on, waiting) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (go, at_it) = (Arc::clone(&go_on), Arc::clone(&waiting));
    let router = Router::new().route(
        "/",
        get(move || async move {
            at_it.notify_one();
            go.notified().await;
            "at last"
        }),
    );
    let server = start(any("127.0.0.1:0"), router, Limits::new(8, 1_000));
    let mut asked = Vec::new();
    for _ in 0..8 {
        let mut stream = connect(&server).await;
        stream.write_all(GET).await.unwrap();
        waiting.notified().await;
        asked.push(stream);
    }
    let refused = ask(connect(&server).await).await;
    assert!(
        refused.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{refused}"
    );
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(
        refused.contains("x-content-type-options: nosniff\r\n"),
        "{refused}"
    );
    for stream in asked {
        go_on.notify_one();
        assert!(rest(stream).await.ends_with("at last"));
    }
    server.end().await;
}

#[tokio::test]
async fn a_unix_socket_answers_and_goes_with_its_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("z.sock");
    let address = Address::Unix(path.clone());
    let server = start(
        bind("--listen", &address).unwrap(),
        hello(),
        Limits::new(8, 1_000),
    );
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let answer = ask(UnixStream::connect(&path).await.unwrap()).await;
    assert!(answer.ends_with("hello"), "{answer}");
    let taken = format!("{:#}", bind("--listen", &address).unwrap_err());
    let expected = format!("--listen: cannot listen on unix:{}", path.display());
    assert!(
        taken.starts_with(&expected) && taken.ends_with("is in use"),
        "{taken}"
    );
    assert!(is_free("--listen", &address).is_err());
    server.end().await;
    assert_eq!(files(folder.path()), [""; 0]);
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn an_old_socket_file_is_replaced_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("z.sock");
    // A listener that was killed: its file stays.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let address = Address::Unix(path.clone());
    is_free("--listen", &address).unwrap();
    let bound = bind("--listen", &address).unwrap();
    // Another one has taken the place: it is not this one's to remove.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "mine").unwrap();
    drop(bound);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    let refused = format!("{:#}", bind("--listen", &address).unwrap_err());
    assert!(refused.ends_with("is there and is no socket"), "{refused}");
    let nowhere = Address::Unix(folder.path().join("none/z.sock"));
    assert!(is_free("--listen", &nowhere).is_err());
    assert!(bind("--listen", &nowhere).is_err());
}
