//! Things that do not answer: a disk, another agent, a file that nobody writes to. Pods are attached
//! to all the same, and SIGTERM ends the process in time.

use std::{
    ffi::CString,
    fs,
    os::unix::ffi::OsStrExt as _,
    time::{Duration, Instant},
};

use zonemeter_lab::{
    Agent, Pod, PodPlan,
    foreign::{Hook, index, tcx_programs},
    until,
};

use super::{DATAGRAM, carried, counted, plan, raise, send, slow_disk::SlowDisk};

/// Within which SIGTERM must end the process.
const END: Duration = Duration::from_secs(5);

fn ends_in_time(agent: &mut Agent, what: &str) {
    let began = Instant::now();
    assert!(agent.stop().unwrap().success(), "{what}");
    let took = began.elapsed();
    println!("{what}: ended {took:?} after SIGTERM");
    assert!(took < END, "{what}: {took:?}");
}

/// A write that never ends keeps no pod uncounted and nothing from ending, and what it was about
/// is counted once, whether the process is then killed or asked to end.
#[test]
fn a_disk_that_hangs_delays_numbers_only() {
    let (mut lab, client, far) = raise("slow-disk");
    let disk = SlowDisk::new();
    let state = client.node().directory().join("state");
    let mut slow = plan(&lab, "tcx");
    for (name, value) in disk.environment(&state) {
        slow = slow.env(name, value);
    }
    let mut agent = slow.start_ready().unwrap();
    let begun = counted(&agent.settled().unwrap(), &client)[0];
    for (round, kills) in [true, false].into_iter().enumerate() {
        send(&client, &far, 100);
        disk.hang();
        send(&client, &far, 100);
        let late = format!("late-{round}");
        let wired = Instant::now();
        let late = lab.add_pod(PodPlan::new("default", &late, "a1")).unwrap();
        until(Duration::from_secs(2), "attached", || {
            is_attached(&late).then_some(())
        })
        .unwrap();
        println!("attached within {:?} of its wiring", wired.elapsed());
        assert_eq!(agent.get("/livez").unwrap().status, 200);
        match kills {
            true => agent.kill().unwrap(),
            false => ends_in_time(&mut agent, "amid a write"),
        }
        disk.answer();
        send(&client, &far, 100);
        agent.restart().unwrap();
        let shown = counted(&agent.settled().unwrap(), &client)[0];
        let sent = 300 * DATAGRAM * (round as u64 + 1);
        assert_eq!(shown - begun, sent, "killed: {kills}");
    }
    assert!(carried(&client)[0] >= 600 * DATAGRAM);
}

fn is_attached(pod: &Pod) -> bool {
    let node = pod.node().namespace();
    let on = |hook| {
        let veth = index(node, pod.veth()).unwrap();
        !tcx_programs(node, veth, hook).unwrap().is_empty()
    };
    Hook::ALL.into_iter().all(on)
}

/// Each state that an agent can wait in: it lives, and ends when it is asked to.
#[test]
fn an_agent_that_waits_for_somebody_ends_when_asked() {
    let (lab, client, _) = raise("waits");
    let first = plan(&lab, "tcx").start_ready().unwrap();
    let pins = client.node().pin_directory();
    let state = client.node().directory().join("state");
    let pipe = client.node().directory().join("pipe");
    let path = CString::new(pipe.as_os_str().as_bytes()).unwrap();
    // SAFETY: a path with its terminating zero.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    for (flag, value) in [
        ("--pin-dir", pins),
        ("--state-dir", &state),
        ("--networks-file", &pipe),
        ("--cluster-file", &pipe),
    ] {
        let mut agent = plan(&lab, "tcx")
            .second()
            .flag(flag, value)
            .start()
            .unwrap();
        until(Duration::from_secs(10), "/livez", || {
            agent.get("/livez").ok()
        })
        .unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let answer = agent.get("/livez").unwrap();
        assert_eq!(answer.status, 200, "{flag}: {}", answer.body);
        assert_eq!(agent.get("/readyz").unwrap().status, 503, "{flag}");
        ends_in_time(&mut agent, flag);
    }
    fs::remove_file(&pipe).unwrap();
    drop(first);
}
