//! The pin directory is removed, taken, or its file system unmounted, under the agent.

use std::{fs, time::Duration};

use zonemeter_lab::{PodPlan, mount::Mount, pinned, until};

use super::{DATAGRAM, counted, is_exact, plan, raise, ready, send, wait_for_pod};

/// Everything is pinned again: the next agent goes on where a killed one stopped.
#[test]
fn a_removed_directory_is_made_again_and_nothing_is_lost() {
    let (mut lab, client, far) = raise("pins-removed");
    for mode in ["tcx", "tc"] {
        let mut agent = plan(&lab, mode).start_ready().unwrap();
        let pins = client.node().pin_directory();
        let links = if mode == "tcx" { 2 } else { 0 };
        is_exact(&mut agent, &client, &far);
        let maps = pinned(pins, "maps");
        assert!(maps >= 13 && pinned(pins, "links") == links);
        fs::remove_dir_all(pins).unwrap();
        until(Duration::from_secs(3), "new pins", || {
            ((pinned(pins, "maps"), pinned(pins, "links")) == (maps, links)).then_some(())
        })
        .unwrap();
        let late = format!("late-{mode}");
        let late = lab.add_pod(PodPlan::new("default", &late, "a1")).unwrap();
        wait_for_pod(&mut agent, &lab, &late, 2);
        is_exact(&mut agent, &late, &far);
        assert_eq!(ready(&agent), "ready\n");
        let before = counted(&agent.settled().unwrap(), &client)[0];
        agent.kill().unwrap();
        send(&client, &far, 50);
        agent.restart().unwrap();
        let after = counted(&agent.settled().unwrap(), &client)[0];
        assert_eq!(after - before, 50 * DATAGRAM, "{mode}");
        is_exact(&mut agent, &client, &far);
        agent.stop().unwrap();
        lab.withdraw(&late).unwrap();
        lab.unwire_pod(&late).unwrap();
    }
}

/// New pods are attached to all the same, and pinned when there is a file system again.
#[test]
fn without_a_bpf_file_system_pods_are_counted_and_the_lack_is_said() {
    let (mut lab, client, far) = raise("pins-unmounted");
    let mount = Mount::new(&["-t", "bpf", "bpf"]).unwrap();
    let pins = mount.path().join("zonemeter");
    let plan = plan(&lab, "tcx").flag("--pin-dir", &pins);
    let mut agent = plan.start_ready().unwrap();
    mount.unmount().unwrap();
    until(Duration::from_secs(3), "the lack in /readyz", || {
        ready(&agent)
            .contains("pin_directory: counting goes on")
            .then_some(())
    })
    .unwrap();
    assert!(!pins.exists(), "no folder on another file system");
    let late = lab.add_pod(PodPlan::new("default", "late", "a1")).unwrap();
    wait_for_pod(&mut agent, &lab, &late, 2);
    is_exact(&mut agent, &late, &far);
    is_exact(&mut agent, &client, &far);
    mount.mount().unwrap();
    until(Duration::from_secs(3), "readiness", || {
        (ready(&agent) == "ready\n").then_some(())
    })
    .unwrap();
    assert_eq!(pinned(&pins, "links"), 4);
    let before = counted(&agent.settled().unwrap(), &late)[0];
    agent.kill().unwrap();
    send(&late, &far, 50);
    agent.restart().unwrap();
    let after = counted(&agent.settled().unwrap(), &late)[0];
    assert_eq!(after - before, 50 * DATAGRAM);
    agent.kill().unwrap();
}

/// Two agents would drain the same maps one day: the one that lost its directory ends.
#[test]
fn an_agent_whose_directory_another_one_has_taken_ends() {
    let (lab, client, far) = raise("pins-taken");
    let first = plan(&lab, "tcx");
    let mut agent = first.start_ready().unwrap();
    agent.signal(libc::SIGSTOP).unwrap();
    let pins = client.node().pin_directory();
    fs::remove_dir_all(pins).unwrap();
    let second = plan(&lab, "tcx").second().flag("--pin-dir", pins);
    let mut second = second.start_ready().unwrap();
    agent.signal(libc::SIGCONT).unwrap();
    let status = agent.wait_end(Duration::from_secs(10)).unwrap();
    assert!(!status.success());
    let log = agent.log().unwrap();
    assert!(log.contains("another agent uses it now"), "{log}");
    is_exact(&mut second, &client, &far);
}
