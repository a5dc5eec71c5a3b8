//! A proxy between `zonemeter` and its store, as Amazon Managed Service for Prometheus takes one: a workspace
//! there is a path, and what a proxy signs is a whole request with its body.

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;
use zonemeter_lab::{prometheus::Prometheus, until};

use super::{PATIENCE, Running, Served, conversations, each, filled, free, history, top};

const WORKSPACE: &str = "/workspaces/ws-3f2a5b";
const HEADER: &str = "x-team: payments";

/// Takes requests for the workspace and nothing else, and passes them to a Prometheus at its root. Its
/// thread ends with the test's process.
struct Workspace {
    url: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

/// Its line and headers, and how many bytes its body had.
type Request = (Vec<String>, usize);

impl Workspace {
    fn before(prometheus: &Prometheus) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}{WORKSPACE}", listener.local_addr().unwrap());
        let store = prometheus.url().replace("http://", "").parse().unwrap();
        let asked = Arc::default();
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let noted = Arc::clone(&noted);
                thread::spawn(move || pass(stream.unwrap(), store, &noted));
            }
        });
        Self { url, asked }
    }

    /// Each request came whole, for the workspace, with the header that was told.
    fn was_asked_rightly(&self, is_signed: bool) {
        let asked = self.asked.lock().unwrap();
        assert!(asked.len() > 5, "{}", asked.len());
        for (head, body) in asked.iter() {
            let line = format!("POST {WORKSPACE}/api/v1/query HTTP/1.1");
            let has = |name: &str| {
                let lower = head.iter().map(|line| line.to_lowercase());
                let found: Vec<_> = lower.filter(|line| line.starts_with(name)).collect();
                found.join("")
            };
            assert_eq!(head[0], line);
            assert!(*body > 0 && has("transfer-encoding").is_empty(), "{head:?}");
            assert_eq!(has("x-team"), HEADER);
            let scope = "/us-east-2/aps/aws4_request";
            assert_eq!(has("authorization").contains(scope), is_signed, "{head:?}");
            assert_eq!(has("authorization").is_empty(), !is_signed, "{head:?}");
        }
    }
}

fn pass(client: TcpStream, store: SocketAddr, asked: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(&client);
    let lines = reader.by_ref().lines().map(Result::unwrap);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    // A connection that was opened ahead, and not used.
    if head.is_empty() {
        return;
    }
    let length = head.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let mut request = head[0].replace(WORKSPACE, "") + "\r\nConnection: close\r\n";
    for line in &head[1..] {
        if !line.to_lowercase().starts_with("connection:") {
            request += &format!("{line}\r\n");
        }
    }
    asked.lock().unwrap().push((head, body.len()));
    let mut store = TcpStream::connect(store).unwrap();
    store.write_all((request + "\r\n").as_bytes()).unwrap();
    store.write_all(&body).unwrap();
    std::io::copy(&mut store, &mut &client).unwrap();
}

/// What is asked by way of `url` is what Prometheus itself answers.
fn is_the_same(url: &str, direct: &Served) {
    let served = Served::start(url, &["--prometheus-header", HEADER]);
    let path = "/api/pairs?sort=dollars&limit=20";
    let (by_proxy, itself) = (served.json(path).0, direct.json(path).0);
    let names = |answer: &Value| -> Vec<_> {
        let of =
            |pair: &Value| ["local", "peer", "dollars_per_month"].map(|name| pair[name].clone());
        each(answer).map(of).collect()
    };
    assert_eq!(names(&by_proxy), names(&itself));
    assert_eq!(by_proxy["zones"], itself["zones"]);
    let arguments = [
        "--prometheus-header",
        HEADER,
        "--sort",
        "dollars",
        "--limit",
        "20",
    ];
    let (listed, _) = top(url, &arguments);
    assert_eq!(names(&listed), names(&itself));
}

pub(super) fn is_no_hindrance(prometheus: &Prometheus, direct: &Served) {
    let workspace = Workspace::before(prometheus);
    is_the_same(&workspace.url, direct);
    workspace.was_asked_rightly(false);
}

#[test]
#[ignore = "takes an aws-sigv4-proxy, which AWS_SIGV4_PROXY names"]
fn a_proxy_that_signs_is_no_hindrance() {
    let program = env::var_os("AWS_SIGV4_PROXY")
        .expect("AWS_SIGV4_PROXY has to name the executable aws-sigv4-proxy");
    let folder = tempfile::tempdir().unwrap();
    let prometheus = filled(folder.path(), &conversations(), history::now());
    let direct = Served::start(&prometheus.url(), &[]);
    let workspace = Workspace::before(&prometheus);
    let host = workspace.url.replace("http://", "").replace(WORKSPACE, "");
    let address = free();
    let mut command = Command::new(program);
    command
        .args(["--name", "aps", "--region", "us-east-2", "--host", &host])
        .args(["--upstream-url-scheme", "http"])
        .args(["--port", &address.to_string()])
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "example")
        .stderr(Stdio::null());
    let _signing = Running::start(&mut command);
    until(PATIENCE, "aws-sigv4-proxy", || {
        TcpStream::connect(address).ok()
    })
    .unwrap();
    is_the_same(&format!("http://{address}{WORKSPACE}"), &direct);
    workspace.was_asked_rightly(true);
}
