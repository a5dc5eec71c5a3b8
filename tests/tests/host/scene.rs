//! A node whose own bytes are counted, and what the wire and the metrics say of them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use zonemeter_lab::{
    Agent, AgentPlan, Count, HostGroups, Lab, Metrics, Node, Plan, Pod, PodPlan, ServicePlan, Way,
};

pub(super) const CONTAINERD: &str = "system.slice/containerd.service";
pub(super) const KUBELET: &str = "system.slice/kubelet.service";
pub(super) const PROXY: &str = "kube-system/proxy";
pub(super) const SERVICE: &str = "10.100.7.7";
pub(super) const WITHIN: Duration = Duration::from_secs(30);
/// What a connection that its end has closed first may send and receive with no socket of its own
/// any more (TIME_WAIT): a FIN and its acknowledgement, and acknowledgements that another CPU
/// delivers only after them. The sums have these packets as the kernel's.
pub(super) const AFTER_THE_END: u64 = 8;

/// A lab, the cgroups of its node `a1`, and what was there before the test's traffic.
pub(super) struct Scene {
    pub(super) lab: Lab,
    pub(super) groups: HostGroups,
    pub(super) agent: Agent,
    pub(super) before: Passed,
}

/// Tells a thread to end, when a test fails, too.
pub(super) struct Ends<'a>(pub(super) &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What passed the uplinks of `a1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) sent: Count,
    pub(super) received: Count,
}

impl Passed {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            sent: self.sent - before.sent,
            received: self.received - before.received,
        }
    }
}

pub(super) fn plan(name: &str) -> Plan {
    let service = ServicePlan::new("default", "api", SERVICE.parse().unwrap());
    Plan::new(name)
        .pod(PodPlan::new("default", "a", "a1"))
        .pod(PodPlan::new("default", "same-zone", "a2"))
        .pod(PodPlan::new("default", "other-zone", "b1"))
        .host_pod(PodPlan::new("kube-system", "proxy", "a1"))
        .service(service)
}

/// What the agent of `a1` is started with.
pub(super) fn counting_hosts(plan: AgentPlan, groups: &HostGroups) -> AgentPlan {
    plan.flag("--uplink", "eth*")
        .flag("--cgroup-dir", groups.directory())
        .flag("--interval", "100ms")
}

/// The cgroup of the container of a pod of the host's network.
pub(super) fn container_of(lab: &Lab, key: &str) -> String {
    let uid = lab.pod_uid(key).unwrap().replace('-', "_");
    format!(
        "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid}.slice/cri-0a.scope"
    )
}

impl Scene {
    pub(super) fn raise(plan: Plan, finish: impl Fn(AgentPlan) -> AgentPlan) -> Self {
        let lab = Lab::raise(plan).unwrap();
        let groups = HostGroups::new(&lab.name()).unwrap();
        for path in [CONTAINERD, KUBELET, &container_of(&lab, PROXY)] {
            groups.add(path).unwrap();
        }
        let agent = finish(counting_hosts(lab.agent("a1").unwrap(), &groups));
        let mut agent = agent.start_ready().unwrap();
        agent
            .wait_until(WITHIN, |metrics| {
                metrics.sum("zonemeter_host_cgroups", &[("state", "linked")]) >= 2
                    && metrics.sum("zonemeter_uplinks", &[]) == 2
            })
            .unwrap();
        let before = Self::quiet(&lab, &mut agent);
        Self {
            lab,
            groups,
            agent,
            before,
        }
    }

    /// How much more the wire has carried than the agent says, in both directions, once neither
    /// changes: what passed before the programs were there.
    pub(super) fn quiet(lab: &Lab, agent: &mut Agent) -> Passed {
        let deadline = Instant::now() + WITHIN;
        loop {
            let first = wire(lab);
            let shown = passed(&agent.settled().unwrap());
            if wire(lab) == first {
                return first.since(shown);
            }
            assert!(Instant::now() < deadline, "the uplinks are never quiet");
        }
    }

    pub(super) fn node(&self) -> Node {
        self.lab.node("a1").unwrap()
    }

    pub(super) fn pod(&self, name: &str) -> Pod {
        self.lab.pod(&format!("default/{name}")).unwrap()
    }

    /// Waits until so many cgroups are linked; the sums hold at each scrape.
    pub(super) fn links_to(&mut self, cgroups: u64) {
        let are_there = |metrics: &Metrics| {
            check_host_family(metrics);
            linked(metrics) == cgroups
        };
        self.agent.wait_until(WITHIN, are_there).unwrap();
    }

    /// Scrapes until the classes make up what the wire carried.
    pub(super) fn exact(&mut self) -> Metrics {
        let deadline = Instant::now() + WITHIN;
        loop {
            let metrics = self.agent.settled().unwrap();
            check_host_family(&metrics);
            let (shown, wire) = (passed(&metrics), wire(&self.lab).since(self.before));
            if shown == wire {
                return metrics;
            }
            assert!(
                Instant::now() < deadline,
                "the uplinks carried {wire:?}, the classes are {shown:?}: {:#?}",
                metrics
                    .select("zonemeter_uplink_bytes_total", &[])
                    .collect::<Vec<_>>()
            );
        }
    }
}

/// Cgroups that are linked.
pub(super) fn linked(metrics: &Metrics) -> u64 {
    metrics.sum("zonemeter_host_cgroups", &[("state", "linked")])
}

/// All that the router saw of the uplinks of `a1`.
pub(super) fn wire(lab: &Lab) -> Passed {
    let truth = lab.uplink_truth().unwrap();
    let of = |way| {
        let records = truth.pairs.iter().filter(|record| record.way == way);
        let records = records.filter(|record| {
            let link = record.link.as_deref().unwrap_or_default();
            // Of its cards, and of branch ENIs.
            link.starts_with("up-a1-") || link.starts_with("up-a1.")
        });
        zonemeter_lab::count(records)
    };
    Passed {
        sent: of(Way::Arrived),
        received: of(Way::Delivered),
    }
}

pub(super) fn passed(metrics: &Metrics) -> Passed {
    let of = |direction| Count {
        bytes: metrics.sum("zonemeter_uplink_bytes_total", &[("direction", direction)]),
        packets: metrics.sum(
            "zonemeter_uplink_packets_total",
            &[("direction", direction)],
        ),
    };
    Passed {
        sent: of("transmit"),
        received: of("receive"),
    }
}

pub(super) fn class(metrics: &Metrics, direction: &str, class: &str) -> u64 {
    let labels = [("direction", direction), ("class", class)];
    metrics.sum("zonemeter_uplink_bytes_total", &labels)
}

/// What was sent as host and kernel, and received as host, is in the host family.
pub(super) fn check_host_family(metrics: &Metrics) {
    for unit in ["bytes", "packets"] {
        for direction in ["transmit", "receive"] {
            let of = |name: &str| {
                metrics.sum(
                    &format!("zonemeter_{name}_{unit}_total"),
                    &[("direction", direction)],
                )
            };
            let of_class = |class| {
                let labels = [("direction", direction), ("class", class)];
                metrics.sum(&format!("zonemeter_uplink_{unit}_total"), &labels)
            };
            let mut classes = of_class("host");
            if direction == "transmit" {
                classes += of_class("kernel");
            }
            assert_eq!(
                of("host") + of("host_retired"),
                classes,
                "{unit} {direction}"
            );
        }
    }
}

/// Bytes of cgroups that nobody saw alive.
pub(super) fn unknown(metrics: &Metrics) -> u64 {
    metrics.sum("zonemeter_host_bytes_total", &[("workload", "unknown")])
}

/// What somebody on the node sent and received, with a peer.
pub(super) fn of_host(metrics: &Metrics, who: (&str, &str), peer: &str) -> [Count; 2] {
    ["transmit", "receive"].map(|direction| {
        let labels = [who, ("peer_workload", peer), ("direction", direction)];
        Count {
            bytes: metrics.sum("zonemeter_host_bytes_total", &labels),
            packets: metrics.sum("zonemeter_host_packets_total", &labels),
        }
    })
}

/// Equal but for what connections that are at their end sent and received.
pub(super) fn assert_nearly(shown: Count, wire: Count, connections: u64, what: &str) {
    let most = AFTER_THE_END * connections;
    assert!(
        shown.packets <= wire.packets
            && shown.packets + most >= wire.packets
            && shown.bytes <= wire.bytes
            && shown.bytes + most * 72 >= wire.bytes,
        "{what}: shown {shown:?}, wire {wire:?}"
    );
}
