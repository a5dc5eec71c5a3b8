//! The shape of `/api/pairs`. Field names are stable within a major version; the page and `top`
//! read what is written here, and whatever else serves pairs answers in the same shape.

use serde::{Deserialize, Serialize};

/// `/api/pairs`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pairs {
    /// Name of the node whose pods and own processes are the local ends; empty for a whole cluster.
    pub node: String,
    /// Zone of that node; empty where not known, and for a whole cluster.
    pub zone: String,
    /// The window asked for: `1m`, `5m`, `1h` or `start`.
    pub window: String,
    /// Begin of what the numbers cover, as Unix time; 0 before the first drain.
    pub since_unix_seconds: f64,
    /// How much time the numbers cover: less than the window until it has been watched for so
    /// long, and the time since the start where it has not been watched at all.
    pub seconds: f64,
    /// How long ago the numbers ended.
    pub age_seconds: f64,
    /// Pairs there are.
    pub total: usize,
    /// Pairs that match the filters; `pairs` holds `limit` of them at most.
    pub matched: usize,
    /// More match than are listed.
    pub truncated: bool,
    /// What all that match make up together, by scope, in the order of the scopes.
    pub scopes: Vec<ScopeSum>,
    /// The same by zone, peer zone, scope and way out, in this order.
    #[serde(default)]
    pub zones: Vec<ZoneSum>,
    /// What has no pod for good, whatever the filters: from pods and to pods.
    #[serde(default)]
    pub not_attributed: [PairTraffic; 2],
    /// What dollars are computed from; null without prices.
    pub prices: Option<PricesUsed>,
    /// In the order asked for; pairs that are equal in it, by their names.
    pub pairs: Vec<Pair>,
}

/// Two ends and what went between them in both directions, seen from the local end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// A workload whose pods are counted; of the node itself a unit of systemd (kind `Unit`), the
    /// workload of a pod of the host's network, or the kernel (kind `Kernel`).
    pub local: PairEnd,
    /// The other end: a workload, a Node, a Network, or nothing for the internet.
    pub peer: PairEnd,
    /// The local end is the node itself: its units, its kernel, pods of its network. Others see it
    /// as the Node.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub host: bool,
    /// `namespace/name` of the Services by whose address one spoke to the other, sorted; only
    /// those that were seen while somebody looked.
    pub services: Vec<String>,
    /// As the metrics have it.
    pub scope: String,
    /// As the metrics have it: the way out of the VPC, empty where there is none or it is not told.
    pub via: String,
    /// From the local end.
    pub transmit: PairTraffic,
    /// To the local end.
    pub receive: PairTraffic,
    /// Bytes in both directions that the counters hold, whatever the window: since the start, or
    /// since before it where totals are kept over restarts.
    pub total_bytes: u64,
    /// What a month (730 hours) at the window's rate costs, both ends together; null without
    /// prices.
    pub dollars_per_month: Option<f64>,
    /// Bytes per second in both directions in parts of the window, oldest first; empty
    /// where it is not known.
    #[serde(default)]
    pub trend: Vec<f64>,
    /// Bytes per second in both directions over the same window a week earlier; only where it is
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second_week_ago: Option<f64>,
    /// What the UTC month has cost so far, both ends together; only where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month_to_date_dollars: Option<f64>,
}

/// One end of a pair. Unknown names are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PairEnd {
    /// Namespace of the workload; empty where it has none.
    pub namespace: String,
    /// The workload, the Node, or the `name` of a Network; `other` past the ceiling of series.
    pub workload: String,
    /// Kind of the workload, `Unit`, `Kernel`, `Node`, `Network` or `other`.
    pub kind: String,
    /// Zone that it is in.
    pub zone: String,
}

/// One direction of a pair within the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PairTraffic {
    /// Layer-3 bytes on the wire.
    pub bytes: u64,
    /// Packets on the wire.
    pub packets: u64,
    /// Bytes by the time that they cover: a mean.
    pub bytes_per_second: f64,
}

/// What all pairs of a scope that match the filters make up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScopeSum {
    /// As the metrics have it.
    pub scope: String,
    /// As the metrics have it.
    pub via: String,
    /// From the local ends.
    pub transmit: PairTraffic,
    /// To the local ends.
    pub receive: PairTraffic,
    /// As in a pair; null without prices.
    pub dollars_per_month: Option<f64>,
    /// Bytes per second in both directions over the same window a week earlier; only where it is
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second_week_ago: Option<f64>,
    /// What the UTC month has cost so far, whatever the filters; only where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month_to_date_dollars: Option<f64>,
}

/// What all pairs between two zones that match the filters make up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ZoneSum {
    /// Zone of the local ends.
    pub zone: String,
    /// Zone of the peers, empty where not known; that of the NAT gateway where `via` is `nat`.
    pub peer_zone: String,
    /// As the metrics have it.
    pub scope: String,
    /// As the metrics have it.
    #[serde(default)]
    pub via: String,
    /// From the local ends.
    pub transmit: PairTraffic,
    /// To the local ends.
    pub receive: PairTraffic,
    /// As in a pair; null without prices.
    pub dollars_per_month: Option<f64>,
}

/// Where dollars come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PricesUsed {
    /// Dates of the prices that were used, sorted, such as `2025-09`.
    pub as_of: Vec<String>,
    /// How many bytes a gigabyte of the bill has.
    pub gigabyte_bytes: f64,
}
