//! Totals that outlive the agent: under traffic, through restarts and kills, on a full disk.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "totals/shown.rs"]
mod shown;
#[path = "totals/small_disk.rs"]
mod small_disk;

use std::{
    env, fs,
    net::SocketAddr,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use zonemeter_lab::{
    Agent, AgentPlan, Count, Lab, Metrics, Plan, Pod, PodPlan, SILENCE,
    traffic::{self, Datagrams},
};

use self::{
    shown::{never_back, of_pods, of_workloads, scrape, seen, shown_after},
    small_disk::SmallDisk,
};

/// Graceful restarts, and as many kills, in each mode; `ZONEMETER_RESTARTS` names another number.
const RESTARTS: u32 = 6;
const PATIENCE: Duration = Duration::from_secs(30);
/// Flows of each 100 ms, where ports tell them apart.
const PORTS: Range<u16> = 10_000..10_100;

#[test]
fn restarts_and_kills_lose_and_double_nothing_with_tcx() {
    restarts_and_kills("totals-tcx", "tcx");
}

#[test]
fn restarts_and_kills_lose_and_double_nothing_with_clsact() {
    restarts_and_kills("totals-tc", "tc");
}

/// Client and server on nodes in two zones; the agent is the client's.
struct Scene {
    lab: Lab,
    client: Pod,
    server: Pod,
}

impl Scene {
    fn raise(name: &str) -> Self {
        let plan = Plan::new(name)
            .pod(PodPlan::new("default", "client", "a1"))
            .pod(PodPlan::new("default", "server", "b1"));
        let lab = Lab::raise(plan).unwrap();
        Self {
            client: lab.pod("default/client").unwrap(),
            server: lab.pod("default/server").unwrap(),
            lab,
        }
    }

    fn agent(&self) -> AgentPlan {
        self.lab.agent("a1").unwrap().flag("--interval", "100ms")
    }

    /// 3 MB in each 100 ms over TCP and 0.7 MB over UDP: 300 Mbit/s, where the machine is fast
    /// enough.
    fn traffic_until(&self, over: &AtomicBool) {
        let (from, to) = (self.client.namespace(), self.server.namespace());
        let at = |port| SocketAddr::new(self.server.address(), port);
        while !over.load(Ordering::Relaxed) {
            let began = Instant::now();
            traffic::tcp_transfer(from, to, self.server.address(), 7000, 3_000_000).unwrap();
            traffic::udp_send(from, to, at(7001), Datagrams::new(500, 1400)).unwrap();
            traffic::udp_flows(from, to, at(7002), PORTS, 100).unwrap();
            thread::sleep(Duration::from_millis(100).saturating_sub(began.elapsed()));
        }
    }

    /// From the client and to it, by nftables at the far ends of the uplinks.
    fn wire(&self) -> [Count; 2] {
        let (client, server) = (self.client.address(), self.server.address());
        [(client, server), (server, client)].map(|(from, to)| self.lab.between(from, to).unwrap())
    }

    /// Waits until the pods' own chatter at start is over.
    fn silent(&self, agent: &mut Agent) -> Metrics {
        let deadline = Instant::now() + PATIENCE;
        let mut last = agent.settled().unwrap();
        loop {
            thread::sleep(SILENCE);
            let now = agent.settled().unwrap();
            if seen(&now) == seen(&last) {
                return now;
            }
            assert!(Instant::now() < deadline, "the pods do not fall silent");
            last = now;
        }
    }
}

/// Maps of another size take the place of those that are written to, and are drained once nothing
/// writes to them: an agent that is killed amid that leaves them to the next one.
#[test]
fn another_size_of_maps_at_each_kill_loses_and_doubles_nothing() {
    under_traffic("totals-sizes", "tcx", |scene, mut last| {
        let plan = |life: u64| {
            let flows = ["1024", "2048"][(life % 2) as usize];
            scene.agent().flag("--max-flows", flows)
        };
        for life in 0..2 * u64::from(restarts()) {
            let mut agent = plan(life).start().unwrap();
            // An agent is ready after some 300 ms: most of these are not.
            thread::sleep(Duration::from_millis(60 + life * 67 % 350));
            agent.kill().unwrap();
            if life % 4 == 3 {
                let agent = plan(life / 4).start_ready().unwrap();
                last = shown_after(&agent, &last);
            }
        }
        last
    });
}

fn restarts_and_kills(name: &str, mode: &str) {
    under_traffic(name, mode, |scene, last| {
        let plan = scene.agent().flag("--attach", mode);
        // Some flows have slots, some have entries, and most find no room.
        let plan = plan.flag("--max-flows", "64").flag("--flow-ports", "full");
        let last = lives(&plan, last);
        let other = [("direction", "transmit"), ("peer_workload", "other")];
        let peer = [("direction", "transmit"), ("peer_workload", "server")];
        let sent = |labels| last.sum("zonemeter_workload_bytes_total", labels);
        assert!(sent(&other) > 0 && sent(&peer) > 0);
        last
    });
}

/// Agents come and go by `lives`, which gets the last scrape before it and returns its own.
fn under_traffic(name: &str, mode: &str, lives: impl FnOnce(&Scene, Metrics) -> Metrics) {
    let scene = Scene::raise(name);
    let plan = scene.agent().flag("--attach", mode);
    let mut agent = plan.start_ready().unwrap();
    let base = scene.silent(&mut agent);
    assert_eq!(scene.wire(), [Count::default(); 2]);
    agent.kill().unwrap();
    let (over, began) = (AtomicBool::new(false), Instant::now());
    let last = thread::scope(|scope| {
        scope.spawn(|| scene.traffic_until(&over));
        let _at_the_end = SetAtTheEnd(&over);
        lives(&scene, base.clone())
    });
    let took = began.elapsed();
    // The traffic has ended; one more life drains the rest.
    let mut agent = plan.start_ready().unwrap();
    agent.settled().unwrap();
    let end = scrape(&agent).unwrap();
    never_back(&last, &end);
    let wire = scene.wire();
    let grown = [0, 1].map(|direction| seen(&end)[direction] - seen(&base)[direction]);
    assert_eq!(grown, wire, "all IP traffic, and the wire");
    assert_eq!(of_pods(&end), wire, "pod series, and the wire");
    assert_eq!(of_workloads(&end), wire.map(|count| count.bytes));
    report(name, wire, took);
}

#[expect(
    clippy::print_stdout,
    reason = "what was measured, for docs/restarts.md"
)]
fn report(name: &str, wire: [Count; 2], took: Duration) {
    let bytes = wire[0].bytes + wire[1].bytes;
    let rate = bytes as f64 * 8.0 / took.as_secs_f64() / 1e6;
    println!(
        "{name}: {} lives in {took:.0?} under {rate:.0} Mbit/s, {bytes} bytes: none lost, none \
         doubled",
        2 * restarts()
    );
    assert!(rate > 50.0, "too little traffic: {rate:.0} Mbit/s");
}

fn restarts() -> u32 {
    let asked = env::var("ZONEMETER_RESTARTS").ok();
    asked.map_or(RESTARTS, |number| number.parse().unwrap())
}

/// Every agent goes on where the last one stopped; graceful ends and kills take turns, after
/// 20 to 220 ms, so that kills fall anywhere between two drains. Returns the last scrape.
fn lives(plan: &AgentPlan, mut last: Metrics) -> Metrics {
    for life in 0..2 * restarts() {
        let mut agent = plan.start().unwrap();
        last = shown_after(&agent, &last);
        agent.wait_ready(PATIENCE).unwrap();
        thread::sleep(Duration::from_millis(20 + u64::from(life * 67 % 200)));
        last = shown_after(&agent, &last);
        match life % 2 {
            0 => assert!(agent.stop().unwrap().success()),
            _ => agent.kill().unwrap(),
        }
    }
    last
}

/// Ends the traffic, also when a check fails: its thread is waited for.
struct SetAtTheEnd<'a>(&'a AtomicBool);

impl Drop for SetAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn failures(metrics: &Metrics) -> u64 {
    metrics.sum("zonemeter_state_write_failures_total", &[])
}

#[test]
fn a_full_disk_stops_no_counting_and_is_made_good() {
    let scene = Scene::raise("totals-full-disk");
    let disk = SmallDisk::mount();
    let plan = scene.agent().flag("--state-dir", disk.path());
    let mut agent = plan.start_ready().unwrap();
    disk.fill();
    // Whatever room a started page of the file has is used up in time.
    agent
        .wait_until(PATIENCE, |metrics| failures(metrics) >= 3)
        .unwrap();
    let send = || {
        let (from, to) = (scene.client.namespace(), scene.server.namespace());
        let at = SocketAddr::new(scene.server.address(), 7001);
        traffic::udp_send(from, to, at, Datagrams::new(100, 1000)).unwrap();
    };
    send();
    let counted = agent.settled().unwrap();
    assert_eq!(of_pods(&counted), scene.wire());
    let log = agent.log().unwrap();
    assert_eq!(log.matches("totals are not kept").count(), 1, "{log}");
    disk.make_room();
    let before = failures(&agent.settled().unwrap());
    let after = agent.settled().unwrap();
    assert_eq!(failures(&after), before, "written again");
    assert!(agent.log().unwrap().contains("totals are kept again"));
    agent.kill().unwrap();
    let mut agent = plan.start_ready().unwrap();
    let next = agent.settled().unwrap();
    never_back(&after, &next);
    assert_eq!(of_pods(&next), scene.wire());
    drop(agent);
}

#[test]
fn totals_that_cannot_be_used_are_set_aside_and_said() {
    let scene = Scene::raise("totals-refused");
    let plan = scene.agent();
    let state = scene.lab.node("a1").unwrap().directory().join("state");
    let mut agent = plan.start_ready().unwrap();
    let before = agent.settled().unwrap();
    assert_eq!(before.value("zonemeter_state_refused", &[]), Some(0.0));
    assert!(before.sum("zonemeter_state_written_bytes_total", &[]) > 0);
    agent.kill().unwrap();
    let mut bytes = fs::read(state.join("totals")).unwrap();
    bytes[30] ^= 1;
    fs::write(state.join("totals"), &bytes).unwrap();
    let mut agent = plan.start_ready().unwrap();
    let after = agent.settled().unwrap();
    assert_eq!(after.value("zonemeter_state_refused", &[]), Some(1.0));
    assert_eq!(fs::read(state.join("totals.refused-1")).unwrap(), bytes);
    let log = agent.log().unwrap();
    let said = log.lines().filter(|line| line.contains("totals.refused-1"));
    assert_eq!(said.count(), 1, "{log}");
}

#[test]
fn a_second_agent_waits_for_the_state_directory() {
    let scene = Scene::raise("totals-lock");
    let node = scene.lab.node("a1").unwrap();
    let state = node.directory().join("state");
    let holder = fs::create_dir_all(&state)
        .and_then(|()| fs::File::open(&state))
        .unwrap();
    holder.lock().unwrap();
    let mut agent = scene.agent().start().unwrap();
    let waiting = format!("waiting for another agent to leave {}", state.display());
    let deadline = Instant::now() + PATIENCE;
    while !agent
        .get("/readyz")
        .is_ok_and(|answer| answer.body.contains(&waiting))
    {
        assert!(Instant::now() < deadline, "{}", agent.log().unwrap());
        thread::sleep(Duration::from_millis(50));
    }
    let shown = agent.get("/metrics").unwrap().body;
    assert!(
        !shown.contains("zonemeter_interface_bytes_total"),
        "{shown}"
    );
    drop(holder);
    agent.wait_ready(PATIENCE).unwrap();
    let shown = agent.get("/metrics").unwrap().body;
    assert!(shown.contains("zonemeter_interface_bytes_total"), "{shown}");
}
