//! The routes from the outside: requests in, bodies and headers out.

use std::{
    io::Read as _,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use tokio::sync::watch;
use tower::ServiceExt as _;
use zonemeter_model::{
    cluster::Workload,
    condition::Condition,
    snapshot::{
        HostKind, HostLabels, HostParty, HostSeries, PodLabels, PodSeries, Reason, Scope, Via,
        WorkloadLabels, WorkloadSeries, ZoneInfo,
    },
    traffic::{AttachMode, BackendMethod, Count, Direction, Missed, SkipReason},
};

use super::*;

const OPEN_METRICS: (header::HeaderName, &str) = (
    header::ACCEPT,
    "application/openmetrics-text; version=1.0.0",
);

struct Fixed(bool);

impl Health for Fixed {
    fn live(&self) -> Verdict {
        self.ready()
    }

    fn ready(&self) -> Verdict {
        Verdict {
            ok: self.0,
            text: "cluster: Pod list not read yet\n".to_owned(),
        }
    }

    fn holds(&self) -> Vec<(Condition, bool)> {
        vec![(Condition::Counting, true), (Condition::Cluster, self.0)]
    }
}

fn state(snapshot: Snapshot) -> State {
    let (sender, snapshots) = watch::channel(Arc::new(snapshot));
    drop(sender);
    State::new(snapshots, SelfMetrics::default(), Arc::new(Fixed(true)))
}

async fn get_with(
    state: State,
    path: &str,
    header: Option<(header::HeaderName, &str)>,
) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut request = Request::get(path);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = router(state).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    (head.status, head.headers, body)
}

async fn text_of(
    state: State,
    path: &str,
    header: Option<(header::HeaderName, &str)>,
) -> (StatusCode, String) {
    let (status, _, body) = get_with(state, path, header).await;
    (status, String::from_utf8(body).unwrap())
}

fn count(bytes: u64, packets: u64) -> Count {
    Count { bytes, packets }
}

/// One pod with two peers, and something in every other family.
fn example() -> Snapshot {
    let created = UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
    let pod = |direction, scope, peer_zone: &str, count| PodSeries {
        labels: PodLabels {
            namespace: "shop".into(),
            pod: "client-0".into(),
            zone: "us-east-2a".into(),
            direction,
            scope,
            peer_zone: peer_zone.into(),
            via: if scope == Scope::Internet {
                Via::Nat
            } else {
                Via::Unset
            },
        },
        count,
        created,
    };
    Snapshot {
        covered: None,
        own_unattributed: [Count::ZERO; 2],
        flow_overflow: [count(60, 2), count(0, 0)],
        restoring: false,
        drains_that_disagreed: 0,
        backends: [count(0, 0); 4],
        pods: vec![
            pod(
                Direction::Transmit,
                Scope::CrossZone,
                "us-east-2b",
                count(1500, 1),
            ),
            pod(
                Direction::Receive,
                Scope::Internet,
                "us-east-2a",
                count(u64::MAX, 7),
            ),
        ],
        workloads: vec![WorkloadSeries {
            labels: WorkloadLabels {
                namespace: "shop".into(),
                workload: workload("Deployment", "client"),
                zone: "us-east-2a".into(),
                direction: Direction::Transmit,
                scope: Scope::CrossZone,
                peer_namespace: "".into(),
                peer_workload: workload("Network", "on \"prem\" \\ line\nfeed"),
                peer_zone: "us-east-2b".into(),
                via: Via::Unset,
            },
            bytes: 1500,
            own: count(1500, 1),
            created,
        }],
        hosts: vec![HostSeries {
            labels: HostLabels {
                party: HostParty {
                    kind: HostKind::Unit,
                    namespace: "".into(),
                    pod: "".into(),
                    workload: workload("Unit", "containerd.service"),
                },
                zone: "us-east-2a".into(),
                direction: Direction::Receive,
                scope: Scope::AwsService,
                peer_namespace: "".into(),
                peer_workload: workload("Network", "ecr"),
                peer_zone: "".into(),
                via: Via::Nat,
            },
            count: count(8000, 6),
            own: count(8000, 6),
            created,
        }],
        uplinks: [
            [count(11, 1), count(12, 2), count(13, 3), count(14, 4)],
            [count(21, 5), count(22, 6), count(8000, 6), count(24, 8)],
        ],
        uplink_received: count(8067, 25),
        hosts_retired: [count(0, 0), count(3, 1)],
        interface: [count(1600, 2), count(10, 3)],
        unattributed: vec![
            (Reason::MapFull, [count(40, 1), count(0, 0)]),
            (Reason::UnknownPod, [count(0, 0), count(0, 0)]),
        ],
        pending: [count(60, 1), count(0, 0)],
        retired: [count(0, 0), count(5, 1)],
        before_attach: [count(90, 1), count(0, 0)],
        zone: Some(ZoneInfo {
            node: "ip-10-0-0-1".into(),
            zone: "us-east-2a".into(),
            zone_id: "use2-az1".into(),
        }),
        series_folded: 4,
        cluster_objects: [3, 20, 5, 6],
    }
}

fn workload(kind: &str, name: &str) -> Workload {
    Workload {
        kind: kind.into(),
        name: name.into(),
    }
}

fn traffic_part(text: &str) -> &str {
    let end = text.find("# HELP zonemeter_build_info").unwrap();
    &text[..end]
}

#[tokio::test]
async fn prometheus_text_is_as_written_by_hand() {
    let (status, headers, body) = get_with(state(example()), "/metrics", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        headers[header::CONTENT_TYPE],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = String::from_utf8(body).unwrap();
    assert_eq!(traffic_part(&text), include_str!("tests/prometheus.txt"));
    assert!(!text.contains("# EOF") && !text.contains("# UNIT") && !text.contains("_created"));
}

#[tokio::test]
async fn open_metrics_is_as_written_by_hand() {
    let (_, headers, body) = get_with(state(example()), "/metrics", Some(OPEN_METRICS)).await;
    assert_eq!(
        headers[header::CONTENT_TYPE],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = String::from_utf8(body).unwrap();
    assert_eq!(traffic_part(&text), include_str!("tests/openmetrics.txt"));
    assert!(text.ends_with("\n# EOF\n"));
}

#[tokio::test]
async fn one_scrape_shows_one_snapshot() {
    let (sender, snapshots) = watch::channel(Arc::new(Snapshot::default()));
    let state = State {
        snapshots,
        ..state(Snapshot::default())
    };
    let (_, before) = text_of(state.clone(), "/metrics", None).await;
    assert!(!before.contains("zonemeter_pod_bytes_total"));
    // A family at 0 while totals are read would be a counter that begins anew.
    sender
        .send(Arc::new(Snapshot {
            restoring: true,
            ..example()
        }))
        .unwrap();
    let (_, restoring) = text_of(state.clone(), "/metrics", None).await;
    assert!(restoring.starts_with("# HELP zonemeter_build_info"));
    sender.send(Arc::new(example())).unwrap();
    let (_, after) = text_of(state, "/metrics", None).await;
    assert_eq!(traffic_part(&after), include_str!("tests/prometheus.txt"));
}

#[tokio::test]
async fn reported_numbers_appear() {
    let state = state(Snapshot::default());
    let metrics = state.metrics.clone();
    metrics.set_uncounted_pods(3);
    metrics.set_flows(42);
    metrics.set_map_capacity(65536, 1 << 26);
    metrics.drained(
        Duration::from_millis(3),
        UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    );
    metrics.set_interfaces(AttachMode::Tcx, 11);
    metrics.set_shadowed_interfaces(2);
    metrics.attach_failed(1);
    metrics.missed(Missed::Reattach, 77);
    metrics.set_backend_method(BackendMethod::Table, true);
    metrics.set_skipped(SkipReason::Arp, count(4200, 100));
    metrics.set_skipped(SkipReason::Arp, count(4242, 101));
    metrics.set_watch_errors(zonemeter_model::cluster::Kind::Pod, 1);
    metrics.set_unread_fields(zonemeter_model::cluster::Kind::Service, 4);
    let since = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    metrics.set_cluster_missing_since("nodes", Some(since));
    metrics.reload_failed(self_metrics::ConfigFile::Networks);
    metrics.state_written(99);
    metrics.state_write_failed();
    metrics.set_state_refused();
    let (_, text) = text_of(state, "/metrics", None).await;
    for line in [
        "# TYPE zonemeter_build_info gauge",
        concat!(
            "zonemeter_build_info{version=\"",
            env!("CARGO_PKG_VERSION"),
            "\",revision="
        ),
        "zonemeter_ready 1\n",
        "zonemeter_condition{condition=\"counting\"} 1\n",
        "zonemeter_condition{condition=\"pods_counted\"} 0\n",
        "zonemeter_uncounted_pods 3\n",
        "zonemeter_flows 42\n",
        "zonemeter_flow_capacity 65536\n",
        "# TYPE zonemeter_drain_duration_seconds histogram\n",
        "zonemeter_drain_duration_seconds_bucket{le=\"0.0025\"} 0\n",
        "zonemeter_drain_duration_seconds_bucket{le=\"0.005\"} 1\n",
        "zonemeter_drain_duration_seconds_bucket{le=\"+Inf\"} 1\n",
        "zonemeter_drain_duration_seconds_sum 0.003\n",
        "zonemeter_drain_duration_seconds_count 1\n",
        "zonemeter_last_drain_timestamp_seconds 1700000000.0\n",
        "zonemeter_interfaces{mode=\"tcx\"} 11\nzonemeter_interfaces{mode=\"tc\"} 0\n",
        "zonemeter_shadowed_interfaces 2\n",
        "# TYPE zonemeter_attach_failures_total counter\nzonemeter_attach_failures_total 1\n",
        "zonemeter_missed_bytes_total{reason=\"reattach\"} 77\n",
        "zonemeter_backend_method_enabled{method=\"packet\"} 0\n",
        "zonemeter_backend_method_enabled{method=\"conntrack_table\"} 1\n",
        "zonemeter_skipped_packets_total{reason=\"arp\"} 101\n",
        "zonemeter_skipped_bytes_total{reason=\"arp\"} 4242\n",
        "zonemeter_cluster_watch_errors_total{kind=\"Node\"} 0\n",
        "zonemeter_cluster_watch_errors_total{kind=\"Pod\"} 1\n",
        "zonemeter_cluster_unread_fields_total{kind=\"Service\"} 4\n",
        "zonemeter_cluster_missing_since_timestamp_seconds{part=\"nodes\"} 1700000000.0\n",
        "zonemeter_cluster_missing_since_timestamp_seconds{part=\"services\"} 0.0\n",
        "zonemeter_config_reload_failures_total{file=\"cluster\"} 0\n",
        "zonemeter_config_reload_failures_total{file=\"networks\"} 1\n",
        "zonemeter_state_written_bytes_total 99\n",
        "zonemeter_state_write_failures_total 1\n",
        "zonemeter_state_refused 1\n",
        "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total ",
        "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes ",
        "\nprocess_virtual_memory_bytes ",
        "\nprocess_open_fds ",
        "\nprocess_max_fds ",
        "\nprocess_start_time_seconds ",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

/// Every family that the catalogue promises is there, under its name and type, in its order.
#[tokio::test]
async fn all_of_the_catalogue_is_shown() {
    let (_, text) = text_of(state(example()), "/metrics", None).await;
    let shown: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .collect();
    let promised: Vec<_> = catalogue::ALL
        .iter()
        .map(|metric| format!("# TYPE {} {}", metric.name, metric.kind.name()))
        .collect();
    assert_eq!(shown, promised);
}

#[tokio::test]
async fn gzip_unpacks_to_the_same_traffic() {
    let gzip = Some((header::ACCEPT_ENCODING, "gzip"));
    let (_, headers, body) = get_with(state(example()), "/metrics", gzip).await;
    assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*body)
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(traffic_part(&text), include_str!("tests/prometheus.txt"));
}

#[tokio::test]
async fn health_is_the_verdict() {
    for path in ["/livez", "/readyz"] {
        let (status, _) = text_of(state(Snapshot::default()), path, None).await;
        assert_eq!(status, StatusCode::OK);
        let unready = State {
            health: Arc::new(Fixed(false)),
            ..state(Snapshot::default())
        };
        let (status, text) = text_of(unready.clone(), path, None).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "cluster: Pod list not read yet\n");
        let (_, metrics) = text_of(unready, "/metrics", None).await;
        assert!(metrics.contains("\nzonemeter_ready 0\n"));
    }
}

#[tokio::test]
async fn the_root_lists_routes_that_answer() {
    let (_, list) = text_of(state(Snapshot::default()), "/", None).await;
    let paths: Vec<_> = list
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(paths, ["/metrics", "/livez", "/readyz"]);
    for path in paths {
        let (status, _) = text_of(state(Snapshot::default()), path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}");
    }
    let (status, text) = text_of(state(Snapshot::default()), "/metric", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(
        text.starts_with("no such path: /metric\n/metrics "),
        "{text}"
    );
}
