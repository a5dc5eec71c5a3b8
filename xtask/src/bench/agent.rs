//! `cargo xtask bench agent`: what a running agent takes for itself: how long many flows are read and
//! named, and its share of a CPU, with nobody who looks and with somebody who does.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use zonemeter_lab::{Agent, Lab, Plan, Pod, PodPlan, interrupt};

use super::{NODE, machine, median::quartiles, report::table};
use crate::{progress, repository};

const LAB: &str = "bench-agent";
const DOCUMENT: &str = "docs/bench-agent.md";
const PODS: u32 = 10;
/// Of each pod's peers one in so many is a pod of another node, the rest are hosts of the internet.
const PODS_AMONG_PEERS: u32 = 5;
/// Addresses of pods that exist in the API only, and of the internet. What is sent there goes no
/// further than the node.
const REMOTE: (Ipv4Addr, &str) = (Ipv4Addr::new(192, 168, 96, 0), "192.168.96.0/19");
const OUTSIDE: (Ipv4Addr, &str) = (Ipv4Addr::new(11, 0, 0, 0), "11.0.0.0/8");
/// Flows of a drain, and how many such drains are looked at.
const SIZES: [u32; 2] = [5_000, 50_000];
const DRAINS: usize = 11;
const PATIENCE: Duration = Duration::from_secs(30);
/// How often every flow of the measurement of CPU time has a packet.
const PASS: Duration = Duration::from_secs(2);
/// Reading, and reading with naming and adding: milliseconds that are aimed at, at the larger size.
const TARGETS: [f64; 2] = [3.0, 20.0];
/// Of a core, with nobody who looks.
const SHARE: f64 = 0.3;

/// Who looks, what it gets, and how often.
const LOOKS: [(&str, &[&str], u64); 4] = [
    ("nobody", &[], 5),
    ("Prometheus, every 15 s", &["/metrics"], 15),
    (
        "the page, Connections, every 5 s",
        &[
            "/api/pairs?window=5m&sort=total&limit=200",
            "/api/flows?limit=200",
            "/api/health",
        ],
        5,
    ),
    ("`zonemeter top`, every 2 s", &["/api/pairs?limit=200"], 2),
];

/// Microseconds since the programs wrote no more: of one drain.
struct Drained {
    flows: u32,
    us: [f64; 3],
}

pub(super) fn run(seconds: u64, write: bool) -> Result<()> {
    interrupt::watch()?;
    let lab = progress::quiet_step("raising the lab", raise)?;
    let text = measure(&lab, Duration::from_secs(seconds));
    progress::quiet_step("removing the lab", || lab.end())?;
    let (drains, shares) = text?;
    progress::say(&format!("{drains}\n\n{shares}"));
    if write {
        let text = document(&drains, &shares, seconds, &machine::describe()?);
        fs::write(repository::root().join(DOCUMENT), text)
            .with_context(|| format!("writing {DOCUMENT}"))?;
        progress::say(&format!("written to {DOCUMENT}"));
    }
    Ok(())
}

fn raise() -> Result<Lab> {
    let pods = (0..PODS).map(|number| PodPlan::new("bench", &format!("pod-{number}"), NODE));
    let plan = pods.fold(Plan::new(LAB).without_flow_truth(), Plan::pod);
    let mut lab = Lab::raise(plan)?;
    let node = lab.node(NODE)?;
    for range in [REMOTE.1, OUTSIDE.1] {
        let mut ip = node.namespace().command("ip");
        let done = ip.args(["route", "replace", "blackhole", range]).status()?;
        ensure!(done.success(), "no route for {range}");
    }
    let remote = SIZES[1] / PODS / PODS_AMONG_PEERS;
    let remote = (0..remote).map(|number| IpAddr::from(address(REMOTE.0, number)));
    lab.crowd(remote)?;
    Ok(lab)
}

fn measure(lab: &Lab, phase: Duration) -> Result<(String, String)> {
    let plan = lab.agent(NODE)?.binary(&super::binary()?);
    let quick = plan.clone().flag("--interval", "2s");
    let quick = quick.env("ZONEMETER_LOG", "info,zonemeter::pipeline=debug");
    let mut agent = quick.start_ready()?;
    agent.settled()?;
    let mut rows = Vec::new();
    for flows in SIZES {
        let what = format!("drains of {flows} flows");
        let drains = progress::quiet_step(&what, || drains(lab, &agent, flows))?;
        rows.push(drain_row(flows, &drains));
    }
    agent.stop()?;
    let head = ["flows", "read", "read, named and added", "and shown"];
    let drains = table(head, rows.into_iter());
    let agent = plan.start_ready()?;
    let over = AtomicBool::new(false);
    let shares = thread::scope(|scope| {
        scope.spawn(|| keep_sending(lab, SIZES[0], &over));
        let shares = LOOKS.map(|look| progress::quiet_step(look.0, || share(&agent, look, phase)));
        over.store(true, Ordering::Relaxed);
        shares.into_iter().collect::<Result<Vec<_>>>()
    })?;
    let rows = LOOKS.iter().zip(shares).map(|((who, ..), share)| {
        let target = match *who {
            "nobody" => format!(", target {SHARE} %"),
            _ => String::new(),
        };
        [(*who).to_owned(), format!("{share:.2} %{target}")]
    });
    Ok((drains, table(["who looks", "of a core"], rows)))
}

/// Has all flows pass between two drains, again and again; what the agent says of those drains.
fn drains(lab: &Lab, agent: &Agent, flows: u32) -> Result<Vec<Drained>> {
    let deadline = Instant::now() + PATIENCE * 3;
    let check = |found: &[Drained]| {
        ensure!(!interrupt::interrupted(), "interrupted");
        let number = found.len();
        ensure!(
            Instant::now() < deadline,
            "{number} drains, too few of {flows} flows"
        );
        anyhow::Ok(())
    };
    loop {
        let mut found = drained(&agent.log()?)?;
        let before = found.len();
        found.retain(|one| one.flows >= flows);
        if found.len() >= DRAINS {
            return Ok(found);
        }
        // Right after a drain, so that no drain falls into it.
        loop {
            let found = drained(&agent.log()?)?;
            check(&found)?;
            if found.len() > before {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        send_all(lab, flows)?;
    }
}

fn drained(log: &str) -> Result<Vec<Drained>> {
    let lines = log.lines().filter(|line| line.contains("drained flows="));
    let read = |line: &str| {
        let field = |name: &str| -> Option<f64> {
            let (_, rest) = line.split_once(&format!("{name}="))?;
            rest.split(' ').next()?.parse().ok()
        };
        let fields = ["flows", "read_us", "added_us", "shown_us"].map(field);
        let [Some(flows), Some(read), Some(added), Some(shown)] = fields else {
            bail!("a drain's line in the agent's log: {line}");
        };
        Ok(Drained {
            flows: flows as u32,
            us: [read, added, shown],
        })
    };
    lines.map(read).collect()
}

fn drain_row(flows: u32, drains: &[Drained]) -> [String; 4] {
    let of = |number: usize| {
        let values = drains.iter().map(|one| one.us[number] / 1000.0).collect();
        let text = match quartiles(values) {
            Some([low, middle, high]) => format!("{middle:.1} ms ({low:.1} to {high:.1})"),
            None => "-".to_owned(),
        };
        match TARGETS.get(number) {
            Some(target) if flows == SIZES[1] => format!("{text}, target {target}"),
            _ => text,
        }
    };
    [flows.to_string(), of(0), of(1), of(2)]
}

/// One datagram to each peer of each pod, as quickly as a queue takes them.
fn send_all(lab: &Lab, flows: u32) -> Result<()> {
    thread::scope(|scope| {
        let send = |pod| scope.spawn(move || send(pod, flows / PODS));
        let senders: Vec<_> = lab.pods().iter().map(send).collect();
        let sent = senders.into_iter().map(|sender| match sender.join() {
            Ok(sent) => sent,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        sent.collect()
    })
}

fn send(pod: &Pod, peers: u32) -> Result<()> {
    let send = || -> Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 40_000))?;
        for number in 0..peers {
            let to = match number % PODS_AMONG_PEERS {
                0 => address(REMOTE.0, number / PODS_AMONG_PEERS),
                _ => address(OUTSIDE.0, number),
            };
            socket.send_to(&[0x5a; 64], (to, 9000))?;
            if number % 64 == 63 {
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    };
    pod.namespace().run(send)?.with_context(|| pod.key())
}

fn keep_sending(lab: &Lab, flows: u32, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let next = Instant::now() + PASS;
        if let Err(error) = send_all(lab, flows) {
            progress::fail(&format!("sending: {error:#}"));
            return;
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn address(first: Ipv4Addr, number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(first.to_bits() + number)
}

/// Percent of a core that the agent takes while somebody looks; before it is measured it is as it
/// stays.
fn share(agent: &Agent, look: (&str, &[&str], u64), phase: Duration) -> Result<f64> {
    let (_, paths, seconds) = look;
    watch(agent, paths, seconds, Duration::from_secs(10))?;
    let (began, before) = (Instant::now(), cpu(agent.pid())?);
    watch(agent, paths, seconds, phase)?;
    let used = cpu(agent.pid())?.saturating_sub(before);
    let flows = agent.scrape()?.sum("zonemeter_flows", &[]);
    ensure!(flows >= u64::from(SIZES[0]), "only {flows} flows");
    Ok(100.0 * used.as_secs_f64() / began.elapsed().as_secs_f64())
}

/// Gets the paths so often, for so long.
fn watch(agent: &Agent, paths: &[&str], seconds: u64, phase: Duration) -> Result<()> {
    let end = Instant::now() + phase;
    while Instant::now() < end {
        ensure!(!interrupt::interrupted(), "interrupted");
        for path in paths {
            let answer = match path.starts_with("/api") {
                true => agent.debug(path)?,
                false => agent.get(path)?,
            };
            ensure!(answer.status == 200, "{path} answers {}", answer.status);
        }
        let next = Instant::now() + Duration::from_secs(seconds);
        thread::sleep(next.min(end).saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// What a process has used so far, in user mode and in the kernel (proc_pid_stat(5), fields 14 and
/// 15, in clock ticks).
fn cpu(pid: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).context("the agent's times")?;
    // The second field is a name in brackets, which may have any character.
    let fields: Vec<&str> = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |number: usize| -> Option<u64> { fields.get(number - 3)?.parse().ok() };
    let ticks = ticks(14).zip(ticks(15)).map(|(user, kernel)| user + kernel);
    // SAFETY: takes no pointers.
    let a_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    let ticks = ticks.with_context(|| format!("/proc/{pid}/stat: {text}"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / a_second as f64))
}

fn document(drains: &str, shares: &str, seconds: u64, machine: &str) -> String {
    format!(
        "# What the agent takes for itself\n\n\
         A release build on a node of the lab with {PODS} pods, which send to pods of other nodes (one \
         peer in {PODS_AMONG_PEERS}) and to hosts of the internet. A flow is a pod and a peer.\n\n\
         Measured on {machine}, by `cargo xtask bench agent --seconds {seconds} --write`. What is aimed \
         at stands behind *target*.\n\n\
         ## Drains\n\n\
         Milliseconds from the moment on when no program writes to the set any more (the wait for that, \
         an RCU grace period, takes no CPU time): all flows read out of the kernel's tables and put \
         together; then each named, classified and added to the totals; then the totals ready to be \
         shown. Medians of {DRAINS} drains and more, in brackets the lower and the upper quartile. An \
         agent says so of each drain with `ZONEMETER_LOG=debug`.\n\n\
         {drains}\n\n\
         ## CPU time\n\n\
         {} flows with a packet every {} s, drained every 5 s. User and kernel time of the process over \
         {seconds} s.\n\n\
         {shares}\n",
        SIZES[0],
        PASS.as_secs(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_read_from_the_log() {
        let log = "INFO zonemeter: started\n\
                   DEBUG zonemeter::pipeline::once: drained flows=50000 read_us=2100 \
                   added_us=14000 shown_us=15000\n";
        let found = drained(log).unwrap();
        assert_eq!((found.len(), found[0].flows), (1, 50_000));
        let row = drain_row(50_000, &found);
        assert_eq!(row[1], "2.1 ms (2.1 to 2.1), target 3");
        assert_eq!(row[3], "15.0 ms (15.0 to 15.0)");
    }
}
