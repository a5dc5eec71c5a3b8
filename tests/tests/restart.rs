//! Agents that end and come back under traffic: what is counted while none runs is drained by the
//! next one, once.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use zonemeter_lab::{
    Agent, Count, Lab, Metrics, Plan, PodPlan, SILENCE,
    traffic::{self, Datagrams},
};

/// Lives of the agent under traffic.
const LIVES: u32 = 5;

#[test]
fn what_is_counted_between_two_agents_is_drained_once_with_tcx() {
    lives_add_up("restart-tcx", "tcx", |agent| {
        assert!(agent.stop().unwrap().success());
    });
}

#[test]
fn what_is_counted_after_a_kill_is_drained_once_with_tcx() {
    lives_add_up("kill-tcx", "tcx", |agent| agent.kill().unwrap());
}

#[test]
fn what_is_counted_between_two_agents_is_drained_once_with_clsact() {
    lives_add_up("restart-tc", "tc", |agent| {
        assert!(agent.stop().unwrap().success());
    });
}

#[test]
fn what_is_counted_after_a_kill_is_drained_once_with_clsact() {
    lives_add_up("kill-tc", "tc", |agent| agent.kill().unwrap());
}

/// Each life drains when it begins and not again, so what it shows is all that was counted since
/// the one before it. The sum over the lives is what the far end of the uplink saw.
fn lives_add_up(name: &str, mode: &str, end: fn(&mut Agent)) {
    let plan = Plan::new(name)
        .pod(PodPlan::new("default", "client", "a1"))
        .pod(PodPlan::new("default", "server", "b1"));
    let lab = Lab::raise(plan).unwrap();
    let (client, server) = (
        lab.pod("default/client").unwrap(),
        lab.pod("default/server").unwrap(),
    );
    end_of_the_first_life(&lab, mode);
    let (from, to) = (client.namespace(), server.namespace());
    let at = |port| SocketAddr::new(server.address(), port);
    let done = Done::default();
    let before_last = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.0.load(Ordering::Relaxed) {
                traffic::tcp_transfer(from, to, server.address(), 7000, 5_000_000).unwrap();
                traffic::udp_send(from, to, at(7001), Datagrams::new(500, 1000)).unwrap();
            }
        });
        let _at_the_end = SetAtTheEnd(&done);
        lives(&lab, mode, end)
    });
    // The traffic has ended; one more life drains the rest.
    let last = seen(&one_life(&lab, mode).scrape().unwrap());
    let wire = [
        lab.between(client.address(), server.address()).unwrap(),
        lab.between(server.address(), client.address()).unwrap(),
    ];
    assert_eq!([before_last[0] + last[0], before_last[1] + last[1]], wire);
    assert!(wire[0].bytes > 10_000_000, "too little traffic: {wire:?}");
}

/// Ends the traffic.
#[derive(Default)]
struct Done(AtomicBool);

/// Also when a check fails: the traffic's thread is waited for.
struct SetAtTheEnd<'a>(&'a Done);

impl Drop for SetAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

fn lives(lab: &Lab, mode: &str, end: fn(&mut Agent)) -> [Count; 2] {
    let mut sum = [Count::default(); 2];
    for _ in 0..LIVES {
        let mut agent = one_life(lab, mode);
        let shown = seen(&agent.scrape().unwrap());
        sum = [sum[0] + shown[0], sum[1] + shown[1]];
        end(&mut agent);
        thread::sleep(Duration::from_millis(200));
    }
    sum
}

fn one_life(lab: &Lab, mode: &str) -> Agent {
    let plan = lab.agent("a1").unwrap().without("--state-dir");
    let plan = plan.flag("--interval", "10m").flag("--attach", mode);
    plan.start_ready().unwrap()
}

/// The pods' own chatter at start goes to an agent that is not counted here.
fn end_of_the_first_life(lab: &Lab, mode: &str) {
    let plan = lab.agent("a1").unwrap().without("--state-dir");
    let plan = plan.flag("--interval", "100ms").flag("--attach", mode);
    let mut agent = plan.start_ready().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut last = seen(&agent.settled().unwrap());
    loop {
        thread::sleep(SILENCE);
        let now = seen(&agent.settled().unwrap());
        if now == last {
            break;
        }
        assert!(Instant::now() < deadline, "the pods do not fall silent");
        last = now;
    }
    agent.kill().unwrap();
}

/// All IP traffic, from the pods and to them.
fn seen(metrics: &Metrics) -> [Count; 2] {
    ["transmit", "receive"].map(|direction| {
        let sum = |unit: &str| {
            let name = format!("zonemeter_interface_{unit}_total");
            metrics.sum(&name, &[("direction", direction)])
        };
        Count {
            bytes: sum("bytes"),
            packets: sum("packets"),
        }
    })
}
