//! Prints what `/metrics` answers for a made-up node, and how long the answers took.
//!
//! ```sh
//! cargo run --release --example scrape -- 10000 > scrape.txt
//! cargo run --release --example scrape -- 10000 openmetrics > scrape.om
//! ```
//! The body goes to standard output, for parsers that are not this project's: `promtool check
//! metrics < scrape.txt`, and `prometheus_client.openmetrics.parser` of Python for the other.

use std::{
    env,
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

use axum::{
    body::Body,
    http::{Request, header},
};
use http_body_util::BodyExt as _;
use tokio::sync::watch;
use tower::ServiceExt as _;
use zonemeter_metrics::{Health, SelfMetrics, Verdict};
use zonemeter_model::{
    cluster::Workload,
    condition::Condition,
    snapshot::{
        PodLabels, PodSeries, Reason, Scope, Snapshot, Via, WorkloadLabels, WorkloadSeries,
        ZoneInfo,
    },
    traffic::{Count, Direction},
};

const SCRAPES: usize = 200;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let series = arguments.next().as_deref().unwrap_or("100").parse()?;
    let format = arguments.next().unwrap_or_default();
    let accept = match format.as_str() {
        "openmetrics" => "application/openmetrics-text; version=1.0.0",
        _ => "text/plain; version=0.0.4",
    };
    let state = state(snapshot(series));
    for encoding in ["gzip", "identity"] {
        let body = scrapes(&state, accept, encoding).await?;
        if encoding == "identity" {
            print(&body);
        }
    }
    Ok(())
}

async fn scrapes(
    state: &zonemeter_metrics::State,
    accept: &str,
    encoding: &str,
) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    let mut times = Vec::with_capacity(SCRAPES);
    for _ in 0..SCRAPES {
        let request = Request::get("/metrics")
            .header(header::ACCEPT, accept)
            .header(header::ACCEPT_ENCODING, encoding)
            .body(Body::empty())?;
        let before = Instant::now();
        let response = zonemeter_metrics::router(state.clone())
            .oneshot(request)
            .await?;
        body = response.into_body().collect().await?.to_bytes().to_vec();
        times.push(before.elapsed());
    }
    times.sort_unstable();
    report(encoding, body.len(), &times);
    Ok(body)
}

#[expect(clippy::print_stderr, reason = "a program for the terminal")]
fn report(encoding: &str, bytes: usize, times: &[Duration]) {
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    eprintln!(
        "{encoding}: {bytes} bytes, p50 {:?}, p99 {:?} of {} scrapes",
        at(50),
        at(99),
        times.len()
    );
}

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn print(body: &[u8]) {
    print!("{}", String::from_utf8_lossy(body));
}

struct Ready;

impl Health for Ready {
    fn live(&self) -> Verdict {
        self.ready()
    }

    fn ready(&self) -> Verdict {
        Verdict {
            ok: true,
            text: "ready\n".to_owned(),
        }
    }

    fn holds(&self) -> Vec<(Condition, bool)> {
        Condition::ALL.map(|condition| (condition, true)).into()
    }
}

fn state(snapshot: Snapshot) -> zonemeter_metrics::State {
    let (_, snapshots) = watch::channel(Arc::new(snapshot));
    let metrics = SelfMetrics::default();
    metrics.drained(Duration::from_millis(2), UNIX_EPOCH);
    zonemeter_metrics::State::new(snapshots, metrics, Arc::new(Ready))
}

/// One part in ten are pod series, which show bytes and packets; the rest are workload series.
fn snapshot(series: usize) -> Snapshot {
    let pods = (series / 10).max(1);
    let count = Count {
        bytes: 123_456_789,
        packets: 98_765,
    };
    Snapshot {
        pods: (0..pods / 2).map(pod_series).collect(),
        workloads: (0..series.saturating_sub(pods))
            .map(workload_series)
            .collect(),
        interface: [count; 2],
        unattributed: Reason::ALL.map(|reason| (reason, [count; 2])).into(),
        zone: Some(ZoneInfo {
            node: "ip-192-168-1-1.us-east-2.compute.internal".into(),
            zone: "us-east-2a".into(),
            zone_id: "use2-az1".into(),
        }),
        ..Snapshot::default()
    }
}

fn pod_series(index: usize) -> PodSeries {
    PodSeries {
        labels: PodLabels {
            namespace: format!("team-{}", index % 7).into(),
            pod: format!("checkout-7d9f8b6c5d-{index:05}").into(),
            zone: "us-east-2a".into(),
            direction: Direction::ALL[index % 2],
            scope: Scope::ALL[index % Scope::ALL.len()],
            peer_zone: "us-east-2b".into(),
            via: Via::Unset,
        },
        count: Count {
            bytes: 7_919 * index as u64,
            packets: 13 * index as u64,
        },
        created: UNIX_EPOCH + Duration::from_secs(1_700_000_000 + index as u64),
    }
}

fn workload_series(index: usize) -> WorkloadSeries {
    let workload = |name: String| Workload {
        kind: "Deployment".into(),
        name: name.into(),
    };
    WorkloadSeries {
        labels: WorkloadLabels {
            namespace: format!("team-{}", index % 7).into(),
            workload: workload(format!("checkout-{}", index % 50)),
            zone: "us-east-2a".into(),
            direction: Direction::ALL[index % 2],
            scope: Scope::ALL[index % Scope::ALL.len()],
            peer_namespace: format!("team-{}", index % 11).into(),
            peer_workload: workload(format!("inventory-{index}")),
            peer_zone: "us-east-2b".into(),
            via: Via::Unset,
        },
        bytes: 104_729 * index as u64,
        own: Count::ZERO,
        created: UNIX_EPOCH + Duration::from_secs(1_700_000_000 + index as u64),
    }
}
