//! The account: drained flows become totals under names. No IO, no async, no clock: time is an
//! argument.
//!
//! In the order of the data: [`zonemeter_naming`] names both ends of a flow and says what lies
//! between them, [`pending`] holds what has no name yet, [`ledger`] adds it up, [`drains`] sees to
//! it that this happens once. [`conditions`] says whether cluster and interfaces fit together.
//!
//! Invariant, for each direction and exactly after every [`Account::add`]: the pod series, what is
//! unattributed, what is pending and what is retired make up what the interfaces saw.

#![cfg_attr(
    test,
    expect(
        clippy::disallowed_methods,
        reason = "a test has no other way to come by an instant"
    )
)]

mod backends;
mod conditions;
mod drains;
mod hosts;
mod kept;
mod labels;
mod ledger;
mod node_names;
mod pending;
mod recent;
mod settings;
mod uplinks;
mod zero;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use zonemeter_model::{
    cluster::{Change, Kind, Name, Pod},
    kept::DrainId,
    recent::{Answered, Asked, Explanation, Recent},
    snapshot::{Covered, Reason, Snapshot, ZoneInfo},
    traffic::{Drain, Flow, InterfaceChange, Translated},
};
use zonemeter_naming::{
    Networks,
    book::{Book, BookChanges, Entry},
    egress::{Egress, Exit},
    explain,
    held::{Awaited, TimedFlow},
    interfaces::Interfaces,
    resolve::{Names, Peer, Resolved},
    scope::{Class, Classes},
};

pub use self::settings::{Detail, Settings};
use self::{
    backends::Backends,
    conditions::Uncounted,
    drains::Drains,
    hosts::Hosts,
    labels::labels,
    ledger::{DrainTime, Ledger, Live},
    pending::{Pending, Timeouts},
    recent::{FlowOutcome, Recorder},
    zero::ShownAtZero,
};

/// Everything that the agent knows and has counted.
#[derive(Debug)]
pub struct Account {
    names: Names,
    classes: Classes,
    pending: Pending,
    hosts: Hosts,
    ledger: Ledger,
    drains: Drains,
    backends: Backends,
    recorder: Recorder,
    /// `None` where series begin with their first byte.
    at_zero: Option<ShownAtZero>,
    pod_timeout: Duration,
    translated_changed: bool,
    /// There are series of an earlier process, and it is not known yet which of their pods are
    /// still there.
    pods_awaited: bool,
    uncounted: Uncounted,
    covered: Option<Covered>,
}

impl Account {
    /// Knows nothing yet.
    pub fn new(settings: Settings) -> Self {
        let timeouts = Timeouts {
            pod: settings.pod_timeout,
            peer: settings.peer_timeout,
        };
        Self {
            names: Names {
                home: settings.node_name,
                book: Book::default(),
                interfaces: Interfaces::default(),
                networks: Networks::default(),
                networks_since: None,
                egress: Egress::new(settings.source_nat),
                place_services: settings.place_services,
            },
            classes: Classes::default(),
            pending: Pending::new(timeouts),
            hosts: Hosts::new(timeouts),
            ledger: Ledger::new(settings.max_series, settings.detail, settings.retire_after),
            drains: Drains::default(),
            backends: Backends::default(),
            recorder: Recorder::default(),
            at_zero: settings.show_at_zero.then(ShownAtZero::default),
            pod_timeout: settings.pod_timeout,
            translated_changed: false,
            pods_awaited: false,
            uncounted: Uncounted::default(),
            covered: None,
        }
    }

    /// Takes in what the cluster feed says.
    pub fn apply(&mut self, change: Change, now: Instant) {
        if change == Change::ListDone(Kind::Pod) {
            self.pods_awaited = false;
        }
        let BookChanges {
            pod,
            pods_gone,
            nodes_changed,
            services_changed,
        } = self.names.book.apply(change, now);
        for gone in &pods_gone {
            self.names.interfaces.forget(gone);
            self.hosts.forget(gone);
        }
        if let Some(pod) = pod {
            self.learn(&pod);
        }
        self.translated_changed |= nodes_changed || services_changed;
        if nodes_changed {
            self.pending.known(Awaited::Node);
            self.ends_changed();
        }
    }

    /// Takes in a networks file; it holds for what comes from now on.
    pub fn set_networks(&mut self, networks: Networks, now: Instant) {
        self.names.networks = networks;
        self.names.networks_since = Some(now);
        self.ends_changed();
    }

    /// Takes in that an interface came or went.
    pub fn interface(&mut self, change: InterfaceChange, now: Instant) {
        self.names.interfaces.apply(change, now);
    }

    /// Adds a drain that ended at `wall` to the totals: first what was held back before it, then
    /// its own flows. Nothing happens where it was added before.
    pub fn add(&mut self, drain: &Drain, wall: SystemTime) {
        let (instance, epoch) = (drain.instance, drain.epoch);
        if !self.drains.take(DrainId { instance, epoch }) {
            return;
        }
        let at = DrainTime::of(drain, wall);
        self.covered = Some(Covered {
            since: self.covered.map_or(drain.from, |covered| covered.since),
            until: drain.until,
            ended: wall,
        });
        self.ledger.add_totals(drain);
        let held = self.pending.take();
        let new = drain.flows.iter().map(|flow| TimedFlow::new(flow, drain));
        self.names.bind_by_address(held.iter().copied().chain(new));
        for flow in held {
            self.place(&flow, at, None);
        }
        self.recorder.begin(drain, wall);
        for flow in &drain.flows {
            self.place(&TimedFlow::new(flow, drain), at, Some(flow));
        }
        for overflow in &drain.overflow {
            self.place(&TimedFlow::overflow(overflow, drain), at, None);
        }
        self.add_uplinks(drain, at);
        self.record_hosts(drain);
        self.recorder.end(&self.names.interfaces);
        self.show_at_zero(at);
        self.tidy(at);
    }

    /// The addresses for which conntrack must name the other end, if they have changed since this
    /// was asked last.
    pub fn changed_translated(&mut self) -> Option<Translated> {
        std::mem::take(&mut self.translated_changed).then(|| backends::translated(&self.names))
    }

    /// All traffic numbers as of the last drain.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            covered: self.covered,
            pending: self.pending.totals(),
            before_attach: self.names.interfaces.before_attach(),
            zone: self.zone_info(),
            cluster_objects: self.names.book.object_counts(),
            backends: self.backends.totals(),
            ..self.ledger.snapshot()
        }
    }

    /// Whether the flows of drains are written down with their names from now on.
    pub fn record(&mut self, records: bool) {
        self.recorder.records = records;
    }

    /// The flows of the last drain with their names, once.
    pub fn take_recent(&mut self) -> Recent {
        self.recorder.take()
    }

    /// What is known of an address, and what traffic to it from this node is.
    pub fn explain(&self, address: IpAddr, now: Instant) -> Explanation {
        explain::explain(&self.names, address, now)
    }

    /// The same for whatever people have in hand.
    pub fn answer(&self, asked: &Asked, now: Instant) -> Answered {
        let mut answered = explain::answer(&self.names, asked, now);
        if let Asked::Name(name) = asked {
            self.add_hosts_named(name, &mut answered, now);
        }
        answered
    }

    /// The pod behind an interface, once known.
    pub fn pod_behind(&self, interface: u32) -> Option<&Name> {
        let pod = self.names.interfaces.pod(interface)?;
        Some(&pod.object.name)
    }

    /// One flow: resolve, classify, hold back or add. What came of it is written down for people
    /// where it is `new` and somebody looks.
    fn place(&mut self, flow: &TimedFlow, at: DrainTime, new: Option<&Flow>) {
        let Resolved { pod, peer, awaited } = self.names.resolve(flow);
        let exit = self.names.exit(flow, peer);
        let known = self.classes.classify(&self.names, peer, exit);
        let service = backends::service(&self.names, flow);
        let pending = awaited.is_some_and(|awaited| self.pending.hold(flow, awaited, at.now));
        match pod {
            _ if pending => {}
            None => self.ledger.add_unattributed(
                Reason::UnknownPod,
                flow.flow.direction,
                flow.flow.count,
            ),
            Some(pod) => {
                if service.is_some() {
                    self.backends.count(flow, peer);
                }
                let class = self.classes.get(known.class);
                let labels = || labels(&self.names, &pod.object, flow.flow.direction, class);
                let key = (pod.id, known.class, flow.flow.direction);
                self.ledger.add(key, flow.flow.count, at, labels);
            }
        }
        let Some(new) = new.filter(|_| self.recorder.records) else {
            return;
        };
        let Class { scope, via, .. } = *self.classes.get(known.class);
        let local = |pod| {
            let pod = self
                .classes
                .classify(&self.names, Peer::Pod(pod), Exit::default());
            pod.party
        };
        let placed = FlowOutcome {
            scope,
            via,
            local: pod.map(local),
            peer: known.party,
            peer_address: flow.flow.peer,
            service: service.cloned(),
            pending,
        };
        self.recorder.add(new, placed);
    }

    fn learn(&mut self, pod: &Arc<Entry<Pod>>) {
        let object = &pod.object;
        let is_here = object.node.as_ref() == Some(&self.names.home);
        if is_here && !object.finished {
            self.hosts.learn(pod);
        } else {
            self.hosts.forget(pod);
        }
        if is_here && !object.host_network {
            self.names.interfaces.learn(pod);
        } else {
            self.names.interfaces.forget(pod);
        }
        if let Some(source_nat) = &object.source_nat
            && is_here
            && self.names.egress.learn(source_nat)
        {
            self.ends_changed();
        }
        for address in &object.addresses {
            self.pending.known(Awaited::Peer(*address));
        }
    }

    fn show_at_zero(&mut self, at: DrainTime) {
        let new = self.at_zero.as_mut().map(|shown| shown.next(&self.names));
        for labels in new.unwrap_or_default() {
            self.ledger.show_at_zero(labels, at);
        }
    }

    /// Lets go of what time has made useless, so that there is room for others.
    fn tidy(&mut self, at: DrainTime) {
        let now = at.now;
        let mut live = Live::default();
        for pod in self
            .names
            .interfaces
            .pods()
            .map(|pod| &pod.object)
            .filter(|pod| !pod.finished)
        {
            let Name { namespace, name } = &pod.name;
            live.pods.insert((namespace, name));
            live.workloads.insert((namespace, &pod.workload));
        }
        live.hosts = self.hosts.living();
        if !self.pods_awaited {
            self.ledger.retire(now, &live);
        }
        self.hosts.prune(now);
        self.pending.prune(now);
        let oldest = self.pending.oldest().into_iter().chain(self.hosts.oldest());
        self.names.book.prune(now, oldest.min());
        let held = |interface| self.pending.holds(interface);
        self.names.interfaces.prune(now, self.pod_timeout, held);
        if self.classes.is_full() {
            self.forget_classes();
        }
    }

    /// Zones, networks or ways out have changed: what comes from now on may have other labels.
    fn ends_changed(&mut self) {
        self.names.look_up_egress();
        self.at_zero.iter_mut().for_each(ShownAtZero::clear);
        self.forget_classes();
    }

    fn forget_classes(&mut self) {
        self.classes.clear();
        self.ledger.forget_routes();
    }

    fn zone_info(&self) -> Option<ZoneInfo> {
        let node = self.names.book.node(&self.names.home)?;
        Some(ZoneInfo {
            node: Arc::clone(&node.name),
            zone: node.zone.clone().unwrap_or_default(),
            zone_id: node.zone_id.clone().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
