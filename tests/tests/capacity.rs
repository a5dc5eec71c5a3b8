//! More flows than the map holds, and more traffic than is comfortable: detail may go, bytes may
//! not.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]
#![expect(
    clippy::print_stdout,
    reason = "how much passed, for whoever looks into a loss"
)]

use std::{
    env,
    net::SocketAddr,
    panic, thread,
    time::{Duration, Instant},
};

use zonemeter_lab::{
    Agent, Count, Lab, Metrics, Plan, PodPlan, SILENCE, Source, backlog_drops, oracle, traffic,
};

/// How long the two senders run: a hundred drains, or a minute with `ZONEMETER_FULL_SIZE` set.
fn load() -> Duration {
    Duration::from_secs(if env::var_os("ZONEMETER_FULL_SIZE").is_some() {
        60
    } else {
        20
    })
}

fn seen(metrics: &Metrics, direction: &str) -> Count {
    let sum = |unit| {
        metrics.sum(
            &format!("zonemeter_interface_{unit}_total"),
            &[("direction", direction)],
        )
    };
    Count {
        bytes: sum("bytes"),
        packets: sum("packets"),
    }
}

/// Waits until the pods' own chatter at start (multicast reports) is over on every node.
fn quiet(agents: &mut [Agent]) -> Vec<Metrics> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let all_seen = |metrics: &[Metrics]| -> Vec<Count> {
        metrics.iter().map(|one| seen(one, "transmit")).collect()
    };
    let mut last = Agent::all_settled(agents).unwrap();
    loop {
        thread::sleep(SILENCE);
        let now = Agent::all_settled(agents).unwrap();
        if all_seen(&now) == all_seen(&last) {
            return now;
        }
        assert!(Instant::now() < deadline, "the pods do not fall silent");
        last = now;
    }
}

#[test]
fn ten_thousand_flows_in_a_map_of_64_stay_their_pods_with_tcx() {
    ten_thousand_flows("tiny-map-tcx", "tcx");
}

#[test]
fn ten_thousand_flows_in_a_map_of_64_stay_their_pods_with_clsact() {
    ten_thousand_flows("tiny-map-tc", "tc");
}

fn ten_thousand_flows(name: &str, mode: &str) {
    let plan = Plan::new(name)
        .pod(PodPlan::new("default", "client", "a1"))
        .pod(PodPlan::new("default", "server", "b1"));
    let lab = Lab::raise(plan).unwrap();
    let mut agents = lab
        .start_agents(|agent| {
            agent
                .flag("--attach", mode)
                .flag("--interval", "1s")
                .flag("--max-flows", "64")
                .flag("--flow-ports", "full")
        })
        .unwrap();
    let (client, server) = (
        lab.pod("default/client").unwrap(),
        lab.pod("default/server").unwrap(),
    );
    let before = quiet(&mut agents);
    let to = SocketAddr::new(server.address(), 7000);
    traffic::udp_flows(
        client.namespace(),
        server.namespace(),
        to,
        10_000..20_000,
        100,
    )
    .unwrap();

    let wire = lab.between(client.address(), server.address()).unwrap();
    assert_eq!(
        wire,
        Count {
            bytes: 1_280_000,
            packets: 10_000
        }
    );
    for (node, direction) in [(0, "transmit"), (2, "receive")] {
        let after = agents[node].settled().unwrap();
        assert_eq!(
            seen(&after, direction) - seen(&before[node], direction),
            wire
        );
        let pod = ["client", "server"][node / 2];
        let of_pod = |scope| {
            let labels = [("direction", direction), ("pod", pod), ("scope", scope)];
            let sum = |unit| after.sum(&format!("zonemeter_pod_{unit}_total"), &labels);
            Count {
                bytes: sum("bytes"),
                packets: sum("packets"),
            }
        };
        let (named, overflow) = (of_pod("cross_zone"), of_pod("unknown"));
        assert!(named.packets > 0, "{direction}: what did fit is named");
        assert!(
            overflow.packets > 0,
            "{direction}: 10,000 flows cannot fit into 64 entries"
        );
        // Every byte is the pod's, with or without its peer.
        assert_eq!(named + overflow, wire, "{direction}: {named:?} with a peer");
        let labels = [
            ("direction", direction),
            ("scope", "unknown"),
            ("peer_workload", "other"),
        ];
        let other = after.sum("zonemeter_workload_bytes_total", &labels);
        assert_eq!(other, overflow.bytes, "{direction}");
        let counted = after.sum(
            "zonemeter_flow_overflow_bytes_total",
            &[("direction", direction)],
        );
        assert_eq!(counted, overflow.bytes, "{direction}");
        let nobody = after.sum(
            "zonemeter_unattributed_bytes_total",
            &[("direction", direction)],
        );
        assert_eq!(nobody, 0, "{direction}");
    }
}

/// With both sources in the same minute.
#[test]
fn two_senders_at_full_speed_lose_nothing_to_the_drain() {
    let runs = [Source::File, Source::Api].map(|source| thread::spawn(move || full_speed(source)));
    for run in runs {
        run.join()
            .unwrap_or_else(|panic| panic::resume_unwind(panic));
    }
}

/// One sender with super-packets to another zone and one with small datagrams inside the node,
/// both as fast as they go, under a drain every 200 ms.
fn full_speed(source: Source) {
    let plan = Plan::new("load")
        .source(source)
        .pod(PodPlan::new("default", "bulk", "a1"))
        .pod(PodPlan::new("default", "sink", "b1"))
        .pod(PodPlan::new("default", "small", "a1").without_offloads())
        .pod(PodPlan::new("default", "neighbour", "a1"));
    let lab = Lab::raise(plan).unwrap();
    let mut agents = lab
        .start_agents(|agent| agent.flag("--interval", "200ms"))
        .unwrap();
    let pod = |name: &str| lab.pod(&format!("default/{name}")).unwrap();
    let (bulk, sink, small, neighbour) = (pod("bulk"), pod("sink"), pod("small"), pod("neighbour"));
    // What the pods said before the programs were on their veths is not this test's matter.
    quiet(&mut agents[..1]);
    let veth = || small.interface_count().unwrap().layer_3().received;
    let shown = |metrics: &Metrics| {
        let labels = [("pod", "small"), ("direction", "transmit")];
        let sum = |unit| metrics.sum(&format!("zonemeter_pod_{unit}_total"), &labels);
        Count {
            bytes: sum("bytes"),
            packets: sum("packets"),
        }
    };
    let (veth_before, shown_before) = (veth(), shown(&agents[0].settled().unwrap()));
    let drops = backlog_drops().unwrap();
    let tcp = traffic::tcp_flood(
        bulk.namespace(),
        sink.namespace(),
        SocketAddr::new(sink.address(), 9000),
        load(),
    )
    .unwrap();
    let udp = traffic::udp_flood(
        small.namespace(),
        neighbour.namespace(),
        SocketAddr::new(neighbour.address(), 9001),
        64,
        load(),
    )
    .unwrap();
    while !(tcp.is_over() && udp.is_over()) {
        // Each scrape checks conservation in the middle of the load.
        agents[0].scrape().unwrap();
        thread::sleep(Duration::from_millis(500));
    }
    let payload = tcp.finish().unwrap();
    udp.finish().unwrap();

    // Datagrams: the veth's own counter stands at the tc hook, so nothing is lost between them.
    let passed = veth() - veth_before;
    let metrics = agents[0].settled().unwrap();
    let missing = passed - (shown(&metrics) - shown_before);
    // ARP passes the veth and is no IP: 28 bytes past the Ethernet header.
    assert_eq!(
        missing.bytes,
        28 * missing.packets,
        "{missing:?} of {passed:?}"
    );
    assert!(missing.packets < 100, "{missing:?} of {passed:?}");

    // TCP: the far end of the uplink.
    let wire = lab.between(bulk.address(), sink.address()).unwrap();
    let labels = [
        ("pod", "bulk"),
        ("direction", "transmit"),
        ("scope", "cross_zone"),
    ];
    let counted = Count {
        bytes: metrics.sum("zonemeter_pod_bytes_total", &labels),
        packets: metrics.sum("zonemeter_pod_packets_total", &labels),
    };
    let dropped = backlog_drops().unwrap() - drops;
    println!(
        "TCP {payload} B payload, {wire:?}; UDP {passed:?}; {dropped} packets dropped by queues"
    );
    assert!(wire.bytes > payload);
    assert_eq!(
        counted, wire,
        "{dropped} packets were dropped by queues of this machine"
    );
    for agent in &agents {
        oracle::check_families(&agent.scrape().unwrap()).unwrap();
    }
}
