//! Tables so small that one pod fills them and whatever takes their place: slots, entries of the
//! shared maps, and the counters of its interface are in use at once. Others stay exact beside it,
//! and its own bytes stay its own.

use std::{fs, net::Ipv4Addr, time::Duration};

use zonemeter_lab::{Count, Lab, Metrics, PodPlan, Source, oracle};

use crate::{
    attack::{Attack, DATAGRAM},
    check_every_scope_is_shown, exercise_every_scope, plan,
};

/// What is sent there goes no further than the node.
const OUTSIDE: &str = "11.0.0.0/8";
/// Slots of each CPU; beside them there are as many entries for each further CPU.
const SLOTS: u64 = 128;
const A_SECOND: u32 = 10_000;

pub(crate) fn is_exact(name: &str, mode: &str) {
    let plan = plan(name, Source::File).pod(PodPlan::new("default", "sprayer", "a1"));
    let lab = Lab::raise(plan).unwrap();
    let node = lab.node("a1").unwrap();
    let mut ip = node.namespace().command("ip");
    let done = ip.args(["route", "replace", "blackhole", OUTSIDE]).status();
    assert!(done.unwrap().success());
    let cpus = possible_cpus();
    let room = (SLOTS * cpus).to_string();
    let start = lab.start_agents(|agent| {
        agent
            .flag("--interval", "100ms")
            .flag("--attach", mode)
            .flag("--max-flows", &room)
    });
    let mut agents = start.unwrap();
    let sprayer = lab.pod("default/sprayer").unwrap();
    let rate = (u64::MAX, A_SECOND);
    let spray = Attack::on_addresses(&sprayer, Ipv4Addr::new(11, 0, 0, 0), rate);
    // A pod alone gets half of all entries, and what finds neither a slot nor an entry is counted for
    // its interface: then all entries that it may have are taken, and further flows have slots.
    let (entries, others) = (SLOTS / 2 * (cpus - 1), 24);
    let overflow = |metrics: &Metrics| {
        let labels = [("direction", "transmit")];
        metrics.sum("zonemeter_flow_overflow_bytes_total", &labels)
    };
    agents[0]
        .wait_until(Duration::from_secs(30), |metrics| {
            metrics.sum("zonemeter_flows", &[]) > entries + others && overflow(metrics) > 0
        })
        .unwrap();
    let internet = exercise_every_scope(&lab, true);
    assert!(!spray.is_over());
    let sent = spray.stop();
    let but = [sprayer.key()];
    let shown = oracle::wait_exact_but(&lab, &mut agents, &internet, &but).unwrap();
    check_every_scope_is_shown(&shown);
    let metrics = agents[0].scrape().unwrap();
    let shown = oracle::shown(&metrics);
    let of_sprayer = shown
        .iter()
        .filter(|(series, _)| series.pod == sprayer.key());
    let of_sprayer: Count = of_sprayer.map(|(_, count)| *count).sum();
    assert_eq!(of_sprayer.bytes, sent);
    assert_eq!(of_sprayer.packets, sent / DATAGRAM);
    assert!(overflow(&metrics) < sent, "some have their places");
}

/// As many as there may ever be: `0-1` are two.
fn possible_cpus() -> u64 {
    let text = fs::read_to_string("/sys/devices/system/cpu/possible").unwrap();
    let last = text.trim().rsplit(['-', ',']).next().unwrap();
    last.parse::<u64>().unwrap() + 1
}
