//! The shapes of the answers. Field names are stable within a major version; `top` and `explain`
//! read what is written here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::{
    Json,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

mod health;

pub use health::{DirectionSums, HealthShown, UnattributedShown};

/// `/api/flows`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flows {
    /// When the drain ended, as Unix time.
    pub drained_unix_seconds: f64,
    /// How much time the drain covers.
    pub seconds: f64,
    /// Conversations that match the filters; `flows` holds `limit` of them at most.
    pub matched: usize,
    /// Busiest first.
    pub flows: Vec<Flow>,
}

/// One conversation in the last drain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// The pod on this node, or its own: a unit of systemd (kind `Unit`) or the kernel (`Kernel`);
    /// empty names while they are awaited.
    pub local: End,
    /// The other end; the backend where the local end spoke to a Service.
    pub peer: End,
    /// `namespace/name` of the Service by whose address the local end spoke to the peer, or empty.
    pub service: String,
    /// There were packets with other ports, too: those of the ends are the first packet's.
    #[serde(default)]
    pub other_ports: bool,
    /// `tcp`, `udp`, `icmp`, …, or the IP protocol number.
    pub protocol: String,
    /// As the metrics have it.
    pub scope: String,
    /// By what it leaves the VPC, as the metrics have it; empty where not told.
    pub via: String,
    /// Held back: a name is still awaited.
    pub pending: bool,
    /// From the local end.
    pub transmit: Traffic,
    /// To the local end.
    pub receive: Traffic,
}

/// One end of a conversation. Unknown names are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct End {
    /// Namespace of the workload.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The workload, Node or Network.
    pub workload: String,
    /// Kind of the workload.
    pub workload_kind: String,
    /// Node that it is on.
    pub node: String,
    /// Zone that it is in.
    pub zone: String,
    /// IP address.
    pub address: String,
    /// Port; 0 where folded or absent.
    pub port: u16,
}

/// Bytes and packets of one drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Layer-3 bytes on the wire.
    pub bytes: u64,
    /// Packets on the wire.
    pub packets: u64,
    /// Bytes by the time that the drain covers.
    pub bytes_per_second: f64,
}

/// `/api/zones`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zones {
    /// Sorted by zone, peer zone and scope.
    pub zones: Vec<ZonePair>,
}

/// Totals of all pods, and of the node itself, between two zones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZonePair {
    /// Zone of the pods and the node.
    pub zone: String,
    /// Zone of their peers, empty where not known.
    pub peer_zone: String,
    /// As the metrics have it.
    pub scope: String,
    /// From them.
    pub transmit: Total,
    /// To them.
    pub receive: Total,
}

/// Bytes and packets since the series began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Layer-3 bytes on the wire.
    pub bytes: u64,
    /// Packets on the wire.
    pub packets: u64,
}

/// `/api/workloads`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workloads {
    /// Sorted by namespace, workload and kind.
    pub workloads: Vec<WorkloadTotals>,
}

/// Totals of one workload's pods on this node, or of one of the node's units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadTotals {
    /// Namespace.
    pub namespace: String,
    /// Name of the workload.
    pub workload: String,
    /// Kind of the workload.
    pub workload_kind: String,
    /// Sorted by scope; only scopes with a series.
    pub scopes: Vec<ScopeTotals>,
}

/// Totals in one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeTotals {
    /// As the metrics have it.
    pub scope: String,
    /// Layer-3 bytes from the pods.
    pub transmit_bytes: u64,
    /// Layer-3 bytes to the pods.
    pub receive_bytes: u64,
}

/// `/api/interfaces`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interfaces {
    /// When the drain ended, as Unix time.
    pub drained_unix_seconds: f64,
    /// How much time the drain covers.
    pub seconds: f64,
    /// What the flow map had no room for on any interface, from pods, in the last drain.
    pub transmit_overflow: Total,
    /// What the flow map had no room for on any interface, to pods, in the last drain.
    pub receive_overflow: Total,
    /// Sorted by name.
    pub interfaces: Vec<Interface>,
}

/// One counted interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    /// Name of the host-side veth.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Namespace of the pod behind it, empty while it is awaited.
    pub namespace: String,
    /// The pod behind it, empty while it is awaited.
    pub pod: String,
    /// What told so: `name`, `network_namespace`, `route` or `address`; empty while it is awaited.
    pub pod_found_by: String,
    /// From the pod, in the last drain.
    pub transmit: Traffic,
    /// To the pod, in the last drain.
    pub receive: Traffic,
    /// From the pod, before counting began.
    pub transmit_before_attach: Total,
    /// To the pod, before counting began.
    pub receive_before_attach: Total,
    /// The direction that cannot be counted, and why; null where both are.
    pub lacks: Option<String>,
}

/// `/api/explain?address=`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// What a flow of a local pod with this address would be now.
    pub scope: String,
    /// By what it would leave the VPC; empty where not told.
    pub via: String,
    /// The rule that decided, in words.
    #[serde(default)]
    pub rule: String,
    /// Who holds the address now; its port is 0.
    pub holder: End,
    /// The deciding source first.
    pub evidence: Vec<Evidence>,
    /// What a gigabyte of this scope costs, at the pod's own end; null without prices.
    #[serde(default)]
    pub prices: Option<Vec<GigabytePrice>>,
}

/// One source's word about an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// `Pod`, `Node`, `Service`, `EndpointSlice`, `networks_file`, `special_range`, `cgroup`,
    /// `default`.
    pub source: String,
    /// What it says.
    pub says: String,
    /// How long ago it was learnt; null for what is built in, and where it is not known.
    pub age_seconds: Option<f64>,
    /// The answer comes from it.
    pub decides: bool,
}

/// `/api/explain?what=`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Explanations {
    /// What was asked for.
    pub what: String,
    /// The node whose agent answers: scopes are seen from there.
    pub node: String,
    /// Its zone; empty where not known.
    pub zone: String,
    /// How many things have that name; `matches` holds the first 20.
    pub total: usize,
    /// Sorted by kind, namespace and name.
    pub matches: Vec<Match>,
}

/// One thing that was meant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// `Pod`, `Service`, `Node`, `Network`, or the kind of a workload; empty for an address.
    pub kind: String,
    /// Its namespace; empty where it has none.
    pub namespace: String,
    /// Its name; empty for an address.
    pub name: String,
    /// How many addresses it has.
    pub addresses: usize,
    /// The first 10 of them, explained.
    pub explained: Vec<Explained>,
}

/// What a gigabyte of a scope costs in one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GigabytePrice {
    /// `transmit` or `receive`, seen from the pod.
    pub direction: String,
    /// The way out for which it holds; empty for every one without a row of its own.
    pub via: String,
    /// The zone of the NAT gateway, where it is the price of crossing zones to it, which comes on
    /// top; else empty.
    #[serde(default)]
    pub crossing_to: String,
    /// Dollars.
    pub dollars: f64,
    /// The date of the price.
    pub as_of: String,
}

/// Why a request is refused: one JSON line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of the response.
    pub status: StatusCode,
    /// Name of what is wrong.
    pub parameter: String,
    /// Its value.
    pub value: String,
    /// What is wrong with it.
    pub why: String,
}

impl Refusal {
    /// The value is not one that is accepted.
    pub(crate) fn new(status: StatusCode, parameter: &str, value: &str, accepted: &str) -> Self {
        Self {
            status,
            parameter: parameter.to_owned(),
            value: value.to_owned(),
            why: format!("accepted is {accepted}"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self {
            status,
            parameter,
            value,
            why,
        } = self;
        let error = format!("{parameter}={value}: {why}");
        let body = serde_json::json!({ "error": error, "parameter": parameter, "value": value });
        (status, Json(body)).into_response()
    }
}

pub(super) async fn no_such_path(uri: Uri) -> Refusal {
    let accepted = "/, /api/pairs, /api/flows, /api/zones, /api/workloads, /api/interfaces, /api/explain, \
                    /api/health or /api/config";
    Refusal::new(StatusCode::NOT_FOUND, "path", uri.path(), accepted)
}

/// Whoever answers has panicked; the log says why.
pub(super) fn failed(path: &str) -> Refusal {
    Refusal {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        parameter: "path".to_owned(),
        value: path.to_owned(),
        why: "no answer: see the agent's log".to_owned(),
    }
}

/// Unix time; 0 for a clock before 1970.
pub(super) fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

/// A rate; 0 before the first drain.
pub(super) fn per_second(bytes: u64, lasted: Duration) -> f64 {
    match lasted.is_zero() {
        true => 0.0,
        false => bytes as f64 / lasted.as_secs_f64(),
    }
}
