//! Veths that come and go while others carry traffic: nothing leaks, every one is counted, and
//! the programs are on it soon.
//!
//! 100 of them with each way to attach; `ZONEMETER_CHURN_VETHS` says how many else.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]
#![expect(
    clippy::print_stdout,
    reason = "what was measured stands in docs/hooks.md"
)]

use std::{
    collections::BTreeMap,
    env, fs,
    net::Ipv4Addr,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use zonemeter_lab::{
    Agent, Lab, Metrics, Namespace, Node, NodePlan, Plan, PodPlan,
    address::Zone,
    foreign::{Hook, index, send_frame, tcx_programs, udp_frame},
    traffic,
};

/// Payload of the one datagram of each veth: 128 bytes at layer 3.
const PAYLOAD: u16 = 100;
/// Veths before the first measurement, so that what is allocated once is there.
const WARM_UP: usize = 20;

#[test]
fn veths_come_and_go_with_tcx() {
    churn("churn-tcx", "tcx");
}

#[test]
fn veths_come_and_go_with_clsact() {
    churn("churn-tc", "tc");
}

fn churn(name: &str, mode: &str) {
    let count = env::var("ZONEMETER_CHURN_VETHS").map_or(100, |count| count.parse().unwrap());
    let lab = raise(name);
    let plan = lab.agent("a1").unwrap().flag("--interval", "1s");
    let mut agent = plan.flag("--attach", mode).start_ready().unwrap();
    let coming = Coming::new(&lab, mode);
    let done = AtomicBool::new(false);
    let (mut took, before, after) = thread::scope(|scope| {
        scope.spawn(|| load(&lab, &done));
        let _done = SetAtTheEnd(&done);
        for number in 0..WARM_UP {
            coming.and_going(&mut agent, number);
        }
        let before = held(&mut agent, &lab);
        let numbers = WARM_UP..WARM_UP + count;
        let took: Vec<Duration> = numbers.map(|n| coming.and_going(&mut agent, n)).collect();
        (took, before, held(&mut agent, &lab))
    });
    took.sort();
    let quantile = |share: f64| took[((took.len() - 1) as f64 * share).round() as usize];
    println!(
        "{mode}: {count} veths; from link to attached: p50 {:?}, p99 {:?}, most {:?}",
        quantile(0.5),
        quantile(0.99),
        quantile(1.0)
    );
    println!("{mode}: before {before:?}\n{mode}: after {after:?}");
    assert_eq!(before.objects, after.objects, "something leaks");
    let grown = after.resident.saturating_sub(before.resident);
    assert!(grown < 4 << 20, "{grown} bytes of memory for {count} veths");
    every_datagram_is_counted(&mut agent, WARM_UP + count);
}

/// All that the veths carried belongs to no pod: it waits for a name or has been given up.
fn every_datagram_is_counted(agent: &mut Agent, veths: usize) {
    let metrics = agent.settled().unwrap();
    let sum = |name: &str| metrics.sum(name, &[("direction", "transmit")]);
    let bytes = sum("zonemeter_pending_bytes") + sum("zonemeter_unattributed_bytes_total");
    let packets = sum("zonemeter_pending_packets") + sum("zonemeter_unattributed_packets_total");
    let wanted = veths as u64;
    assert_eq!(
        (bytes, packets),
        (wanted * (28 + u64::from(PAYLOAD)), wanted)
    );
}

fn raise(name: &str) -> Lab {
    let plan = Plan::empty(name)
        .node(NodePlan::new("a1", Zone::A).single_eni())
        .node(NodePlan::new("b1", Zone::B).single_eni())
        .pod(PodPlan::new("default", "client", "a1"))
        .pod(PodPlan::new("default", "server", "b1"));
    Lab::raise(plan).unwrap()
}

/// Traffic on a pod that stays.
fn load(lab: &Lab, done: &AtomicBool) {
    let (client, server) = (lab.pod("default/client"), lab.pod("default/server"));
    let (client, server) = (client.unwrap(), server.unwrap());
    let (from, to) = (client.namespace(), server.namespace());
    // A program that starts at this moment holds the last socket until it is itself.
    let mut ports = (7000..8000).cycle();
    while !done.load(Ordering::Relaxed) {
        let port = ports.next().unwrap();
        traffic::tcp_transfer(from, to, server.address(), port, 1_000_000).unwrap();
        thread::sleep(Duration::from_millis(20));
    }
}

/// Ends the load, also when a check fails: its thread is waited for.
struct SetAtTheEnd<'a>(&'a AtomicBool);

impl Drop for SetAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Veths of pods that nobody has heard of.
struct Coming {
    node: Node,
    pods: Namespace,
    mode: String,
}

impl Coming {
    fn new(lab: &Lab, mode: &str) -> Self {
        let name = format!("zm.{}.churn", lab.name());
        ip(&["netns", "add", &name]);
        let pods = Namespace::open(&name).unwrap();
        // Else each new interface says hello by multicast.
        let silent =
            ["all", "default"].map(|which| (format!("ipv6/conf/{which}/disable_ipv6"), "1"));
        pods.sysctl(&silent).unwrap();
        Self {
            node: lab.node("a1").unwrap(),
            pods,
            mode: mode.to_owned(),
        }
    }

    /// One veth that comes, carries one datagram from its pod, and goes. Returns the time from
    /// the moment in which the link is there until both programs are on it.
    fn and_going(&self, agent: &mut Agent, number: usize) -> Duration {
        let veth = format!("eni{number:011x}");
        let node = self.node.namespace();
        let took = thread::scope(|scope| {
            let looking = scope.spawn(|| self.attached(agent, &veth));
            let (node, pods) = (node.name(), self.pods.name());
            ip(&[
                "link", "add", &veth, "netns", node, "type", "veth", "peer", "name", "eth0",
                "netns", pods,
            ]);
            looking.join().unwrap()
        });
        ip(&["-n", node.name(), "link", "set", &veth, "up"]);
        ip(&["-n", self.pods.name(), "link", "set", "eth0", "up"]);
        self.send_one(&veth);
        ip(&["-n", node.name(), "link", "del", &veth]);
        took
    }

    fn attached(&self, agent: &mut Agent, veth: &str) -> Duration {
        let node = self.node.namespace();
        let interface = until(|| index(node, veth).ok());
        let began = Instant::now();
        match self.mode.as_str() {
            "tcx" => until(|| {
                let there =
                    |hook| tcx_programs(node, interface, hook).is_ok_and(|all| !all.is_empty());
                Hook::ALL.into_iter().all(there).then_some(())
            }),
            // The kernel is asked for filters by a program; the agent is nearer.
            _ => until(|| {
                let counted = agent.scrape().unwrap().sum("zonemeter_interfaces", &[]);
                (counted == 2).then_some(())
            }),
        }
        began.elapsed()
    }

    /// A link drops what is sent before its queue opens; the other end's counter tells.
    fn send_one(&self, veth: &str) {
        let pod = index(&self.pods, "eth0").unwrap();
        let frame = udp_frame(
            Ipv4Addr::new(10, 99, 0, 1),
            Ipv4Addr::new(10, 99, 0, 2),
            PAYLOAD,
        );
        until(|| {
            // ENETDOWN until it is up.
            let _ = self.pods.run(|| send_frame(pod, &frame)).unwrap();
            let carried = self.node.interface_count(veth).unwrap().received.packets;
            assert!(carried <= 1, "one datagram for each veth");
            (carried == 1).then_some(())
        });
    }
}

/// What the agent holds when no other veth is there.
#[derive(Debug)]
struct Held {
    /// Descriptors by what they lead to, and pinned links.
    objects: BTreeMap<String, usize>,
    /// Bytes.
    resident: u64,
}

fn held(agent: &mut Agent, lab: &Lab) -> Held {
    let alone = |metrics: &Metrics| metrics.sum("zonemeter_interfaces", &[]) == 1;
    agent.wait_until(Duration::from_secs(10), alone).unwrap();
    let metrics = agent.settled().unwrap();
    let mut objects = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{}/fd", agent.pid())).unwrap() {
        // The agent may close one between the listing and this look at it.
        let Ok(leads_to) = fs::read_link(entry.unwrap().path()) else {
            continue;
        };
        let leads_to = leads_to.to_string_lossy().into_owned();
        if leads_to.starts_with("anon_inode:bpf") {
            *objects.entry(leads_to).or_default() += 1;
        }
    }
    let node = lab.node("a1").unwrap();
    for folder in ["links", "maps"] {
        let folder = node.pin_directory().join("v2").join(folder);
        let pinned = fs::read_dir(&folder).unwrap().count();
        objects.insert(
            format!("pinned {}", folder.file_name().unwrap().display()),
            pinned,
        );
    }
    let resident = metrics.value("process_resident_memory_bytes", &[]).unwrap() as u64;
    Held { objects, resident }
}

fn until<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within 10 s");
        thread::sleep(Duration::from_micros(200));
    }
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().unwrap();
    assert!(status.success(), "ip {arguments:?}");
}
