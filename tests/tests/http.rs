//! The agent's ports from outside: who is answered, over what, and what idle, slow and greedy
//! clients cost.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use zonemeter_lab::{
    DEBUG_PORT, Family, Lab, METRICS_PORT, MemoryGroup, Namespace, NodePlan, Plan, PodPlan,
    address::Zone, until,
};

const PATIENCE: Duration = Duration::from_secs(15);
/// Longest answer while a flood is dealt with, on a busy machine.
const SOON: Duration = Duration::from_secs(5);
const NOSNIFF: &str = "x-content-type-options: nosniff\r\n";

fn raise(name: &str, family: Family) -> Lab {
    let plan = Plan::empty(name)
        .family(family)
        .node(NodePlan::new("a1", Zone::A).single_eni())
        .pod(PodPlan::new("default", "one", "a1"))
        .pod(PodPlan::new("default", "two", "a1"));
    Lab::raise(plan).unwrap()
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a1\r\n\r\n")
}

/// Everything that is answered, head and body.
fn ask(from: &Namespace, server: SocketAddr, path: &str) -> io::Result<String> {
    from.run(|| {
        let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: a1\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    })
    .unwrap()
}

fn is_fine(answer: &str) -> bool {
    answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.contains(NOSNIFF)
}

#[test]
fn eight_thousand_idle_connections_stop_nothing() {
    let mut lab = raise("http-idle", Family::V4);
    let group = MemoryGroup::new("http-idle", 256 << 20).unwrap();
    let wrapper = group.wrapper("ulimit -n 1000");
    let plan = lab.agent("a1").unwrap().flag("--interval", "200ms");
    let plan = plan.wrapped(&wrapper.each_ref().map(String::as_str));
    let mut agent = plan.start_ready().unwrap();
    let port = SocketAddr::new(agent.node().address(), METRICS_PORT);
    let [one, two] = ["one", "two"].map(|name| lab.pod(&format!("default/{name}")).unwrap());
    // A header that never ends, from somebody else.
    let slow_since = Instant::now();
    let slow = two.namespace().run(|| TcpStream::connect(port));
    let mut slow = slow.unwrap().unwrap();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost:").unwrap();
    more_descriptors(10_000);
    let connect = || (0..8_001).map(|_| TcpStream::connect(port)).collect();
    let idle: io::Result<Vec<_>> = one.namespace().run(connect).unwrap();
    let idle = idle.unwrap();

    for path in ["/livez", "/readyz", "/metrics"] {
        let began = Instant::now();
        assert_eq!(agent.get(path).unwrap().status, 200, "{path}");
        assert!(began.elapsed() < SOON, "{path}: {:?}", began.elapsed());
    }
    lab.wire_pod(PodPlan::new("default", "new", "a1")).unwrap();
    let attached = |metrics: &zonemeter_lab::Metrics| metrics.sum("zonemeter_interfaces", &[]) == 3;
    let metrics = agent.wait_until(SOON, attached).unwrap();
    let gave_way = [("reason", "gave_way")];
    let gave_way = metrics.sum("zonemeter_http_refused_total", &gave_way);
    assert!(gave_way >= 8_001 - 512, "{gave_way} connections gave way");
    let open = metrics.value("process_open_fds", &[]).unwrap();
    assert!(open < 500.0, "{open} of 1,000 descriptors");

    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    let ended = slow.read_to_end(&mut Vec::new());
    let took = slow_since.elapsed();
    assert!(ended.is_ok() && took < PATIENCE, "{ended:?} after {took:?}");
    drop(idle);
    assert!(agent.stop().unwrap().success());
}

/// The soft limit of open files at least, of this process.
fn more_descriptors(wanted: u64) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: room for the answer, and then a value that the kernel checks.
    let done = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit)
    };
    assert!(
        done == 0 && limit.rlim_cur >= wanted,
        "{wanted} descriptors"
    );
}

#[test]
fn both_families_are_answered_and_a_node_without_ipv6_too() {
    let lab = raise("http-families", Family::Dual);
    let (node, pod) = (lab.node("a1").unwrap(), lab.pod("default/one").unwrap());
    let plan = lab.agent("a1").unwrap();
    let mut agent = plan.start_ready().unwrap();
    for address in [node.address(), node.address_v6()] {
        for path in ["/metrics", "/livez", "/readyz"] {
            let answer = ask(pod.namespace(), (address, METRICS_PORT).into(), path).unwrap();
            assert!(is_fine(&answer), "{address} {path}: {answer}");
        }
        let debug = ask(pod.namespace(), (address, DEBUG_PORT).into(), "/");
        assert!(debug.is_err(), "{address}: {debug:?}");
    }
    agent.stop().unwrap();
    for scope in ["all", "default", "lo"] {
        let off = [(format!("ipv6/conf/{scope}/disable_ipv6"), "1")];
        node.namespace().sysctl(&off).unwrap();
    }
    let mut agent = plan.start_ready().unwrap();
    let server = (node.address(), METRICS_PORT).into();
    let answer = ask(pod.namespace(), server, "/metrics").unwrap();
    assert!(is_fine(&answer), "{answer}");
    assert!(agent.debug("/").unwrap().head.contains(NOSNIFF.trim_end()));
    assert!(agent.stop().unwrap().success());
}

/// kube-proxy sets `route_localnet`, with which the node delivers to its 127.0.0.1 what comes
/// from elsewhere.
#[test]
fn the_debug_port_answers_no_pod_whatever_the_routing() {
    let lab = raise("http-localnet", Family::V4);
    let (node, pod) = (lab.node("a1").unwrap(), lab.pod("default/one").unwrap());
    let mut agent = lab.agent("a1").unwrap().start_ready().unwrap();
    let settings = [("ipv4/conf/all/route_localnet".to_owned(), "1")];
    node.namespace().sysctl(&settings).unwrap();
    let to = format!("127.0.0.1:{DEBUG_PORT}");
    let rule = [
        "-p",
        "tcp",
        "--dport",
        "19465",
        "-j",
        "DNAT",
        "--to-destination",
        &to,
    ];
    let mut iptables = node.namespace().command("iptables");
    iptables
        .args(["-w", "-t", "nat", "-I", "PREROUTING"])
        .args(rule);
    assert!(iptables.status().unwrap().success());
    for path in ["/", "/api/flows", "/api/config"] {
        let answer = ask(pod.namespace(), (node.address(), 19465).into(), path).unwrap();
        assert!(answer.starts_with("HTTP/1.0 403 Forbidden\r\n"), "{answer}");
        assert!(answer.contains(NOSNIFF), "{answer}");
    }
    let refused = [("reason", "not_loopback")];
    let metrics = agent.scrape().unwrap();
    assert_eq!(metrics.sum("zonemeter_http_refused_total", &refused), 3);
    assert_eq!(agent.debug("/api/config").unwrap().status, 200);
    assert!(agent.stop().unwrap().success());
}

#[test]
fn a_unix_socket_serves_scrapes_and_goes_with_the_agent() {
    let lab = raise("http-unix", Family::V4);
    let socket = lab.directory().join("http.sock");
    let listen = format!("unix:{}", socket.display());
    let plan = lab.agent("a1").unwrap().flag("--listen", listen);
    let mut agent = plan.start().unwrap();
    let ask = |path: &str| -> io::Result<String> {
        let mut stream = UnixStream::connect(&socket)?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: a1\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    until(PATIENCE, "ready over the socket", || {
        let answer = ask("/readyz").ok()?;
        is_fine(&answer).then_some(())
    })
    .unwrap();
    let answer = ask("/metrics").unwrap();
    assert!(
        is_fine(&answer) && answer.contains("\nzonemeter_build_info{"),
        "{answer}"
    );
    assert!(agent.get("/metrics").is_err(), "nobody listens on the port");
    assert!(agent.stop().unwrap().success());
    assert!(!socket.exists());
}

/// Connections that ask for scrape after scrape and read none.
#[test]
fn whoever_asks_for_too_many_scrapes_is_told_to_come_again() {
    let lab = raise("http-scrapes", Family::V4);
    let (node, pod) = (lab.node("a1").unwrap(), lab.pod("default/one").unwrap());
    let mut agent = lab.agent("a1").unwrap().start_ready().unwrap();
    let server: SocketAddr = (node.address(), METRICS_PORT).into();
    let greedy = || -> Vec<TcpStream> { (0..70).map(|_| ask_without_end(server)).collect() };
    let greedy = pod.namespace().run(greedy).unwrap();
    until(PATIENCE, "503 for the greedy pod", || {
        let answer = ask(pod.namespace(), server, "/metrics").unwrap();
        let told = answer.starts_with("HTTP/1.0 503 Service Unavailable\r\n");
        (told && answer.contains("retry-after: ") && answer.contains(NOSNIFF)).then_some(())
    })
    .unwrap();
    assert_eq!(agent.get("/livez").unwrap().status, 200);
    let other = lab.pod("default/two").unwrap();
    assert!(is_fine(
        &ask(other.namespace(), server, "/metrics").unwrap()
    ));
    let refused = [("reason", "scrapes")];
    let metrics = agent.scrape().unwrap();
    assert!(metrics.sum("zonemeter_http_refused_total", &refused) > 0);
    drop(greedy);
    until(PATIENCE, "the pod is answered again", || {
        let answer = ask(pod.namespace(), server, "/metrics").ok()?;
        is_fine(&answer).then_some(())
    })
    .unwrap();
    assert!(agent.stop().unwrap().success());
}

/// More answers than the kernel keeps for a client that reads none.
fn ask_without_end(server: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).unwrap();
    stream.set_nonblocking(true).unwrap();
    let requests = request("/metrics").repeat(400);
    // What the server does not take any more is not needed.
    let _ = stream.write(requests.as_bytes());
    stream
}
