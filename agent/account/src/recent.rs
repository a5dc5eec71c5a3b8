//! The flows of the last drain with their names, for the debug page.

use std::{net::IpAddr, sync::Arc, time::SystemTime};

use zonemeter_model::{
    cluster::{Name, Workload},
    recent::{FoundBy, Party, Recent, RecentInterface, ResolvedFlow},
    snapshot::{Scope, Via},
    traffic::{Count, Drain, Flow, Interface},
};
use zonemeter_naming::interfaces::Interfaces;

/// What became of a flow.
#[derive(Debug)]
pub(crate) struct FlowOutcome {
    /// What lies between its ends.
    pub(crate) scope: Scope,
    /// By what it leaves the VPC.
    pub(crate) via: Via,
    /// The pod, once known, or who on the node itself.
    pub(crate) local: Option<Arc<Party>>,
    /// The other end.
    pub(crate) peer: Arc<Party>,
    /// The other end's own address.
    pub(crate) peer_address: IpAddr,
    /// The Service by whose address the local end spoke to it.
    pub(crate) service: Option<Name>,
    /// Held back: a name is still awaited.
    pub(crate) pending: bool,
}

/// Writes down the flows of a drain.
#[derive(Debug)]
pub(crate) struct Recorder {
    recent: Recent,
    /// The flows of the next drain are written down.
    pub(crate) records: bool,
    /// Stands for a pod that is not known.
    nobody: Arc<Party>,
}

impl Default for Recorder {
    fn default() -> Self {
        let workload = Workload {
            kind: Arc::default(),
            name: Arc::default(),
        };
        let nobody = Party {
            namespace: Arc::default(),
            pod: Arc::default(),
            workload,
            node: Arc::default(),
            zone: Arc::default(),
        };
        Self {
            recent: Recent::default(),
            records: false,
            nobody: Arc::new(nobody),
        }
    }
}

impl Recorder {
    /// A drain that ended at `ended` begins.
    pub(crate) fn begin(&mut self, drain: &Drain, ended: SystemTime) {
        self.recent = Recent {
            ended,
            lasted: drain.until.saturating_duration_since(drain.from),
            recorded: self.records,
            flows: Vec::new(),
            interfaces: Vec::new(),
            overflow: drain.overflowed(),
        };
    }

    /// One of its flows, and what became of it.
    pub(crate) fn add(&mut self, flow: &Flow, placed: FlowOutcome) {
        self.recent.flows.push(ResolvedFlow {
            interface: flow.interface,
            direction: flow.direction,
            local: placed.local.unwrap_or_else(|| Arc::clone(&self.nobody)),
            local_address: flow.local,
            local_port: flow.local_port,
            peer: placed.peer,
            peer_address: placed.peer_address,
            peer_port: flow.peer_port,
            other_ports: flow.other_ports,
            service: placed.service,
            protocol: flow.protocol,
            scope: placed.scope,
            via: placed.via,
            pending: placed.pending,
            count: flow.count,
        });
    }

    /// No flow is left: these interfaces are counted.
    pub(crate) fn end(&mut self, interfaces: &Interfaces) {
        let mut rows: Vec<RecentInterface> = interfaces.counted().map(row).collect();
        rows.sort_unstable_by_key(|row| row.index);
        for flow in &self.recent.flows {
            if let Ok(found) = rows.binary_search_by_key(&flow.interface, |row| row.index) {
                rows[found].seen[flow.direction as usize] += flow.count;
            }
        }
        self.recent.interfaces = rows;
    }

    /// The last drain; empty until the next one.
    pub(crate) fn take(&mut self) -> Recent {
        std::mem::take(&mut self.recent)
    }
}

fn row((interface, pod): (&Interface, Option<(&Name, FoundBy)>)) -> RecentInterface {
    RecentInterface {
        index: interface.index,
        name: Arc::clone(&interface.name),
        pod: pod.map(|(name, by)| (name.clone(), by)),
        seen: [Count::ZERO; 2],
        before_attach: interface.before_attach,
        lacks: interface.lacks.clone(),
    }
}
