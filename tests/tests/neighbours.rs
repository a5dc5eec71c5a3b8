//! One pod against the others: what it does to the flow map, to the names that are waited for, to
//! the series and to the connection table costs its own detail and nobody else's.
//!
//! Flags scale each attack down, so that it takes seconds. With `ZONEMETER_FULL_SIZE` set they run
//! at their full size against the defaults; `cargo xtask bench neighbours` does that with a
//! release build, and `--write` records it in `docs/fairness.md`.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]
#![expect(clippy::print_stdout, reason = "what others got, for whoever compares")]

#[path = "neighbours/attack.rs"]
mod attack;

use std::{
    env, fs,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use attack::{Attack, DATAGRAM};

use zonemeter_lab::{
    Agent, AgentPlan, Lab, Metrics, NodePlan, Owner, Plan, Pod, PodPlan, SILENCE, ServicePlan,
    Transport,
    address::Zone,
    traffic::{self, Datagrams},
};

const PORT: u16 = 7000;
const CLUSTER_IP: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 60);
/// Addresses of the VPC that no node of the lab has: 192.168.96.0 and what follows.
const UNUSED: ([&str; 2], u32) = (["192.168.96.0/19", "192.168.128.0/17"], 40_960);
/// Addresses of the internet that the lab does not have.
const OUTSIDE: &str = "11.0.0.0/8";
const PATIENCE: Duration = Duration::from_secs(30);

fn is_full_size() -> bool {
    env::var_os("ZONEMETER_FULL_SIZE").is_some()
}

/// At full size, or scaled down.
fn size<T>(full: T, scaled_down: T) -> T {
    if is_full_size() { full } else { scaled_down }
}

/// An attacker and a victim on node `a1`, whom the victim talks to on `b1`, and `a1`'s agent.
struct Scene {
    lab: Lab,
    agent: Agent,
    attacker: Pod,
    victim: Pod,
    server: Pod,
    before: Metrics,
}

impl Scene {
    fn raise(name: &str, flags: &[(&str, &str)]) -> Self {
        let owner = |name: &str| Owner::Deployment(name.to_owned());
        let pod = |name: &str, node: &str| PodPlan::new("default", name, node).owner(owner(name));
        let plan = Plan::empty(name)
            .without_flow_truth()
            .node(NodePlan::new("a1", Zone::A).single_eni())
            .node(NodePlan::new("b1", Zone::B).single_eni());
        let plan = plan.pod(pod("attacker", "a1")).pod(pod("victim", "a1"));
        let mut lab = Lab::raise(plan.pod(pod("server", "b1"))).unwrap();
        let [attacker, victim, server] = ["attacker", "victim", "server"]
            .map(|name| lab.pod(&format!("default/{name}")).unwrap());
        let service = ServicePlan::new("default", "service", CLUSTER_IP.into());
        let service = service.port(Transport::Udp, PORT, PORT);
        lab.add_service(service.backend(server.address())).unwrap();
        let node = lab.node("a1").unwrap();
        for range in [UNUSED.0[0], UNUSED.0[1], OUTSIDE] {
            // What is sent there goes no further than the node.
            let mut ip = node.namespace().command("ip");
            let done = ip.args(["route", "replace", "blackhole", range]).status();
            assert!(done.unwrap().success());
        }
        let plan = lab.agent("a1").unwrap().without("--state-dir");
        let set = |plan: AgentPlan, (name, value): &(&str, &str)| plan.flag(name, *value);
        let plan = match is_full_size() {
            true => plan,
            false => flags.iter().fold(plan.flag("--interval", "200ms"), set),
        };
        let mut agent = plan.start_ready().unwrap();
        quiet(&[&attacker, &victim]);
        let before = agent.settled().unwrap();
        Self {
            lab,
            agent,
            attacker,
            victim,
            server,
            before,
        }
    }

    /// The victim sends to the server until the attack is over: 20 datagrams at a time from a
    /// socket of their own.
    fn talk_until_over(&self, attack: &Attack) {
        let to = SocketAddr::new(self.server.address(), PORT + 1);
        while !attack.is_over() {
            let (from, at) = (self.victim.namespace(), self.server.namespace());
            traffic::udp_send(from, at, to, Datagrams::new(20, 1000)).unwrap();
        }
    }

    /// A new pod of the attacked node and a new peer of it come while the attack goes on, both
    /// with their objects `late`: each byte gets both names. Returns how long the veth waited.
    fn newcomers(&mut self, number: u32, late: Duration) -> Duration {
        let plan = |kind: &str, node: &str| {
            let name = format!("{kind}-{number}");
            PodPlan::new("default", &name, node).owner(Owner::Deployment(name.clone()))
        };
        let there = |metrics: &Metrics| metrics.sum("zonemeter_interfaces", &[]);
        let interfaces = there(&self.agent.scrape().unwrap());
        let new = self.lab.wire_pod(plan("new", "a1")).unwrap();
        let wired = Instant::now();
        let attached = |metrics: &Metrics| there(metrics) > interfaces;
        self.agent.wait_until(PATIENCE, attached).unwrap();
        let attached = wired.elapsed();
        let peer = self.lab.wire_pod(plan("peer", "b1")).unwrap();
        for to in [&peer, &self.server] {
            let server = SocketAddr::new(to.address(), PORT + 2);
            let what = Datagrams::new(50, 1000);
            traffic::udp_send(new.namespace(), to.namespace(), server, what).unwrap();
        }
        thread::sleep(late);
        self.lab.announce(&new).unwrap();
        self.lab.announce(&peer).unwrap();
        for to in [peer, self.server.clone()] {
            let wire = self.lab.between(new.address(), to.address()).unwrap();
            let (new, to) = (new.name(), to.name());
            let named = |metrics: &Metrics| pair(metrics, new, to) == wire.bytes;
            if let Err(error) = self.agent.wait_until(PATIENCE, named) {
                let metrics = self.agent.scrape().unwrap();
                let labels = [("workload", new)];
                let shown = metrics.select("zonemeter_workload_bytes_total", &labels);
                let shown: Vec<_> = shown.map(ToString::to_string).collect();
                panic!("{new} to {to}, {wire:?}: {shown:#?}\n{error:#}");
            }
        }
        attached
    }

    /// Whoever attacks, nothing is without its pod, and the victim's and the attacker's bytes are
    /// theirs. Returns the last scrape.
    fn check(&mut self, sent_by_attacker: u64) -> Metrics {
        let wire = self
            .lab
            .between(self.victim.address(), self.server.address());
        let wire = wire.unwrap().bytes;
        let before = self.before.clone();
        let since = |metrics: &Metrics, pod: &str| of(metrics, pod) - of(&before, pod);
        let metrics = self
            .agent
            .wait_until(PATIENCE, |metrics| {
                since(metrics, "attacker") >= sent_by_attacker && since(metrics, "victim") >= wire
            })
            .unwrap();
        assert_eq!(since(&metrics, "attacker"), sent_by_attacker);
        assert_eq!(since(&metrics, "victim"), wire);
        let nobody = |metrics: &Metrics| metrics.sum("zonemeter_unattributed_bytes_total", &[]);
        assert_eq!(nobody(&metrics), nobody(&before), "nothing is nobody's");
        metrics
    }

    /// A row of the table in `docs/fairness.md`.
    fn record(&self, attack: &str, metrics: &Metrics, attached: Option<Duration>) {
        let with_peer = pair(metrics, "victim", "server") as f64;
        let all = (of(metrics, "victim") - of(&self.before, "victim")) as f64;
        let drains = "zonemeter_drain_duration_seconds";
        let value = |metrics: &Metrics, what: &str| {
            metrics.value(&format!("{drains}_{what}"), &[]).unwrap()
        };
        let since = |what: &str| value(metrics, what) - value(&self.before, what);
        let row = format!(
            " 100 % | {:.1} % | 100 % | {} | {:.0} ms |\n",
            100.0 * with_peer / all,
            attached.map_or("–".to_owned(), |took| format!(
                "{:.0} ms",
                took.as_secs_f64() * 1e3
            )),
            1e3 * since("sum") / since("count"),
        );
        println!("{attack}: {row}");
        if is_full_size() && env::var_os("ZONEMETER_UPDATE_DOCS").is_some() {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/fairness.md");
            let document = fs::read_to_string(file).unwrap();
            let is_it = |line: &&str| line.starts_with(&format!("| {attack}: "));
            let old = document.split_inclusive('\n').find(is_it).unwrap();
            // The attack and what it did before stay.
            let kept: String = old.split_inclusive('|').take(3).collect();
            fs::write(file, document.replace(old, &(kept + &row))).unwrap();
        }
    }
}

/// All bytes that the pod sent, the kernel's own multicast apart.
fn of(metrics: &Metrics, pod: &str) -> u64 {
    let labels = [("pod", pod), ("direction", "transmit")];
    let all = metrics.sum("zonemeter_pod_bytes_total", &labels);
    let multicast = [labels[0], labels[1], ("scope", "link_local")];
    all - metrics.sum("zonemeter_pod_bytes_total", &multicast)
}

/// What a workload sent to another one, by its series.
fn pair(metrics: &Metrics, workload: &str, peer: &str) -> u64 {
    let labels = [
        ("workload", workload),
        ("peer_workload", peer),
        ("direction", "transmit"),
    ];
    metrics.sum("zonemeter_workload_bytes_total", &labels)
}

/// Waits until the pods' own chatter at start is over.
fn quiet(pods: &[&Pod]) {
    let sent = || {
        let of = |pod: &&Pod| pod.interface_count().unwrap().received.packets;
        pods.iter().map(of).sum::<u64>()
    };
    let deadline = Instant::now() + PATIENCE;
    let mut last = sent();
    loop {
        thread::sleep(SILENCE);
        let now = sent();
        if now == last {
            return;
        }
        assert!(Instant::now() < deadline, "the pods do not fall silent");
        last = now;
    }
}

#[test]
fn a_pod_that_sprays_addresses_takes_no_byte_from_others() {
    spray("spray", "tcx");
}

#[test]
fn a_pod_that_sprays_addresses_takes_no_byte_from_others_with_tc() {
    // How programs are attached is the same to tables of any size.
    if !is_full_size() {
        spray("spray-tc", "tc");
    }
}

/// More addresses than there is room for: the pod loses its own detail, and nobody a byte.
fn spray(name: &str, mode: &str) {
    let flags = [("--max-flows", "256"), ("--attach", mode)];
    let mut scene = Scene::raise(name, &flags);
    let rate = size((4_000_000, 52_000), (60_000, 40_000));
    let attack = Attack::on_addresses(&scene.attacker, Ipv4Addr::new(11, 0, 0, 0), rate);
    scene.talk_until_over(&attack);
    let metrics = scene.check(attack.join());
    assert!(
        pair(&metrics, "attacker", "other") > 0,
        "more than one may take"
    );
    assert_eq!(pair(&metrics, "victim", "other"), 0, "others keep theirs");
    scene.record("spray", &metrics, None);
    // What comes afterwards has its peer.
    let before = pair(&metrics, "victim", "server");
    let to = SocketAddr::new(scene.server.address(), PORT + 1);
    let (from, at) = (scene.victim.namespace(), scene.server.namespace());
    traffic::udp_send(from, at, to, Datagrams::new(100, 1000)).unwrap();
    let named = |metrics: &Metrics| pair(metrics, "victim", "server") == before + 102_800;
    scene.agent.wait_until(PATIENCE, named).unwrap();
}

/// Addresses that nobody has, where pods could be. While they are waited for, and after they were
/// given up with some more each second, others' names are waited for as always.
#[test]
fn a_pod_that_scans_takes_no_name_from_others() {
    let mut scene = Scene::raise("scan", &[]);
    let late = size(Duration::from_secs(3), Duration::from_millis(600));
    let first = Ipv4Addr::new(192, 168, 96, 0);
    // Half of the places are for one interface at most: 16,384.
    let rate = size((40_000, 1_500), (20_000, 40_000));
    let scan = Attack::on_addresses(&scene.attacker, first, rate);
    scene.talk_until_over(&scan);
    let mut sent = scan.join();
    let trickle_from = Ipv4Addr::from_bits(first.to_bits() + rate.0 as u32);
    let rest = u64::from(UNUSED.1) - rate.0;
    let trickle = Attack::on_addresses(&scene.attacker, trickle_from, (rest, 27));
    scene.newcomers(0, late);
    let waits = |metrics: &Metrics| {
        metrics.sum("zonemeter_pending_bytes", &[("direction", "transmit")]) / DATAGRAM
    };
    let given_up = |metrics: &Metrics| waits(metrics) < 1_000;
    scene.agent.wait_until(PATIENCE, given_up).unwrap();
    let attached = scene.newcomers(1, late);
    sent += trickle.stop();
    let metrics = scene.check(sent);
    scene.record("scan", &metrics, Some(attached));
}

/// More peer workloads than there are series: the attacker's are folded, and new pods and pairs
/// get theirs.
#[test]
fn a_pod_with_many_peers_takes_no_series_from_others() {
    let mut scene = Scene::raise("pairs", &[("--max-series", "400")]);
    let peers = size(18_500, 400);
    let first = Ipv4Addr::new(192, 168, 96, 0);
    let addresses = (0..peers).map(|n| Ipv4Addr::from_bits(first.to_bits() + n).into());
    scene.lab.crowd(addresses).unwrap();
    let known = |metrics: &Metrics| {
        let pods = [("kind", "Pod")];
        metrics.sum("zonemeter_cluster_objects", &pods) >= u64::from(peers)
    };
    scene.agent.wait_until(PATIENCE, known).unwrap();
    let rate = (u64::from(peers), size(300, 400));
    let attack = Attack::on_addresses(&scene.attacker, first, rate);
    scene.talk_until_over(&attack);
    let attached = scene.newcomers(0, Duration::ZERO);
    scene.newcomers(1, Duration::ZERO);
    let metrics = scene.check(attack.join());
    assert!(
        pair(&metrics, "attacker", "other") > 0,
        "more than there are series"
    );
    scene.record("pairs", &metrics, Some(attached));
}

/// A Service from more and more ports: each is asked about, and each byte, the attacker's too, is
/// named by its backend.
#[test]
fn a_pod_that_takes_port_after_port_to_a_service_delays_nobody() {
    let mut scene = Scene::raise("ports", &[]);
    let sink = scene.server.namespace();
    let sink = sink.run(|| UdpSocket::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT))));
    let _never_read = sink.unwrap().unwrap();
    let rate = (size(300_000, 15_000), 5_200);
    let attack = Attack::start(&scene.attacker, rate, |n| {
        let port = 10_000 + (n % 50_000) as u16;
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
        socket.send_to(&[0x5a; 64], (CLUSTER_IP, PORT)).map(drop)
    });
    let attached = scene.newcomers(0, Duration::ZERO);
    assert!(attached < Duration::from_secs(2), "{attached:?}");
    scene.talk_until_over(&attack);
    let metrics = scene.check(attack.join());
    let wire = scene
        .lab
        .between(scene.attacker.address(), scene.server.address());
    assert_eq!(pair(&metrics, "attacker", "server"), wire.unwrap().bytes);
    scene.record("ports", &metrics, Some(attached));
}
