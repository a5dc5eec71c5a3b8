//! Pods that come while the agent runs, agents that come while pods run, and an API that is
//! late.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use zonemeter_lab::{
    Agent, Count, Lab, Metrics, Plan, Pod, PodPlan, SILENCE, Source, oracle,
    traffic::{self, Datagrams},
    with_both_sources,
};

with_both_sources! {
    a_pod_that_the_api_names_three_seconds_late_gets_all_its_bytes,
    a_pod_that_goes_keeps_what_it_sent,
}

fn plan(name: &str, source: Source) -> Plan {
    Plan::new(name)
        .source(source)
        .pod(PodPlan::new("default", "a", "a1"))
        .pod(PodPlan::new("default", "b", "b1"))
}

fn before_attach(metrics: &Metrics, direction: &str) -> u64 {
    metrics.sum(
        "zonemeter_before_attach_bytes_total",
        &[("direction", direction)],
    )
}

/// Waits until the pods' own chatter at start is over; returns the sum of their veths' counters,
/// received (from the pods) and sent, less Ethernet headers.
fn quiet(pods: &[&Pod]) -> (Count, Count) {
    let read = || {
        let counts = pods
            .iter()
            .map(|pod| pod.interface_count().unwrap().layer_3());
        counts.fold(
            (Count::default(), Count::default()),
            |(received, sent), count| (received + count.received, sent + count.sent),
        )
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut last = read();
    loop {
        thread::sleep(SILENCE);
        let now = read();
        if now == last {
            return now;
        }
        assert!(Instant::now() < deadline, "the pods do not fall silent");
        last = now;
    }
}

fn wait_for_interfaces(agent: &mut Agent, count: u64) {
    agent
        .wait_until(Duration::from_secs(10), |metrics| {
            metrics.sum("zonemeter_interfaces", &[]) == count
        })
        .unwrap();
}

fn wait_for_pods(agent: &mut Agent, count: u64) {
    agent
        .wait_until(Duration::from_secs(10), |metrics| {
            metrics.sum("zonemeter_cluster_objects", &[("kind", "Pod")]) == count
        })
        .unwrap();
}

#[test]
fn what_a_veth_carried_before_the_agent_came_is_reported_apart() {
    let lab = Lab::raise(plan("before-attach", Source::File)).unwrap();
    let (a, b) = (lab.pod("default/a").unwrap(), lab.pod("default/b").unwrap());
    let server = SocketAddr::new(b.address(), 7000);
    let what = Datagrams::new(100, 1000);
    traffic::udp_send(a.namespace(), b.namespace(), server, what).unwrap();
    let (received, sent) = quiet(&[&a]);
    assert!(received.bytes >= 102_800);

    let agent = lab.agent("a1").unwrap().flag("--interval", "100ms");
    let mut agent = agent.start_ready().unwrap();
    let metrics = agent.settled().unwrap();
    assert_eq!(before_attach(&metrics, "transmit"), received.bytes);
    assert_eq!(before_attach(&metrics, "receive"), sent.bytes);
    assert_eq!(
        metrics.sum("zonemeter_pod_bytes_total", &[("scope", "cross_zone")]),
        0
    );

    // From here on every byte has a name, and the old ones stay where they are.
    traffic::udp_send(a.namespace(), b.namespace(), server, what).unwrap();
    let metrics = agent.settled().unwrap();
    let labels = [
        ("pod", "a"),
        ("scope", "cross_zone"),
        ("direction", "transmit"),
    ];
    assert_eq!(metrics.sum("zonemeter_pod_bytes_total", &labels), 102_800);
    assert_eq!(before_attach(&metrics, "transmit"), received.bytes);
}

#[test]
fn a_pod_that_comes_while_the_agent_runs_is_counted_from_its_first_packet_after_attach() {
    let mut lab = Lab::raise(plan("new-veth", Source::File)).unwrap();
    let agent = lab.agent("a1").unwrap().flag("--interval", "100ms");
    let mut agent = agent.start_ready().unwrap();
    wait_for_interfaces(&mut agent, 1);
    let (earlier_transmit, earlier_receive) = {
        let metrics = agent.settled().unwrap();
        (
            before_attach(&metrics, "transmit"),
            before_attach(&metrics, "receive"),
        )
    };
    let late = lab.add_pod(PodPlan::new("default", "late", "a1")).unwrap();
    let b = lab.pod("default/b").unwrap();
    // At once: some of these packets may come before the program is on the veth.
    traffic::ping(late.namespace(), b.address(), 3).unwrap();
    wait_for_interfaces(&mut agent, 2);
    let server = SocketAddr::new(b.address(), 7000);
    let what = Datagrams::new(500, 1000);
    traffic::udp_send(late.namespace(), b.namespace(), server, what).unwrap();

    let (received, sent) = quiet(&[&late]);
    let metrics = agent.settled().unwrap();
    let named = |direction| {
        let labels = [("pod", "late"), ("direction", direction)];
        metrics.sum("zonemeter_pod_bytes_total", &labels)
    };
    for (direction, veth, earlier) in [
        ("transmit", received, earlier_transmit),
        ("receive", sent, earlier_receive),
    ] {
        let accounted = named(direction) + before_attach(&metrics, direction) - earlier;
        let missing = veth.bytes.checked_sub(accounted).unwrap();
        // The veth's counters hold ARP as well, 28 bytes past the Ethernet header.
        assert!(
            missing % 28 == 0 && missing <= 10 * 28,
            "{direction}: {missing} of {veth:?}"
        );
    }
    assert!(
        named("transmit") >= 500 * 1028,
        "all that came after the attach is the pod's"
    );
}

fn a_pod_that_the_api_names_three_seconds_late_gets_all_its_bytes(source: Source) {
    let mut lab = Lab::raise(plan("late-api", source)).unwrap();
    let mut agents = lab
        .start_agents(|agent| agent.flag("--interval", "100ms"))
        .unwrap();
    wait_for_interfaces(&mut agents[0], 1);
    let late = lab.wire_pod(PodPlan::new("default", "late", "a1")).unwrap();
    wait_for_interfaces(&mut agents[0], 2);
    let wired = Instant::now();
    let (a, b) = (lab.pod("default/a").unwrap(), lab.pod("default/b").unwrap());
    let mut sent = 0;
    while wired.elapsed() < Duration::from_secs(3) {
        for (index, peer) in [&a, &b].into_iter().enumerate() {
            let server = SocketAddr::new(peer.address(), 7000 + index as u16);
            let what = Datagrams::new(20, 1000);
            traffic::udp_send(late.namespace(), peer.namespace(), server, what).unwrap();
            sent += 20 * 1028;
        }
    }
    let metrics = agents[0].settled().unwrap();
    let pending = metrics.sum("zonemeter_pending_bytes", &[("direction", "transmit")]);
    assert!(
        pending >= sent,
        "{pending} B held back of {sent} B that nobody has a name for"
    );
    assert_eq!(
        metrics.sum("zonemeter_pod_bytes_total", &[("pod", "late")]),
        0
    );

    lab.announce(&late).unwrap();
    oracle::wait_exact(&lab, &mut agents, &[]).unwrap();
    let metrics = agents[0].settled().unwrap();
    let unknown = [("reason", "unknown_pod")];
    assert_eq!(
        metrics.sum("zonemeter_unattributed_bytes_total", &unknown),
        0
    );
    let labels = [("pod", "late"), ("direction", "transmit")];
    assert!(metrics.sum("zonemeter_pod_bytes_total", &labels) >= sent);
}

fn a_pod_that_goes_keeps_what_it_sent(source: Source) {
    let mut lab = Lab::raise(plan("gone", source)).unwrap();
    let agent = lab.agent("a1").unwrap().flag("--interval", "100ms");
    let mut agent = agent.start_ready().unwrap();
    let short = lab.add_pod(PodPlan::new("default", "short", "a1")).unwrap();
    wait_for_interfaces(&mut agent, 2);
    wait_for_pods(&mut agent, 3);
    let b = lab.pod("default/b").unwrap();
    let server = SocketAddr::new(b.address(), 7000);
    let what = Datagrams::new(100, 1000);
    traffic::udp_send(short.namespace(), b.namespace(), server, what).unwrap();
    // Gone before the next drain: veth and API object together.
    lab.unwire_pod(&short).unwrap();
    lab.withdraw(&short).unwrap();
    let labels = [
        ("pod", "short"),
        ("direction", "transmit"),
        ("scope", "cross_zone"),
    ];
    let metrics = agent
        .wait_until(Duration::from_secs(15), |metrics| {
            metrics.sum("zonemeter_pod_bytes_total", &labels) >= 102_800
        })
        .unwrap();
    assert_eq!(metrics.sum("zonemeter_pod_bytes_total", &labels), 102_800);
    wait_for_interfaces(&mut agent, 1);
}

/// Once the API has a pod's address, the next drain names what the pod has sent: measured from
/// the API server's answer to the address until a scrape shows all of it, at five moments.
#[test]
fn a_new_pods_traffic_has_its_name_within_one_interval_of_its_address() {
    const INTERVAL: Duration = Duration::from_secs(2);
    /// Delivery by the watch, the drain itself and the scrapes, on a busy machine.
    const MARGIN: Duration = Duration::from_millis(700);
    let mut lab = Lab::raise(plan("named-in-time", Source::Api)).unwrap();
    let agent = lab.agent("a1").unwrap().flag("--interval", "2s");
    let mut agent = agent.start_ready().unwrap();
    let b = lab.pod("default/b").unwrap();
    let mut took = Vec::new();
    for round in 0..5 {
        let name = format!("new-{round}");
        let new = lab.wire_pod(PodPlan::new("default", &name, "a1")).unwrap();
        wait_for_interfaces(&mut agent, 2 + round);
        let server = SocketAddr::new(b.address(), 7000);
        let what = Datagrams::new(50, 1000);
        traffic::udp_send(new.namespace(), b.namespace(), server, what).unwrap();
        // Drained, and without a name.
        agent
            .wait_until(Duration::from_secs(15), |metrics| {
                metrics.sum("zonemeter_pending_bytes", &[("direction", "transmit")]) >= 50 * 1028
            })
            .unwrap();
        thread::sleep(INTERVAL * round as u32 / 5);
        lab.announce(&new).unwrap();
        let known = Instant::now();
        let labels = [
            ("pod", name.as_str()),
            ("scope", "cross_zone"),
            ("direction", "transmit"),
        ];
        agent
            .wait_until(Duration::from_secs(15), |metrics| {
                metrics.sum("zonemeter_pod_bytes_total", &labels) == 50 * 1028
            })
            .unwrap();
        took.push(known.elapsed());
    }
    println!("named after {took:?}");
    assert!(
        took.iter().all(|took| *took <= INTERVAL + MARGIN),
        "{took:?}"
    );
}
