//! `zonemeter top` as a person has it: on a real terminal, in a pipe, and as JSON.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "top/terminal.rs"]
mod terminal;

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use terminal::Terminal;
use zonemeter_lab::{agent_binary, closed_pipe};

const PATIENCE: Duration = Duration::from_secs(20);

/// What stands for an agent: it answers with what it is given, and notes what it is asked.
struct Answers {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Answers {
    fn start(pairs: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        // Both end with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (pairs, noted) = (pairs.clone(), Arc::clone(&noted));
                thread::spawn(move || answer(stream.unwrap(), &pairs, &noted));
            }
        });
        Self { address, asked }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn was_asked(&self, part: &str) -> bool {
        let asked = self.asked.lock().unwrap();
        asked.iter().any(|path| path.contains(part))
    }
}

fn answer(mut stream: TcpStream, pairs: &Value, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        if line.starts_with("GET ") {
            asked.lock().unwrap().push(path);
        }
        line.clear();
    }
    let path = asked.lock().unwrap().last().cloned().unwrap_or_default();
    let body = match path.split('?').next() {
        Some("/api/pairs") => pairs.clone(),
        Some("/api/flows") => json!({
            "drained_unix_seconds": 1.7e9, "seconds": 5.0, "matched": 1, "flows": [flow()],
        }),
        _ => explained(),
    };
    let body = body.to_string();
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    // The reader may be gone.
    let _ = stream.write_all((head + &body).as_bytes());
}

fn end(workload: &str, zone: &str) -> Value {
    json!({ "namespace": "default", "workload": workload, "kind": "Deployment", "zone": zone })
}

fn traffic(bytes_per_second: f64) -> Value {
    let bytes = (bytes_per_second * 300.0) as u64;
    json!({ "bytes": bytes, "packets": 9, "bytes_per_second": bytes_per_second })
}

fn pair(local: &str, peer: &str, rate: f64, dollars: Option<f64>) -> Value {
    json!({
        "local": end(local, "us-east-2a"), "peer": end(peer, "us-east-2b"),
        "services": ["default/server"], "scope": "cross_zone", "via": "",
        "transmit": traffic(rate), "receive": traffic(rate / 10.0),
        "total_bytes": 11_800_000, "dollars_per_month": dollars, "trend": [1.0, 4.0],
    })
}

fn pairs() -> Value {
    json!({
        "node": "ip-10-0-1-1", "zone": "us-east-2a", "window": "5m",
        "since_unix_seconds": 1.7e9, "seconds": 300.0, "age_seconds": 1.5,
        "total": 2, "matched": 2, "truncated": false,
        "scopes": [{
            "scope": "cross_zone", "via": "", "transmit": traffic(11_000.0),
            "receive": traffic(1_100.0), "dollars_per_month": 9.46,
        }],
        "prices": { "as_of": ["2025-09"], "gigabyte_bytes": 1e9 },
        "pairs": [
            pair("client-dep", "server-dep", 10_000.0, Some(9.46)),
            pair("\u{1b}[2Jevil", "server-dep", 1_000.0, Some(0.9)),
        ],
    })
}

fn flow() -> Value {
    let end = |pod: &str, address: &str, zone: &str, port: u16| {
        json!({
            "namespace": "default", "pod": format!("{pod}-x1"), "workload": pod,
            "workload_kind": "Deployment", "node": "n", "zone": zone, "address": address,
            "port": port,
        })
    };
    let traffic = json!({ "bytes": 500, "packets": 5, "bytes_per_second": 100.0 });
    json!({
        "local": end("client-dep", "10.0.1.5", "us-east-2a", 0),
        "peer": end("server-dep", "10.0.2.6", "us-east-2b", 8080),
        "service": "default/server", "protocol": "tcp", "scope": "cross_zone", "via": "", "pending": false,
        "transmit": traffic, "receive": traffic,
    })
}

fn explained() -> Value {
    let explained = json!({
        "scope": "cross_zone", "via": "",
        "holder": {
            "namespace": "default", "pod": "server-dep-x1", "workload": "server-dep",
            "workload_kind": "Deployment", "node": "n", "zone": "us-east-2b",
            "address": "10.0.2.6", "port": 0,
        },
        "evidence": [{
            "source": "Pod", "says": "default/server-dep-x1 on node n", "age_seconds": 90.0,
            "decides": true,
        }],
    });
    json!({
        "what": "10.0.2.6", "node": "n", "zone": "us-east-2a", "total": 1,
        "matches": [{
            "kind": "", "namespace": "", "name": "", "addresses": 1, "explained": [explained],
        }],
    })
}

fn top(url: &str) -> Command {
    let mut command = Command::new(agent_binary().unwrap());
    command.args(["top", "--url", url]).env_remove("NO_COLOR");
    command
}

fn is_there(lines: &[String], text: &str) -> bool {
    lines.iter().any(|line| line.contains(text))
}

#[test]
fn keys_choose_and_q_gives_the_terminal_back() {
    let agent = Answers::start(pairs());
    let mut terminal = Terminal::start(top(&agent.url()), 24, 80).unwrap();
    let lines = terminal
        .until(PATIENCE, "the pairs", |lines| is_there(lines, "client-dep"))
        .unwrap();
    assert!(terminal.is_taken().unwrap());
    assert!(terminal.is_coloured().unwrap());
    assert!(
        lines[0].starts_with("zonemeter top · across zones 12k B/s = $9.46/mo · ip-10-0-1-1 "),
        "{lines:#?}"
    );
    let rows: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("server-dep"))
        .collect();
    assert_eq!(rows.len(), 2, "each pair is one line: {lines:#?}");
    assert!(
        rows[0].contains("2a>2b") && rows[0].ends_with("9.46"),
        "{lines:#?}"
    );
    assert!(is_there(&lines, r"\u{1b}[2Jevil"), "{lines:#?}");
    assert!(agent.was_asked("/api/pairs?window=5m&sort=dollars&limit=1000"));
    for (key, shown, asked) in [
        ("w", " · 1h · ", "window=1h"),
        ("s", " by total", "sort=total"),
        ("z", "scope cross_zone", "scope=cross_zone"),
        ("n", "namespace default", "namespace=default"),
        ("g", "workloads by", "limit=10000"),
        (
            "g",
            "pods by",
            "/api/flows?scope=cross_zone&namespace=default",
        ),
        ("g", "connections by", "/api/flows"),
        ("/dep\r", "filter dep", ""),
    ] {
        terminal.type_in(key).unwrap();
        let wanted = |lines: &[String]| is_there(lines, shown);
        terminal.until(PATIENCE, shown, wanted).unwrap();
        terminal
            .until(PATIENCE, asked, |_| agent.was_asked(asked))
            .unwrap();
    }
    terminal.type_in("q").unwrap();
    assert!(terminal.ended(PATIENCE).unwrap().success());
    assert!(terminal.is_given_back().unwrap());
    let left = terminal.lines().unwrap();
    assert!(left.iter().all(String::is_empty), "{left:#?}");
}

#[test]
fn enter_shows_why_and_the_help_names_the_keys() {
    let agent = Answers::start(pairs());
    let mut terminal = Terminal::start(top(&agent.url()), 24, 100).unwrap();
    terminal
        .until(PATIENCE, "the pairs", |lines| is_there(lines, "client-dep"))
        .unwrap();
    terminal.type_in("\r").unwrap();
    let because = "* Pod            default/server-dep-x1 on node n (90 s old)";
    terminal
        .until(PATIENCE, "why", |lines| is_there(lines, because))
        .unwrap();
    assert!(agent.was_asked("/api/explain?what=10.0.2.6"));
    terminal.type_in("q?").unwrap();
    terminal
        .until(PATIENCE, "help", |lines| {
            is_there(lines, "g      group by pair")
        })
        .unwrap();
    terminal.type_in("\u{3}").unwrap();
    assert!(terminal.ended(PATIENCE).unwrap().success());
    assert!(terminal.is_given_back().unwrap());
}

#[test]
fn every_size_is_filled_and_nothing_is_wrapped() {
    let agent = Answers::start(pairs());
    let mut terminal = Terminal::start(top(&agent.url()), 24, 80).unwrap();
    terminal
        .until(PATIENCE, "the pairs", |lines| is_there(lines, "client-dep"))
        .unwrap();
    for (rows, columns, is_wide) in [(24, 140, true), (10, 60, false), (24, 80, false)] {
        terminal.resize(rows, columns).unwrap();
        let keys = usize::from(rows) - 1;
        let lines = terminal
            .until(PATIENCE, "the new size", |lines| {
                let is_whole =
                    lines.len() == usize::from(rows) && lines[keys].starts_with("q quit");
                let head = &lines[2.min(keys)];
                is_whole && head.contains("$/MO") && head.contains("TOTAL") == is_wide
            })
            .unwrap();
        let of_pair = lines.iter().filter(|line| line.contains("client-dep"));
        assert_eq!(of_pair.count(), 1, "{lines:#?}");
    }
}

#[test]
fn a_signal_gives_the_terminal_back() {
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        let agent = Answers::start(pairs());
        let mut terminal = Terminal::start(top(&agent.url()), 24, 80).unwrap();
        terminal
            .until(PATIENCE, "the pairs", |lines| is_there(lines, "client-dep"))
            .unwrap();
        terminal.signal(signal).unwrap();
        terminal.ended(PATIENCE).unwrap();
        assert!(terminal.is_given_back().unwrap(), "signal {signal}");
    }
}

#[test]
fn no_color_is_respected_and_an_agent_that_is_away_is_said() {
    let agent = Answers::start(pairs());
    let mut command = top(&agent.url());
    command.env("NO_COLOR", "1");
    let mut terminal = Terminal::start(command, 24, 80).unwrap();
    terminal
        .until(PATIENCE, "the pairs", |lines| is_there(lines, "client-dep"))
        .unwrap();
    assert!(!terminal.is_coloured().unwrap());
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let mut terminal = Terminal::start(top(&nobody), 24, 120).unwrap();
    terminal
        .until(PATIENCE, "the refusal", |lines| {
            is_there(lines, "connection refused")
        })
        .unwrap();
    terminal.type_in("q").unwrap();
    assert!(terminal.ended(PATIENCE).unwrap().success());
}

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn without_a_terminal_one_plain_table_is_printed() {
    let agent = Answers::start(pairs());
    let printed = output(&mut top(&agent.url()));
    assert!(printed.status.success(), "{printed:?}");
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(!text.contains('\u{1b}'), "{text}");
    let row = text
        .lines()
        .find(|line| line.contains("client-dep"))
        .unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    let expected = "default/client-dep <> default/server-dep server us-east-2a>us-east-2b \
                    cross_zone 10k 1.0k 12M 9.46";
    assert_eq!(words.join(" "), expected);
}

#[test]
fn json_is_what_the_agent_answered() {
    let agent = Answers::start(pairs());
    let printed = output(top(&agent.url()).args(["--json", "--window", "5m", "--limit", "7"]));
    let shown: Value = serde_json::from_slice(&printed.stdout).unwrap();
    let mut expected = pairs();
    for field in ["zones", "not_attributed"] {
        expected[field] = shown[field].clone();
    }
    assert_eq!(shown, expected);
    assert!(agent.was_asked("/api/pairs?window=5m&sort=total&limit=7"));
}

/// The agents of both ends: the same pair, the same bytes.
#[test]
fn two_agents_that_see_one_pair_show_it_once() {
    let one = |pair: Value| {
        let mut all = pairs();
        all["pairs"] = json!([pair]);
        all
    };
    let here = pair("client-dep", "server-dep", 10_000.0, Some(9.0));
    let mut there = here.clone();
    for (one, other) in [("local", "peer"), ("transmit", "receive")] {
        (there[one], there[other]) = (here[other].clone(), here[one].clone());
    }
    let agents = [
        Answers::start(one(here.clone())),
        Answers::start(one(there)),
    ];
    let mut command = top(&agents[0].url());
    let printed = output(command.args(["--url", &agents[1].url(), "--json"]));
    let shown: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(shown["pairs"], json!([here]), "{shown:#}");
    assert_eq!((&shown["node"], &shown["matched"]), (&json!(""), &json!(1)));
}

#[test]
fn a_pipe_that_closes_ends_it_quietly() {
    let agent = Answers::start(pairs());
    let mut command = top(&agent.url());
    command.arg("--once").stdout(closed_pipe().unwrap());
    let ended = output(command.stderr(Stdio::piped()));
    let said = String::from_utf8(ended.stderr).unwrap();
    let code = ended.status.code();
    assert_eq!((code, &*said), (Some(128 + libc::SIGPIPE), ""));
}
