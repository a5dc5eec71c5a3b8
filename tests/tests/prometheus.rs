//! A real Prometheus scrapes the lab's agents: what people ask for comes out of one expression,
//! and it is what went over the wire.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

use zonemeter_lab::{
    Agent, Lab, Owner, Plan, Pod, PodPlan, ServicePlan, Transport, oracle,
    prometheus::{Prometheus, Series, Settings},
    traffic::{self, Datagrams},
};

const SERVICE: [u8; 4] = [10, 100, 0, 10];
const PATIENCE: Duration = Duration::from_secs(30);
/// What a drain, a scrape and a question take, and again for a busy machine.
const SETTLE: Duration = Duration::from_secs(20);

fn deployed(name: &str, pod: &str, node: &str) -> PodPlan {
    PodPlan::new("default", pod, node).owner(Owner::Deployment(name.to_owned()))
}

/// The demo application of AWS's sample: a client that calls a Service with two servers, spread
/// over both zones.
fn demo_application(name: &str) -> Lab {
    let plan = Plan::new(name)
        .pod(deployed("client-dep", "client-dep-6c8f-x2v7p", "a1"))
        .pod(deployed("server-dep", "server-dep-797d-b9jf8", "a2"))
        .pod(deployed("server-dep", "server-dep-797d-8m6hx", "b1"));
    let mut lab = Lab::raise(plan).unwrap();
    let [_, near, far] = pods(&lab);
    let service = ServicePlan::new("default", "server", SERVICE.into())
        .port(Transport::Tcp, 80, 8080)
        .backend(near.address())
        .backend(far.address());
    lab.add_service(service).unwrap();
    lab
}

/// Client, server in its zone, server in the other zone.
fn pods(lab: &Lab) -> [Pod; 3] {
    [
        "client-dep-6c8f-x2v7p",
        "server-dep-797d-b9jf8",
        "server-dep-797d-8m6hx",
    ]
    .map(|name| lab.pod(&format!("default/{name}")).unwrap())
}

fn agents(lab: &Lab) -> Vec<Agent> {
    lab.start_agents(|agent| agent.flag("--interval", "200ms"))
        .unwrap()
}

/// Calls the Service until both servers have answered several times.
fn call_the_service(lab: &Lab) {
    let [client, near, far] = pods(lab);
    let lifetime = Duration::from_secs(60);
    let _servers = [&near, &far]
        .map(|server| traffic::http_server(server.namespace(), 8080, lifetime).unwrap());
    let service = SocketAddr::new(IpAddr::from(SERVICE), 80);
    for size in 1..=24 {
        traffic::http_get(client.namespace(), service, size * 10_000).unwrap();
    }
    for server in [&near, &far] {
        let sent = lab.between(server.address(), client.address()).unwrap();
        assert!(sent.bytes > 100_000, "{}: {sent:?}", server.key());
    }
}

/// The expression below `heading` in the README, as people copy it.
fn documented(heading: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/README.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, after) = text.split_once(heading).unwrap();
    let (_, code) = after.split_once("```promql\n").unwrap();
    code.split_once("\n```").unwrap().0.to_owned()
}

/// The same over all that was ever counted: without the extrapolation of `increase()`.
fn totals(expression: &str) -> String {
    assert!(
        expression.contains("increase(") && expression.contains("[1h]"),
        "{expression}"
    );
    expression.replace("increase(", "(").replace("[1h]", "")
}

fn by(series: &[Series], labels: &[&str]) -> BTreeMap<Vec<String>, u64> {
    let key = |one: &Series| {
        labels
            .iter()
            .map(|label| one.label(label).to_owned())
            .collect()
    };
    series
        .iter()
        .map(|one| (key(one), one.value as u64))
        .collect()
}

/// Waits until the expression's rows are what `truth` says at the same time.
fn wait_equal(
    prometheus: &Prometheus,
    expression: &str,
    labels: &[&str],
    truth: impl Fn() -> BTreeMap<Vec<String>, u64>,
) -> Vec<Series> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let (wanted, answer) = (truth(), prometheus.query(expression).unwrap());
        let found = by(&answer, labels);
        if wanted == found {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "wire {wanted:#?}\n{expression}: {found:#?}"
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// `increase()` is what was counted, stretched by at most one scrape to the end of its window.
fn assert_close(found: &[Series], exact: &[Series], labels: &[&str], counted_for: Duration) {
    let (found, exact) = (by(found, labels), by(exact, labels));
    let stretch = 1.0 + 2.0 / counted_for.as_secs_f64();
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        exact.keys().collect::<Vec<_>>()
    );
    for (key, value) in &found {
        let most = (exact[key] as f64 * stretch) as u64;
        assert!(
            (exact[key]..=most).contains(value),
            "{key:?}: {value} of {}",
            exact[key]
        );
    }
}

#[test]
fn the_cross_zone_table_of_flow_logs_is_one_expression() {
    const COLUMNS: [&str; 6] = [
        "namespace",
        "workload",
        "zone",
        "peer_namespace",
        "peer_workload",
        "peer_zone",
    ];
    let lab = demo_application("prom-pairs");
    let agents = agents(&lab);
    let prometheus = Prometheus::start(&lab, &agents, &Settings::new("one")).unwrap();
    let started = Instant::now();
    call_the_service(&lab);
    let [client, _, far] = pods(&lab);
    let row = |workload: &str, zone: &str, peer: &str, peer_zone: &str| {
        ["default", workload, zone, "default", peer, peer_zone]
            .map(str::to_owned)
            .to_vec()
    };
    let expression = documented("by pair, as a flow-log table would have it");
    let exact = wait_equal(&prometheus, &totals(&expression), &COLUMNS, || {
        let between = |from: &Pod, to: &Pod| lab.between(from.address(), to.address()).unwrap();
        BTreeMap::from([
            (
                row("client-dep", "us-east-2a", "server-dep", "us-east-2b"),
                between(&client, &far).bytes,
            ),
            (
                row("server-dep", "us-east-2b", "client-dep", "us-east-2a"),
                between(&far, &client).bytes,
            ),
        ])
    });
    let found = prometheus.query(&expression).unwrap();
    assert_close(&found, &exact, &COLUMNS, started.elapsed());
    // topk sorts: what the server sends is most.
    assert_eq!(found[0].label("workload"), "server-dep");
}

#[test]
fn the_top_talkers_are_one_expression() {
    let mut plan = Plan::new("prom-talkers");
    for (index, node) in ["a1", "a2", "b1", "a1"].into_iter().enumerate() {
        plan = plan.pod(PodPlan::new("load", &format!("curl-{index}"), node));
    }
    let lab = Lab::raise(plan.pod(PodPlan::new("load", "apache", "b1"))).unwrap();
    let agents = agents(&lab);
    let prometheus = Prometheus::start(&lab, &agents, &Settings::new("one")).unwrap();
    let started = Instant::now();
    let apache = lab.pod("load/apache").unwrap();
    let server = traffic::http_server(apache.namespace(), 80, PATIENCE).unwrap();
    for (index, size) in [300_000, 200_000, 100_000, 50_000].into_iter().enumerate() {
        let client = lab.pod(&format!("load/curl-{index}")).unwrap();
        let to = SocketAddr::new(apache.address(), server.port);
        traffic::http_get(client.namespace(), to, size).unwrap();
    }
    // The wire that the lab counts ends before what the kernel says on its own on each link.
    let expression = documented("The pods that send most").replace(
        "direction=\"transmit\"",
        "direction=\"transmit\", scope!=\"link_local\"",
    );
    let labels = ["namespace", "pod"];
    let exact = wait_equal(&prometheus, &totals(&expression), &labels, || {
        let mut sent = BTreeMap::new();
        for (series, count) in oracle::expected(&lab, &[]).unwrap() {
            if series.direction == "transmit" {
                let key = series.pod.split('/').map(str::to_owned).collect();
                *sent.entry(key).or_default() += count.bytes;
            }
        }
        sent
    });
    assert_eq!(exact.len(), 5);
    let found = prometheus.query(&expression).unwrap();
    assert_close(&found, &exact, &labels, started.elapsed());
    assert_eq!(found[0].label("pod"), "apache");
    assert_eq!(prometheus.query("sum(up)").unwrap()[0].value, 3.0);
}

/// What it takes for nothing to be lost: without created timestamps the first bytes are in no
/// difference between two samples.
#[test]
fn a_job_of_twenty_seconds_is_in_the_increase_of_its_hour_to_the_byte() {
    const LIFETIME: Duration = Duration::from_secs(20);
    let mut lab =
        Lab::raise(Plan::new("prom-job").pod(PodPlan::new("default", "store", "b1"))).unwrap();
    let agents = agents(&lab);
    let settings = |name| Settings {
        scrape_every: Duration::from_secs(5),
        ..Settings::new(name)
    };
    let without = Settings {
        created_timestamps: false,
        ..settings("without")
    };
    let both = [settings("with"), without];
    // Each waits for the first scrape of every agent.
    let [with, without] = thread::scope(|scope| {
        let (lab, agents) = (&lab, &agents);
        let start =
            |settings| scope.spawn(move || Prometheus::start(lab, agents, settings).unwrap());
        both.each_ref().map(start).map(|one| one.join().unwrap())
    });

    let began = Instant::now();
    let job = PodPlan::new("batch", "backup-29460060-8fk2x", "a1");
    let job = lab
        .add_pod(job.owner(Owner::CronJob("backup".to_owned())))
        .unwrap();
    let store = lab.pod("default/store").unwrap();
    traffic::tcp_transfer(
        job.namespace(),
        store.namespace(),
        store.address(),
        0,
        3_000_000,
    )
    .unwrap();
    while began.elapsed() < LIFETIME {
        let to = SocketAddr::new(store.address(), 7000);
        let what = Datagrams::new(10, 1000);
        traffic::udp_send(job.namespace(), store.namespace(), to, what).unwrap();
        thread::sleep(Duration::from_secs(1));
    }
    lab.withdraw(&job).unwrap();
    lab.unwire_pod(&job).unwrap();
    let (from, to) = (job.address(), store.address());
    let sent = lab.uplink_truth().unwrap().arrived(from, to).bytes;
    assert!(sent > 3_200_000, "{sent}");

    let series = r#"zonemeter_workload_bytes_total{namespace="batch", workload="backup", workload_kind="CronJob", direction="transmit", peer_workload="store"}"#;
    for prometheus in [&with, &without] {
        let complete = |answer: &[Series]| matches!(answer, [one] if one.value as u64 == sent);
        prometheus.query_until(series, PATIENCE, complete).unwrap();
    }
    assert_eq!(increase(&with, series), sent);
    let seen = increase(&without, series);
    assert!(
        seen + 1_000_000 < sent,
        "{seen} of {sent}: what is this test's flag for?"
    );
}

/// `increase()` over an hour, asked for at the time of the last sample, where there is nothing
/// to extrapolate.
fn increase(prometheus: &Prometheus, series: &str) -> u64 {
    let scraped = prometheus.query(&format!("timestamp({series})")).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs_f64(scraped[0].value);
    let answer = prometheus
        .query_at(&format!("increase({series}[1h])"), time)
        .unwrap();
    answer[0].value.round() as u64
}
