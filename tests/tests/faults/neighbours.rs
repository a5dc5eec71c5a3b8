//! Two agents on one node, and filters of a kind that bars ours.

use std::{thread, time::Duration};

use zonemeter_lab::{
    Agent, Pod, agent_binary,
    foreign::{Program, Verdict, pin, tc},
    until,
};

use super::{DATAGRAM, counted, is_exact, plan, raise, ready, send};

/// In every pair of modes both count every byte, neither moves because of the other, also when one
/// of them is updated; and what one leaves is taken away without the other's.
#[test]
fn two_agents_count_every_byte_and_leave_each_other_alone() {
    let (lab, client, far) = raise("two-agents");
    for (first, second) in [("tcx", "tcx"), ("tc", "tc"), ("tcx", "tc")] {
        let mut first = plan(&lab, first).start_ready().unwrap();
        let second = plan(&lab, second).second();
        let mut other = second.start_ready().unwrap();
        both_are_exact([&mut first, &mut other], &client, &far);
        // The first one has met the second, which it would else not know any more.
        thread::sleep(Duration::from_millis(1200));
        other.stop().unwrap();
        other.restart().unwrap();
        both_are_exact([&mut first, &mut other], &client, &far);
        // Two looks and more.
        thread::sleep(Duration::from_millis(2500));
        for agent in [&first, &other] {
            let metrics = agent.scrape().unwrap();
            assert_eq!(metrics.sum("zonemeter_reattachments_total", &[]), 0);
            assert_eq!(metrics.sum("zonemeter_shadowed_interfaces", &[]), 0);
            assert_eq!(metrics.sum("zonemeter_missed_bytes_total", &[]), 0);
            assert_eq!(ready(agent), "ready\n");
        }
        other.stop().unwrap();
        remove(&client, "second");
        is_exact(&mut first, &client, &far);
        first.stop().unwrap();
        remove(&client, "");
    }
}

fn both_are_exact(agents: [&mut Agent; 2], client: &Pod, far: &Pod) {
    let shown = |agents: &mut [&mut Agent; 2]| {
        let of = |agent: &mut &mut Agent| counted(&agent.settled().unwrap(), client);
        [of(&mut agents[0]), of(&mut agents[1])]
    };
    let mut agents = agents;
    let before = shown(&mut agents);
    send(client, far, 30);
    send(far, client, 20);
    for (before, after) in before.into_iter().zip(shown(&mut agents)) {
        let passed = [after[0] - before[0], after[1] - before[1]];
        assert_eq!(passed, [30 * DATAGRAM, 20 * DATAGRAM]);
    }
}

fn remove(pod: &Pod, which: &str) {
    let pins = pod.node().pin_directory();
    let pins = match which {
        "" => pins.to_owned(),
        which => pins.with_file_name(format!("{}-{which}", pod.node().name())),
    };
    let mut command = pod.node().namespace().command(agent_binary().unwrap());
    let output = command.arg("remove").arg("--pin-dir").arg(pins).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    // Two links, or two filters.
    assert!(
        said.contains("removed 2 links") || said.contains(" 2 filters"),
        "{said}"
    );
}

/// Without pins, what a killed agent leaves counts into maps that nobody can open: the next one
/// takes it away.
#[test]
fn filters_of_a_killed_agent_without_pins_do_not_stay() {
    let (lab, client, far) = raise("orphans");
    let plan = plan(&lab, "tc").flag("--pin-dir", "");
    let mut agent = plan.start_ready().unwrap();
    for _ in 0..2 {
        is_exact(&mut agent, &client, &far);
        assert_eq!(filters(&client), 2);
        agent.kill().unwrap();
        agent.restart().unwrap();
    }
    assert_eq!(filters(&client), 2);
    is_exact(&mut agent, &client, &far);
    agent.stop().unwrap();
    assert_eq!(filters(&client), 0, "it takes its own along");
}

fn filters(pod: &Pod) -> usize {
    let shown = ["ingress", "egress"].map(|hook| {
        let shown = tc(pod, &format!("filter show dev VETH {hook}")).unwrap();
        shown.matches(" zonemeter_").count() - shown.matches(" name zonemeter_").count()
    });
    shown.iter().sum()
}

/// A filter of another protocol has the first priority: ours takes the next one, and as nothing puts
/// it in front, that is said.
#[test]
fn a_filter_of_another_protocol_is_counted_behind_and_said() {
    let (lab, client, far) = raise("other-kind");
    tc(&client, "qdisc add dev VETH clsact").unwrap();
    let program = Program::always(Verdict::Next).unwrap();
    let pinned = pin(&program, client.node(), "ipv4-only").unwrap();
    let add = "filter add dev VETH ingress prio 1 protocol ip bpf da object-pinned";
    tc(&client, &format!("{add} {}", pinned.display())).unwrap();
    let mut agent = plan(&lab, "tc").start_ready().unwrap();
    let metrics = agent.settled().unwrap();
    assert_eq!(metrics.sum("zonemeter_shadowed_interfaces", &[]), 1);
    assert_eq!(metrics.sum("zonemeter_reattachments_total", &[]), 0);
    assert!(ready(&agent).contains("runs first"), "{}", ready(&agent));
    is_exact(&mut agent, &client, &far);
    tc(&client, "filter del dev VETH ingress prio 1").unwrap();
    until(Duration::from_secs(3), "readiness", || {
        (ready(&agent) == "ready\n").then_some(())
    })
    .unwrap();
    is_exact(&mut agent, &client, &far);
}
