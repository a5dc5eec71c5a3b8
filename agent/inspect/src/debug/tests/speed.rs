//! A hundred thousand flows, and as many series as the ceiling allows: every answer in time.
//!
//! With `ZONEMETER_UPDATE_DOCS=1` what it took goes to `docs/read-the-numbers.md`, as
//! `cargo xtask bench answers --write` has it.

use std::{env, fs, net::Ipv4Addr, time::Instant};

use zonemeter_model::{
    cluster::Workload,
    recent::{Party, Recent, ResolvedFlow},
    snapshot::{Covered, Scope, Snapshot, Via, WorkloadLabels, WorkloadSeries},
    traffic::{Count, Direction},
};

use super::{super::pairs::history::History, *};

const FLOWS: u32 = 100_000;
const SERIES: u32 = 20_000;
/// What is promised of a release build; without optimisation it takes some ten times as long.
const PROMISED: Duration = Duration::from_millis(100);

fn workload(number: u32) -> Workload {
    Workload {
        kind: "Deployment".into(),
        name: format!("workload-{number:05}").into(),
    }
}

fn party(number: u32) -> Arc<Party> {
    Arc::new(Party {
        namespace: "shop".into(),
        pod: format!("workload-{number:05}-0").into(),
        workload: workload(number),
        node: "node-b".into(),
        zone: "us-east-2b".into(),
    })
}

fn direction(number: u32) -> Direction {
    Direction::ALL[number as usize % 2]
}

fn count(number: u32) -> Count {
    Count {
        bytes: 1_000 + u64::from(number.wrapping_mul(2_654_435_761) >> 8),
        packets: 1,
    }
}

fn busy() -> Recent {
    let parties: Vec<_> = (0..SERIES / 2).map(party).collect();
    let flow = |number: u32| ResolvedFlow {
        interface: 1 + number % 100,
        direction: direction(number),
        local: Arc::clone(&parties[(number % 100) as usize]),
        local_address: Ipv4Addr::from(0x0a00_0100 + number % 100).into(),
        local_port: 0,
        peer: Arc::clone(&parties[(number / 2 % (SERIES / 2)) as usize]),
        peer_address: Ipv4Addr::from(0x0a01_0000 + number / 2).into(),
        peer_port: 443,
        other_ports: false,
        service: None,
        protocol: 6,
        scope: Scope::CrossZone,
        via: Via::Unset,
        pending: false,
        count: count(number),
    };
    Recent {
        recorded: true,
        lasted: Duration::from_secs(5),
        flows: (0..FLOWS).map(flow).collect(),
        ..Recent::default()
    }
}

fn full(now: Instant) -> Snapshot {
    let series = |number: u32| WorkloadSeries {
        labels: WorkloadLabels {
            namespace: "shop".into(),
            workload: workload(number / 2 % 100),
            zone: "us-east-2a".into(),
            direction: direction(number),
            scope: Scope::CrossZone,
            peer_namespace: "shop".into(),
            peer_workload: workload(number / 2),
            peer_zone: "us-east-2b".into(),
            via: Via::Unset,
        },
        bytes: count(number).bytes,
        own: count(number),
        created: std::time::UNIX_EPOCH,
    };
    Snapshot {
        covered: Some(Covered {
            since: now,
            until: now + Duration::from_secs(5),
            ended: std::time::SystemTime::now(),
        }),
        workloads: (0..SERIES).map(series).collect(),
        ..Snapshot::default()
    }
}

/// Into the row of the table that begins with `what`.
fn record(what: &str, took: Duration) {
    let took = match took.as_secs_f64() {
        took @ ..1e-3 => format!("{:.1} µs", 1e6 * took),
        took => format!("{:.0} ms", 1e3 * took),
    };
    let row = format!("| {what} | {took} |");
    println!("{row}");
    if env::var_os("ZONEMETER_UPDATE_DOCS").is_some() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/read-the-numbers.md"
        );
        let document = fs::read_to_string(file).unwrap();
        let is_it = |line: &&str| line.starts_with(&format!("| {what} |"));
        let old = document.lines().find(is_it).unwrap();
        fs::write(file, document.replace(old, &row)).unwrap();
    }
}

#[test]
fn a_drain_costs_the_page_nothing_while_nobody_looks() {
    const DRAINS: usize = 101;
    let (history, start) = (History::default(), Instant::now());
    let (snapshot, recent) = (full(start), busy());
    let drain = || {
        let began = Instant::now();
        history.follow(&snapshot, &recent, start);
        began.elapsed()
    };
    let mut idle: Vec<_> = (0..DRAINS).map(|_| drain()).collect();
    idle.sort();
    // Of others' work on this machine the median has nothing.
    let idle = idle[DRAINS / 2];
    history.asks(start);
    let watched = drain();
    record("a drain while nobody looks", idle);
    record("a drain while somebody looks", watched);
    assert!(idle < Duration::from_micros(100), "{idle:?}");
    assert!(watched > 10 * idle, "{watched:?}: nothing was noted");
}

#[tokio::test]
async fn every_answer_comes_within_a_tenth_of_a_second() {
    let snapshots = watch::Sender::new(Arc::new(full(Instant::now())));
    let recent = watch::Sender::new(Arc::new(busy()));
    let state = State::new(
        snapshots.subscribe(),
        recent.subscribe(),
        mpsc::channel(1).0,
    );
    let promised = if cfg!(debug_assertions) {
        30 * PROMISED
    } else {
        PROMISED
    };
    for path in [
        "/",
        "/api/pairs",
        "/api/pairs?window=1m&search=workload-07&limit=10000",
        "/api/flows?limit=200",
        "/api/flows?search=10.1.7.0/24&limit=10000",
        "/api/zones",
        "/api/workloads",
        "/api/health",
    ] {
        let request = Request::get(path).header("host", "localhost");
        let began = Instant::now();
        let response = router(state.clone())
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let took = began.elapsed();
        assert!(!bytes.is_empty());
        record(&format!("`{path}`"), took);
        assert!(took < promised, "{path}: {took:?}");
    }
}
