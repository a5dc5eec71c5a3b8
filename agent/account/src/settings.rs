//! What an operator may choose of the account.

use std::{sync::Arc, time::Duration};

use zonemeter_model::cluster::SourceNat;

/// Which families have series of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Each pod has its series; without, all pods share those of `other`, so that sums hold.
    pub pods: bool,
    /// There is a workload family.
    pub workloads: bool,
}

/// What an operator may choose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the Node object that the agent runs on.
    pub node_name: Arc<str>,
    /// Ceiling of traffic series; exact from 400 on.
    pub max_series: usize,
    /// Which families have series of their own.
    pub detail: Detail,
    /// How long a flow waits for the pod behind its veth, and for this node's zone.
    pub pod_timeout: Duration,
    /// How long a flow waits for the owner of a peer address that may be a pod's.
    pub peer_timeout: Duration,
    /// Take a Service's zone from its endpoints where its backend is not known.
    pub place_services: bool,
    /// Which packets leave with the node's address, whatever the CNI says; `None`: as it says.
    pub source_nat: Option<SourceNat>,
    /// How long a series of a gone pod is shown after its last byte.
    pub retire_after: Duration,
    /// Shows the series of this node's pods at 0 before their first byte.
    pub show_at_zero: bool,
}

impl Settings {
    /// The documented defaults: 20,000 series, both families, 60 s, 10 s, 5 min, shown at 0.
    pub fn new(node_name: Arc<str>) -> Self {
        Self {
            node_name,
            max_series: 20_000,
            detail: Detail {
                pods: true,
                workloads: true,
            },
            pod_timeout: Duration::from_secs(60),
            peer_timeout: Duration::from_secs(10),
            place_services: true,
            source_nat: None,
            retire_after: Duration::from_secs(300),
            show_at_zero: true,
        }
    }
}
