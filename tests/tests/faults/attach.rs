//! Attaching fails, comes late, or has much to do at once.

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use zonemeter_lab::{
    Agent, Lab, Metrics, PodPlan,
    foreign::{Hook, Program, Tcx, Verdict, index, tcx_programs},
    pinned, until,
};

use super::{
    DATAGRAM, before_attach, carried, interfaces, is_exact, plan, raise, send, wait_for_interfaces,
    wait_for_pod,
};

/// More than a TCX hook has room for (`BPF_MPROG_MAX`).
const TOO_MANY: usize = 65;

/// The hook to the pod has no room: the one from the pod is not kept either, and all that passed
/// until there is room is reported as such, once.
#[test]
fn a_hook_without_room_leaves_nothing_and_what_passed_is_reported() {
    let (lab, client, far) = raise("full-hook");
    let next = || Program::always(Verdict::Next).unwrap();
    let programs: Vec<Program> = (0..TOO_MANY).map(|_| next()).collect();
    let full = programs.iter();
    let full: Vec<Tcx> = full
        .map_while(|program| Tcx::first(program, &client, Hook::Egress).ok())
        .collect();
    assert!((60..TOO_MANY).contains(&full.len()), "{}", full.len());
    let mut agent = plan(&lab, "tcx").start_ready().unwrap();
    let failures = |metrics: &Metrics| metrics.sum("zonemeter_attach_failures_total", &[]);
    let patience = Duration::from_secs(5);
    agent
        .wait_until(patience, |metrics| failures(metrics) > 0)
        .unwrap();
    let node = client.node();
    let veth = index(node.namespace(), client.veth()).unwrap();
    // Each attempt holds the other hook for a moment.
    until(patience, "a free hook", || {
        let ingress = tcx_programs(node.namespace(), veth, Hook::Ingress).unwrap();
        ingress.is_empty().then_some(())
    })
    .unwrap();
    let said = super::ready(&agent);
    assert!(said.contains(client.veth()), "{said}");
    send(&far, &client, 500);
    send(&client, &far, 100);
    assert_eq!(interfaces(&agent.scrape().unwrap()), 0);
    let [transmit, receive] = carried(&client);
    assert!(receive >= 500 * 1028);

    drop(full);
    agent
        .wait_until(Duration::from_secs(31), |metrics| interfaces(metrics) == 1)
        .unwrap();
    let metrics = agent.settled().unwrap();
    let failed_attempts = super::counted(&metrics, &client);
    let before = before_attach(&metrics);
    // What an attempt that failed counted meanwhile is the pod's, and not reported again.
    assert_eq!(before[1], receive);
    assert!(before[0] + failed_attempts[0] <= transmit);
    is_exact(&mut agent, &client, &far);
    assert_eq!(pinned(node.pin_directory(), "links"), 2);
}

/// A veth goes and another one of the same name comes while the agent is held up.
#[test]
fn a_name_that_returns_is_another_interface() {
    let (mut lab, client, far) = raise("same-name");
    for mode in ["tcx", "tc"] {
        let mut agent = plan(&lab, mode).start_ready().unwrap();
        agent
            .wait_until(Duration::from_secs(10), |metrics| interfaces(metrics) == 1)
            .unwrap();
        let earlier = before_attach(&agent.settled().unwrap());
        agent.signal(libc::SIGSTOP).unwrap();
        let gone = lab.pod("default/client").unwrap();
        lab.withdraw(&gone).unwrap();
        lab.unwire_pod(&gone).unwrap();
        let client = lab.add_pod(PodPlan::new("default", "client", "a1"));
        let client = client.unwrap();
        send(&far, &client, 500);
        let passed = carried(&client);
        agent.signal(libc::SIGCONT).unwrap();
        let metrics = agent
            .wait_until(Duration::from_secs(2), |metrics| {
                before_attach(metrics)[1] - earlier[1] >= 500 * 1028
            })
            .unwrap();
        let reported = before_attach(&metrics);
        assert_eq!(
            [reported[0] - earlier[0], reported[1] - earlier[1]],
            passed,
            "{mode}"
        );
        is_exact(&mut agent, &client, &far);
        agent.stop().unwrap();
    }
    drop(client);
}

/// A pod comes, talks and goes while the agent is held up: what it received is said to be missed.
/// What it sent is not known: the kernel no longer tells it when the other end is gone.
#[test]
fn what_passed_on_a_veth_that_was_never_attached_to_is_reported() {
    let (mut lab, client, far) = raise("short-lived");
    for mode in ["tcx", "tc"] {
        let mut agent = plan(&lab, mode).start_ready().unwrap();
        agent
            .wait_until(Duration::from_secs(10), |metrics| interfaces(metrics) == 1)
            .unwrap();
        agent.signal(libc::SIGSTOP).unwrap();
        let short = lab.add_pod(PodPlan::new("default", "short", "a1")).unwrap();
        send(&far, &short, 200);
        let [_, receive] = carried(&short);
        assert!(receive >= 200 * DATAGRAM);
        lab.withdraw(&short).unwrap();
        lab.unwire_pod(&short).unwrap();
        agent.signal(libc::SIGCONT).unwrap();
        let missed = |metrics: &Metrics| {
            let labels = [("reason", "not_attached")];
            metrics.sum("zonemeter_missed_bytes_total", &labels)
        };
        let patience = Duration::from_secs(10);
        let metrics = agent.wait_until(patience, |metrics| missed(metrics) > 0);
        assert_eq!(missed(&metrics.unwrap()), receive, "{mode}");
        is_exact(&mut agent, &client, &far);
        agent.stop().unwrap();
    }
}

/// 250 veths come while the agent is held up, more than its socket holds messages for; then it
/// attaches to all of them, and to a pod that comes after them, whose route it learns.
#[test]
fn a_flood_of_veths_is_listed_and_attached_to() {
    let (mut lab, _, far) = raise("flood");
    for (mode, patience) in [("tc", 3), ("tcx", 15)] {
        let mut agent = plan(&lab, mode).start_ready().unwrap();
        agent.signal(libc::SIGSTOP).unwrap();
        many_veths(&lab, "add");
        agent.signal(libc::SIGCONT).unwrap();
        let began = Instant::now();
        wait_for_interfaces(&mut agent, 251, patience);
        println!("{mode}: 250 veths attached to after {:?}", began.elapsed());
        let log = agent.log().unwrap();
        assert!(log.contains("listing all links again"), "no overrun");
        let late = format!("late-{mode}");
        let late = lab.add_pod(PodPlan::new("default", &late, "a1")).unwrap();
        wait_for_pod(&mut agent, &lab, &late, 252);
        is_exact(&mut agent, &late, &far);
        many_veths(&lab, "del");
        lab.withdraw(&late).unwrap();
        lab.unwire_pod(&late).unwrap();
        wait_for_interfaces(&mut agent, 1, 15);
        agent.stop().unwrap();
    }
}

/// Both ends in the node's namespace, so that they go with it.
fn many_veths(lab: &Lab, verb: &str) {
    use std::io::Write as _;
    let node = lab.node("a1").unwrap();
    let lines: String = (0..250)
        .map(|number| match verb {
            "add" => format!("link add eni{number:011x} type veth peer name p{number}\n"),
            _ => format!("link del eni{number:011x}\n"),
        })
        .collect();
    let mut ip = Command::new("ip");
    ip.args(["-n", node.namespace().name(), "-batch", "-"]);
    let mut ip = ip.stdin(Stdio::piped()).spawn().unwrap();
    ip.stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    assert!(ip.wait().unwrap().success());
}

/// No descriptor is left for a link: the log names the limit, and the interface is counted once
/// there is one.
#[test]
fn a_limit_of_open_files_is_named() {
    let (mut lab, _, far) = raise("no-files");
    let mut agent = plan(&lab, "tcx").start_ready().unwrap();
    agent.settled().unwrap();
    let open = fs::read_dir(format!("/proc/{}/fd", agent.pid())).unwrap();
    let limit = lowest_free(open);
    let before = set_file_limit(&agent, limit);
    let late = lab.add_pod(PodPlan::new("default", "late", "a1")).unwrap();
    until(Duration::from_secs(10), "the limit in the log", || {
        let log = agent.log().unwrap();
        log.contains(&format!("may have {limit} open (RLIMIT_NOFILE)"))
            .then_some(())
    })
    .unwrap();
    send(&late, &far, 100);
    let passed = carried(&late);
    set_file_limit(&agent, before);
    agent
        .wait_until(Duration::from_secs(31), |metrics| interfaces(metrics) == 2)
        .unwrap();
    let metrics = agent.settled().unwrap();
    let reported = before_attach(&metrics);
    assert!(reported[0] >= passed[0], "{reported:?} {passed:?}");
    is_exact(&mut agent, &late, &far);
}

/// The number that the next descriptor would get.
fn lowest_free(open: fs::ReadDir) -> u64 {
    let numbers = open.map(|entry| {
        let name = entry.unwrap().file_name();
        name.to_str().unwrap().parse::<u64>().unwrap()
    });
    let used: BTreeSet<u64> = numbers.collect();
    (0..).find(|number| !used.contains(number)).unwrap()
}

/// Sets the soft limit and returns the one before.
fn set_file_limit(agent: &Agent, soft: u64) -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let call = |new: *const libc::rlimit, old: *mut libc::rlimit| {
        // SAFETY: one limit to read, or room for one.
        unsafe { libc::prlimit(agent.pid() as libc::pid_t, libc::RLIMIT_NOFILE, new, old) }
    };
    assert_eq!(call(std::ptr::null(), &raw mut limit), 0);
    let before = std::mem::replace(&mut limit.rlim_cur, soft);
    assert_eq!(call(&raw const limit, std::ptr::null_mut()), 0);
    before
}
