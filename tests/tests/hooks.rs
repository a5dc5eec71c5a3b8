//! Others on the hooks: whoever comes, goes and comes back, every packet is counted one second
//! later at most, and nobody's verdict changes.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]
#![expect(
    clippy::print_stdout,
    reason = "what was measured stands in docs/hooks.md"
)]

use std::{
    net::{SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use zonemeter_lab::{
    Agent, Count, Lab, Metrics, NodePlan, Plan, Pod, PodPlan,
    address::Zone,
    foreign::{Hook, PolicyAgent, Program, Tcx, Verdict, add_filter, pin, tc},
    traffic::{self, Datagrams},
};

/// The port that policies of these tests drop.
const DROPPED: u16 = 7999;
/// The port that nobody minds.
const PASSED: u16 = 7000;
/// Within which a change must be over.
const ONE_SECOND: Duration = Duration::from_secs(1);

/// One pod that everything happens to, one beside it, one in another zone.
struct Scene {
    lab: Lab,
    client: Pod,
    far: Pod,
}

impl Scene {
    fn raise(name: &str) -> Self {
        let plan = Plan::empty(name)
            .node(NodePlan::new("a1", Zone::A).single_eni())
            .node(NodePlan::new("b1", Zone::B).single_eni())
            .pod(PodPlan::new("default", "client", "a1"))
            .pod(PodPlan::new("default", "near", "a1"))
            .pod(PodPlan::new("default", "far", "b1"));
        let lab = Lab::raise(plan).unwrap();
        let (client, far) = (lab.pod("default/client"), lab.pod("default/far"));
        Self {
            client: client.unwrap(),
            far: far.unwrap(),
            lab,
        }
    }

    fn agent(&self, mode: &str) -> Agent {
        let plan = self.lab.agent("a1").unwrap().flag("--interval", "100ms");
        plan.flag("--attach", mode).start_ready().unwrap()
    }

    /// Known numbers of datagrams in both directions, some of which the policy drops: all are
    /// counted, and those and only those that pass arrive.
    fn is_exact(&self, agent: &mut Agent, policy: bool) {
        let before = counted(&agent.settled().unwrap());
        for (from, to) in [(&self.client, &self.far), (&self.far, &self.client)] {
            let (from_ns, to_ns) = (from.namespace(), to.namespace());
            let at = |port| SocketAddr::new(to.address(), port);
            traffic::udp_send(from_ns, to_ns, at(PASSED), Datagrams::new(100, 1000)).unwrap();
            if policy {
                let arrived = || self.arrived(from, to, DROPPED);
                let earlier = arrived();
                let dropped = Datagrams::new(50, 1000);
                traffic::udp_send_only(from_ns, at(DROPPED), dropped).unwrap();
                // What would have passed would be there before this.
                traffic::udp_send(from_ns, to_ns, at(PASSED), Datagrams::new(1, 1000)).unwrap();
                assert_eq!(arrived(), earlier, "the policy's verdict changed");
            }
        }
        let after = counted(&agent.settled().unwrap());
        let datagrams = if policy { 151 } else { 100 };
        let sent = Count {
            bytes: datagrams * 1028,
            packets: datagrams,
        };
        assert_eq!([after[0] - before[0], after[1] - before[1]], [sent; 2]);
    }

    /// Datagrams to `port` that reached the pod.
    fn arrived(&self, from: &Pod, to: &Pod, port: u16) -> Count {
        let truth = self.lab.pod_truth(to).unwrap();
        let these = truth.flows.iter().filter(|record| {
            record.source == from.address() && record.ports.is_some_and(|(_, at)| at == port)
        });
        zonemeter_lab::count(these)
    }

    /// Sends from the pod all the while, makes `change`, and returns how many packets were not
    /// counted. All that was sent later than one second after the change must be.
    fn during(&self, agent: &mut Agent, what: &str, change: impl FnOnce()) -> u64 {
        let before = counted(&agent.settled().unwrap())[0].packets;
        let carried = self.client.interface_count().unwrap().received.packets;
        let server = SocketAddr::new(self.far.address(), PASSED + 1);
        let _sink = self
            .far
            .namespace()
            .run(|| UdpSocket::bind(server))
            .unwrap();
        let (sent, done) = (AtomicU64::new(0), AtomicBool::new(false));
        let at_risk = thread::scope(|scope| {
            scope.spawn(|| self.stream(server, &sent, &done));
            let _done = SetAtTheEnd(&done);
            while sent.load(Ordering::Relaxed) < 100 {
                thread::sleep(Duration::from_millis(1));
            }
            let (began, first) = (Instant::now(), sent.load(Ordering::Relaxed));
            change();
            let changed = began.elapsed();
            thread::sleep(ONE_SECOND);
            let at_risk = sent.load(Ordering::Relaxed) - first;
            thread::sleep(Duration::from_millis(300));
            println!("{what}: the change took {changed:?}, {at_risk} packets until 1 s after it");
            at_risk
        });
        let carried = self.client.interface_count().unwrap().received.packets - carried;
        let sent = sent.load(Ordering::Relaxed);
        let counted = stream_counted(agent, before, sent);
        assert!(
            carried >= sent,
            "{carried} of {sent} by the interface's own counter"
        );
        let missed = sent.checked_sub(counted).unwrap();
        println!("{what}: {missed} of {sent} packets were not counted");
        if missed > 0 {
            show_where_else(&agent.scrape().unwrap());
        }
        assert!(
            missed <= at_risk,
            "{what}: packets were missed after one second"
        );
        missed
    }

    fn stream(&self, server: SocketAddr, sent: &AtomicU64, done: &AtomicBool) {
        self.client
            .namespace()
            .run(|| {
                let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
                while !done.load(Ordering::Relaxed) {
                    socket.send_to(&[0; 100], server).unwrap();
                    sent.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_micros(500));
                }
            })
            .unwrap();
    }

    fn pods_of_the_node(&self) -> impl Iterator<Item = &Pod> + Clone {
        let here = |pod: &&Pod| pod.node().name() == self.client.node().name();
        self.lab.pods().iter().filter(here)
    }
}

/// Packets counted past `before`. The interface counts a packet when it is queued, the programs
/// when it is taken from there, which on a machine with much else to do may be later.
fn stream_counted(agent: &mut Agent, before: u64, sent: u64) -> u64 {
    for _ in 0..3 {
        let so_far = counted(&agent.settled().unwrap())[0].packets - before;
        if so_far >= sent {
            return so_far;
        }
        println!("{so_far} of {sent} so far");
    }
    counted(&agent.settled().unwrap())[0].packets - before
}

/// Where packets may be that no pod's series shows.
fn show_where_else(metrics: &Metrics) {
    let about = |name: &str| name.contains("packets") || name.contains("disagreed");
    let samples = metrics.samples().iter();
    for sample in samples.filter(|sample| about(&sample.name) && sample.value != 0.0) {
        println!("    {sample}");
    }
    let dropped = zonemeter_lab::backlog_drops().unwrap();
    println!("    dropped by this machine's queues since it started: {dropped}");
}

/// Ends the stream, also when a check fails: its thread is waited for.
struct SetAtTheEnd<'a>(&'a AtomicBool);

impl Drop for SetAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the client sent across zones, and what came to it.
fn counted(metrics: &Metrics) -> [Count; 2] {
    ["transmit", "receive"].map(|direction| {
        let labels = [
            ("pod", "client"),
            ("scope", "cross_zone"),
            ("direction", direction),
        ];
        Count {
            bytes: metrics.sum("zonemeter_pod_bytes_total", &labels),
            packets: metrics.sum("zonemeter_pod_packets_total", &labels),
        }
    })
}

fn shadowed(metrics: &Metrics) -> u64 {
    metrics.sum("zonemeter_shadowed_interfaces", &[])
}

fn wait_for_shadowed(agent: &mut Agent, count: u64) {
    let there = |metrics: &Metrics| shadowed(metrics) == count;
    agent.wait_until(Duration::from_secs(15), there).unwrap();
}

#[test]
fn the_policy_agent_comes_first_goes_and_comes_back_with_tcx() {
    let missed = beside_the_policy_agent("policy-tcx", "tcx");
    assert_eq!(missed, 0, "TCX runs before every filter of clsact");
}

#[test]
fn the_policy_agent_comes_first_goes_and_comes_back_with_clsact() {
    beside_the_policy_agent("policy-tc", "tc");
}

/// Returns how many packets were missed at all changes together.
fn beside_the_policy_agent(name: &str, mode: &str) -> u64 {
    let scene = Scene::raise(name);
    let client = &scene.client;
    let policy = PolicyAgent::start(client.node(), "first", DROPPED).unwrap();
    for pod in scene.pods_of_the_node() {
        policy.attach(pod).unwrap();
    }
    let mut agent = scene.agent(mode);
    scene.is_exact(&mut agent, true);
    assert_eq!(shadowed(&agent.scrape().unwrap()), 0);
    let mut missed = scene.during(&mut agent, "re-attached", || {
        policy.attach(client).unwrap();
    });
    scene.is_exact(&mut agent, true);
    missed += scene.during(&mut agent, "detached", || policy.detach(client).unwrap());
    scene.is_exact(&mut agent, false);
    missed += scene.during(&mut agent, "attached after us", || {
        policy.attach(client).unwrap();
    });
    scene.is_exact(&mut agent, true);
    let next = PolicyAgent::start(client.node(), "next", DROPPED).unwrap();
    missed += scene.during(&mut agent, "upgraded", || {
        next.upgrade(scene.pods_of_the_node()).unwrap();
    });
    scene.is_exact(&mut agent, true);
    for pod in scene.pods_of_the_node() {
        assert!(
            next.is_attached(pod).unwrap(),
            "its filters are its own business"
        );
    }
    let metrics = agent.scrape().unwrap();
    assert_eq!(shadowed(&metrics), 0);
    let moves = metrics.sum("zonemeter_reattachments_total", &[]);
    match mode {
        // Re-attached, attached after us, and an upgrade on two pods: two hooks each.
        "tc" => assert!(moves >= 8, "{moves} moves"),
        _ => assert_eq!(moves, 0),
    }
    missed
}

/// A chained CNI's or another monitor's program that puts itself at the head.
#[test]
fn a_tcx_program_that_decides_is_not_left_in_front() {
    let scene = Scene::raise("ahead-tcx");
    let mut agent = scene.agent("tcx");
    let decides = Program::drops_udp(DROPPED, Verdict::Pass).unwrap();
    let mut placed = Vec::new();
    scene.during(&mut agent, "a program that decides", || {
        for hook in Hook::ALL {
            placed.push(Tcx::first(&decides, &scene.client, hook).unwrap());
        }
    });
    scene.is_exact(&mut agent, true);
    let metrics = agent.scrape().unwrap();
    assert_eq!(shadowed(&metrics), 0);
    assert_eq!(metrics.sum("zonemeter_reattachments_total", &[]), 2);
    assert!(agent.log().unwrap().contains("came first"));
    scene.during(&mut agent, "it goes", || placed.clear());
    scene.is_exact(&mut agent, false);
}

/// Nobody can tell it from one that decides, so it is not left in front either.
#[test]
fn a_tcx_program_that_passes_packets_on_costs_no_more_than_a_moment() {
    let scene = Scene::raise("next-tcx");
    let mut agent = scene.agent("tcx");
    let passes_on = Program::always(Verdict::Next).unwrap();
    let mut placed = Vec::new();
    let missed = scene.during(&mut agent, "a program that passes on", || {
        placed.push(Tcx::first(&passes_on, &scene.client, Hook::Ingress).unwrap());
    });
    // Between the two calls the kernel waits until no program runs any more (an RCU grace period):
    // tens of milliseconds when it is busy, at three packets in two milliseconds.
    assert!(missed < 150, "{missed} packets between two calls");
    scene.is_exact(&mut agent, false);
}

/// As Cilium's filters are, chained behind the VPC CNI: in priority 1 and newer than ours.
#[test]
fn a_chained_filter_in_the_same_priority_is_not_left_in_front() {
    let scene = Scene::raise("chained-tc");
    let mut agent = scene.agent("tc");
    for verdict in [Verdict::Next, Verdict::Pass] {
        let program = Program::always(verdict).unwrap();
        let pinned = pin(&program, scene.client.node(), &format!("{verdict:?}")).unwrap();
        let missed = scene.during(
            &mut agent,
            &format!("a filter that says {verdict:?}"),
            || {
                add_filter(&scene.client, Hook::Ingress, 2, &pinned).unwrap();
            },
        );
        scene.is_exact(&mut agent, false);
        let moves = agent.scrape().unwrap();
        let moves = moves.sum("zonemeter_reattachments_total", &[]);
        assert!(moves > 0, "{missed} missed");
        let del = "filter del dev VETH ingress prio 1 handle 0x2 bpf";
        tc(&scene.client, del).unwrap();
    }
}

#[test]
fn filters_that_were_swept_away_are_put_back() {
    let scene = Scene::raise("swept-tc");
    let mut agent = scene.agent("tc");
    scene.during(&mut agent, "clsact deleted", || {
        tc(&scene.client, "qdisc del dev VETH clsact").unwrap();
    });
    scene.is_exact(&mut agent, false);
}

/// Seen from clsact, TCX programs are always before: that can be shown and not be helped.
#[test]
fn what_shadows_clsact_from_above_is_shown_for_as_long_as_it_is_there() {
    let scene = Scene::raise("beneath-tc");
    let mut agent = scene.agent("tc");
    let decides = Program::always(Verdict::Pass).unwrap();
    let placed = Tcx::first(&decides, &scene.client, Hook::Ingress).unwrap();
    wait_for_shadowed(&mut agent, 1);
    let lines = |agent: &Agent, text: &str| agent.log().unwrap().matches(text).count();
    assert_eq!(lines(&agent, "shadowed: TCX program"), 1);
    drop(placed);
    wait_for_shadowed(&mut agent, 0);
    assert_eq!(lines(&agent, "no longer shadowed"), 1);
    scene.is_exact(&mut agent, false);
}

/// Two programs that both insist on being first would take turns without an end.
#[test]
fn nobody_is_fought_without_an_end() {
    let scene = Scene::raise("insist-tc");
    let mut agent = scene.agent("tc");
    let program = Program::always(Verdict::Next).unwrap();
    let pinned = pin(&program, scene.client.node(), "insists").unwrap();
    let moves = |metrics: &Metrics| metrics.sum("zonemeter_reattachments_total", &[]);
    let comes_first = || add_filter(&scene.client, Hook::Ingress, 2, &pinned).unwrap();
    let del = "filter del dev VETH ingress prio 1 handle 0x2 bpf";
    for round in 1..=10 {
        comes_first();
        agent
            .wait_until(ONE_SECOND, |metrics| moves(metrics) == round)
            .unwrap();
        tc(&scene.client, del).unwrap();
    }
    comes_first();
    wait_for_shadowed(&mut agent, 1);
    assert_eq!(moves(&agent.scrape().unwrap()), 10);
    wait_for_shadowed(&mut agent, 0);
    assert_eq!(moves(&agent.scrape().unwrap()), 11);
    scene.is_exact(&mut agent, false);
}
