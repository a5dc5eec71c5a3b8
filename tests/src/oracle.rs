//! What `/metrics` must show, worked out from wire truth and the lab's own plan: written apart
//! from the agent, whose code it never calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    agent::Agent,
    lab::Lab,
    metrics::{Metrics, Sample},
    pod::Pod,
    truth::{Count, Truth},
};

/// Neighbour discovery and multicast reports come and go by themselves and never leave the link.
const BACKGROUND: &str = "link_local";

/// The labels of one series of the pod family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// `namespace/pod`
    pub pod: String,
    /// The pod's zone.
    pub zone: String,
    /// `transmit` or `receive`
    pub direction: String,
    /// The class of traffic.
    pub scope: String,
    /// The peer's zone, or nothing.
    pub peer_zone: String,
}

/// Counts by series.
pub type Traffic = BTreeMap<Series, Count>;

/// Pods with the hosts of the internet that they alone, of all pods on their node, talk to:
/// behind the node's source NAT the host is what tells pods apart.
pub type InternetPairs = [(Pod, IpAddr)];

/// What the pods' series must show by now.
pub fn expected(lab: &Lab, internet: &InternetPairs) -> Result<Traffic> {
    let uplinks = lab.uplink_truth()?;
    let mut traffic = Traffic::new();
    let mut inside = BTreeMap::new();
    for pod in lab.pods() {
        inside.insert(pod.key(), lab.pod_truth(pod)?);
    }
    for from in lab.pods() {
        for to in lab.pods().iter().filter(|to| to.key() != from.key()) {
            let count = between(from, to, &uplinks, &inside[&to.key()]);
            let scope = scope(from, to);
            add(
                &mut traffic,
                from,
                "transmit",
                scope,
                to.node().zone().name(),
                count,
            );
            add(
                &mut traffic,
                to,
                "receive",
                scope,
                from.node().zone().name(),
                count,
            );
        }
    }
    for (pod, host) in internet {
        let own = pod.address_outside(host.is_ipv4())?;
        let sent = uplinks.arrived(own, *host);
        let got = pod
            .every_address()
            .into_iter()
            .map(|ip| inside[&pod.key()].arrived(*host, ip))
            .sum();
        add(&mut traffic, pod, "transmit", "internet", "", sent);
        add(&mut traffic, pod, "receive", "internet", "", got);
    }
    Ok(traffic)
}

/// What a scrape's pod series show, without [`BACKGROUND`] and without zeros.
pub fn shown(metrics: &Metrics) -> Traffic {
    let mut traffic = Traffic::new();
    for sample in metrics.select("zonemeter_pod_bytes_total", &[]) {
        traffic.entry(series(sample)).or_default().bytes += sample.value as u64;
    }
    for sample in metrics.select("zonemeter_pod_packets_total", &[]) {
        traffic.entry(series(sample)).or_default().packets += sample.value as u64;
    }
    traffic.retain(|series, count| *count != Count::default() && series.scope != BACKGROUND);
    traffic
}

/// Waits until all agents together show exactly what went over the wires, and still do after
/// two more drains. The truth is read anew each time: connections end after their last byte.
pub fn wait_exact(lab: &Lab, agents: &mut [Agent], internet: &InternetPairs) -> Result<Traffic> {
    wait_exact_but(lab, agents, internet, &[])
}

/// [`wait_exact`] for all pods but those of these keys, whatever their series show.
pub fn wait_exact_but(
    lab: &Lab,
    agents: &mut [Agent],
    internet: &InternetPairs,
    but: &[String],
) -> Result<Traffic> {
    let is_asked = |series: &Series| !but.contains(&series.pod);
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut exact_before = false;
    loop {
        let mut wanted = expected(lab, internet)?;
        let mut found = Traffic::new();
        for metrics in Agent::all_settled(agents)? {
            found.extend(shown(&metrics));
        }
        wanted.retain(|series, _| is_asked(series));
        found.retain(|series, _| is_asked(series));
        let exact = wanted == found;
        if exact && exact_before {
            return Ok(found);
        }
        if !exact && Instant::now() > deadline {
            bail!(
                "metrics differ from the wire:\n{}",
                Difference { wanted, found }
            );
        }
        exact_before = exact;
        thread::sleep(Duration::from_millis(50));
    }
}

/// Fails unless the sum over workload series equals the sum over pod series, which holds while
/// nothing was folded or retired.
pub fn check_families(metrics: &Metrics) -> Result<()> {
    for direction in ["transmit", "receive"] {
        let sum = |family: &str| {
            metrics.sum(
                &format!("zonemeter_{family}_bytes_total"),
                &[("direction", direction)],
            )
        };
        let (pods, workloads) = (sum("pod"), sum("workload"));
        if pods != workloads {
            bail!("{direction}: pods sum to {pods}, workloads to {workloads}");
        }
    }
    Ok(())
}

fn between(from: &Pod, to: &Pod, uplinks: &Truth, at_receiver: &Truth) -> Count {
    let same_node = from.node().name() == to.node().name();
    let truth = if same_node { at_receiver } else { uplinks };
    let mut sum = Count::default();
    for source in from.every_address() {
        for destination in to.every_address() {
            sum = sum + truth.arrived(source, destination);
        }
    }
    sum
}

fn scope(one: &Pod, other: &Pod) -> &'static str {
    let (one, other) = (one.node(), other.node());
    match (one.name() == other.name(), one.zone() == other.zone()) {
        (true, _) => "intra_node",
        (false, true) => "intra_zone",
        (false, false) => "cross_zone",
    }
}

fn add(
    traffic: &mut Traffic,
    pod: &Pod,
    direction: &str,
    scope: &str,
    peer_zone: &str,
    count: Count,
) {
    if count == Count::default() {
        return;
    }
    let series = Series {
        pod: pod.key(),
        zone: pod.node().zone().name().to_owned(),
        direction: direction.to_owned(),
        scope: scope.to_owned(),
        peer_zone: peer_zone.to_owned(),
    };
    let entry = traffic.entry(series).or_default();
    *entry = *entry + count;
}

fn series(sample: &Sample) -> Series {
    Series {
        pod: format!("{}/{}", sample.label("namespace"), sample.label("pod")),
        zone: sample.label("zone").to_owned(),
        direction: sample.label("direction").to_owned(),
        scope: sample.label("scope").to_owned(),
        peer_zone: sample.label("peer_zone").to_owned(),
    }
}

struct Difference {
    wanted: Traffic,
    found: Traffic,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: BTreeSet<_> = self.wanted.keys().chain(self.found.keys()).collect();
        for key in keys {
            let of = |traffic: &Traffic| traffic.get(key).copied().unwrap_or_default();
            let (wanted, found) = (of(&self.wanted), of(&self.found));
            let mark = if wanted == found { "  " } else { "! " };
            let Series {
                pod,
                direction,
                scope,
                peer_zone,
                ..
            } = key;
            writeln!(
                formatter,
                "{mark}{pod} {direction} {scope} {peer_zone}: wire {} B {} p, metrics {} B {} p",
                wanted.bytes, wanted.packets, found.bytes, found.packets
            )?;
        }
        Ok(())
    }
}
