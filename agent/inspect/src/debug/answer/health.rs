//! `/api/health`: whether the node's figures can be trusted.

use serde::{Deserialize, Serialize};

use super::Total;

/// `/api/health`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HealthShown {
    /// Of the agent.
    pub version: String,
    /// Name of the node; empty until it is known, and for a whole cluster.
    pub node: String,
    /// Its zone.
    pub zone: String,
    /// Its zone's id.
    pub zone_id: String,
    /// When this process began to count, as Unix time; 0 before the first drain.
    pub since_unix_seconds: f64,
    /// How long ago the last drain ended; null before the first one.
    pub age_seconds: Option<f64>,
    /// As `/readyz` says.
    pub ready: bool,
    /// As `/livez` says.
    pub alive: bool,
    /// The lines of `/readyz`, and those of `/livez` where a loop stands still.
    pub missing: Vec<String>,
    /// Interfaces that are counted.
    pub interfaces: usize,
    /// Pods behind them.
    pub counted_pods: usize,
    /// Pods of this node with an address and no counted interface.
    pub uncounted_pods: u64,
    /// Transmit, then receive: what must be equal at every drain.
    pub sums: Vec<DirectionSums>,
    /// What has no pod for good, by reason; sorted.
    #[serde(default)]
    pub unattributed: Vec<UnattributedShown>,
    /// Drains in which flows and overflow did not make up what the interfaces saw.
    pub drains_that_disagreed: u64,
    /// Interfaces with a direction that cannot be counted, and why.
    pub lacking: Vec<String>,
}

/// What has no pod for good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UnattributedShown {
    /// As the metrics have it.
    pub reason: String,
    /// From pods.
    pub transmit: Total,
    /// To pods.
    pub receive: Total,
}

/// The parts of what interfaces saw in one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DirectionSums {
    /// `transmit` or `receive`.
    pub direction: String,
    /// In series of pods.
    pub pods: Total,
    /// For good without a pod.
    pub unattributed: Total,
    /// Held back for a name.
    pub pending: Total,
    /// Of series that are no longer shown.
    pub retired: Total,
    /// What the interfaces saw, counted apart.
    pub interfaces: Total,
    /// The parts make up the whole.
    pub equal: bool,
}
