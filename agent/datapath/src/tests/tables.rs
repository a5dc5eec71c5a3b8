//! Where a flow finds its place: a slot, an entry, its interface.

use std::time::Instant;

use zonemeter_model::traffic::{Count, Direction, Flow};

use super::{
    Bench, Frame, PEER, PEER6, POD, POD6, TCP, UDP, flow, flow6, of_flows, stay_on_this_cpu,
    to_peers, to_scattered_peers, with_tables, without_tables,
};
use crate::grace;

fn sorted(mut flows: Vec<Flow>) -> Vec<Flow> {
    flows.sort_by_key(|flow| (flow.direction, flow.peer, flow.local_port, flow.peer_port));
    flows
}

fn received(flow: Flow) -> Flow {
    Flow {
        direction: Direction::Receive,
        ..flow
    }
}

/// Frames from and to the pod, over both families, and what they are.
fn conversation() -> (Vec<(Direction, Frame)>, Vec<Flow>) {
    let frames = vec![
        (
            Direction::Transmit,
            Frame::ipv4(POD, PEER).tcp(40000, 443, 60),
        ),
        (
            Direction::Receive,
            Frame::ipv4(PEER, POD).tcp(443, 40000, 160),
        ),
        (
            Direction::Transmit,
            Frame::ipv4(POD, PEER).tcp(40001, 443, 60),
        ),
        (
            Direction::Receive,
            Frame::ipv6(PEER6, POD6).udp(53, 40000, 52),
        ),
        (
            Direction::Transmit,
            Frame::ipv6(POD6, PEER6).udp(40000, 53, 2),
        ),
        (
            Direction::Receive,
            Frame::ipv6(PEER6, POD6).udp(53, 40001, 52),
        ),
    ];
    let flows = vec![
        flow(TCP, (0, 443), (200, 2)),
        flow6(UDP, (0, 53), (50, 1)),
        received(flow(TCP, (0, 443), (200, 1))),
        received(flow6(UDP, (0, 53), (200, 2))),
    ];
    (frames, sorted(flows))
}

#[tokio::test]
#[ignore = "needs root"]
async fn both_directions_of_both_families_are_counted_with_tables_and_without() {
    let (frames, expected) = conversation();
    for plan in [of_flows(4096), without_tables(4096)] {
        let mut bench = Bench::with(|settings| settings.plan = plan);
        for _ in 0..3 {
            for (direction, frame) in &frames {
                bench.run(*direction, frame);
            }
            assert_eq!(sorted(bench.drain().flows), expected, "{plan}");
        }
    }
}

#[tokio::test]
#[ignore = "needs root"]
async fn ports_that_tell_no_flows_apart_are_noted_and_that_there_were_others() {
    for plan in [of_flows(4096), without_tables(4096)] {
        let mut bench = Bench::with(|settings| settings.plan = plan);
        let to = |port| Frame::ipv4(POD, PEER).udp(40000, port, 72);
        // A fragment after the first has none, which is no other port.
        let later = Frame::ipv4(POD, PEER).fragment(185).raw(UDP, &[0; 80]);
        for frame in [&later, &to(443), &to(443), &later] {
            bench.run(Direction::Transmit, frame);
        }
        assert_eq!(bench.drain().flows, [flow(UDP, (0, 443), (400, 4))]);
        // Connections by turns, and back, which differ in the ephemeral port only.
        for client in [40000, 40001, 40000, 40001] {
            let frame = Frame::ipv4(POD, PEER).udp(client, 443, 72);
            bench.run(Direction::Transmit, &frame);
            let back = Frame::ipv4(PEER, POD).udp(443, client, 52);
            bench.run(Direction::Receive, &back);
        }
        let back = Flow {
            direction: Direction::Receive,
            ..flow(UDP, (0, 443), (320, 4))
        };
        let both = [flow(UDP, (0, 443), (400, 4)), back];
        assert_eq!(sorted(bench.drain().flows), both);
        for port in [443, 80, 443] {
            bench.run(Direction::Transmit, &to(port));
        }
        let others = Flow {
            other_ports: true,
            ..flow(UDP, (0, 443), (300, 3))
        };
        assert_eq!(bench.drain().flows, [others]);
        let to6 = |port| Frame::ipv6(POD6, PEER6).udp(40000, port, 52);
        for port in [443, 80] {
            bench.run(Direction::Transmit, &to6(port));
        }
        let others = Flow {
            other_ports: true,
            ..flow6(UDP, (0, 443), (200, 2))
        };
        assert_eq!(bench.drain().flows, [others]);
    }
}

/// A table of 32 slots on two CPUs, and a map of 32 entries: one interface takes half of each.
#[tokio::test]
#[ignore = "needs root"]
async fn small_tables_fill_up_and_no_byte_is_lost() {
    let plan = of_flows(64);
    let half = plan.capacity.slots.div_ceil(2) + plan.capacity.entries.div_ceil(2);
    let mut bench = Bench::with(|settings| settings.plan = plan);
    stay_on_this_cpu();
    for _ in 0..2 {
        for frame in to_peers(200) {
            bench.run(Direction::Transmit, &frame);
            bench.run(Direction::Transmit, &frame);
        }
        for index in 0..200 {
            let peer = format!("2001:db8:3::{index:x}");
            let frame = Frame::ipv6(POD6, &peer).udp(40000, 53, 52);
            bench.run(Direction::Transmit, &frame);
        }
        let drain = bench.drain();
        for is_ipv4 in [true, false] {
            let flows = drain.flows.iter();
            let flows = flows.filter(|flow| flow.local.is_ipv4() == is_ipv4);
            assert_eq!(flows.clone().count() as u32, half);
            let each = if is_ipv4 { 2 } else { 1 };
            assert!(flows.clone().all(|flow| flow.count.packets == each));
        }
        assert!(!drain.overflow.is_empty());
        assert_eq!(
            drain.seen[0],
            Count {
                bytes: 600 * 100,
                packets: 600
            }
        );
    }
}

/// Not even a slot for each interface, on two CPUs: none, one and three.
#[tokio::test]
#[ignore = "needs root"]
async fn tables_of_few_slots_lose_no_byte() {
    for flows in [1, 2, 7] {
        let mut bench = Bench::with(|settings| settings.plan = of_flows(flows));
        for _ in 0..3 {
            for frame in to_peers(20) {
                bench.run(Direction::Transmit, &frame);
            }
            let drain = bench.drain();
            assert_eq!(drain.seen[0].bytes, 20 * 100);
            assert_eq!(drain.unplaced, [Count::ZERO; 2]);
        }
    }
}

/// As after a process that died while it cleared the set: what is left is read again, under the same
/// epoch, and nothing of it comes once more.
#[tokio::test]
#[ignore = "needs root"]
async fn a_set_that_was_cleared_in_part_is_read_and_cleared_again() {
    let mut bench = Bench::with(|settings| settings.plan = with_tables(4096));
    let run = |bench: &mut Bench| {
        for (direction, frame) in conversation().0 {
            bench.run(direction, &frame);
        }
        for frame in to_peers(100) {
            bench.run(Direction::Transmit, &frame);
        }
    };
    for _ in 0..3 {
        run(&mut bench);
        let first = bench.kernel.drain().expect("drain");
        bench.kernel.sets.clear_tables_in_part(50);
        let again = bench.kernel.drain().expect("drain");
        assert_eq!((first.instance, first.epoch), (again.instance, again.epoch));
        assert!(again.flows.iter().all(|flow| first.flows.contains(flow)));
        assert!(again.flows.len() < first.flows.len());
        bench.kernel.clear().expect("clear");
        run(&mut bench);
        assert_eq!(sorted(bench.drain().flows), sorted(first.flows));
    }
    assert!(bench.drain().flows.is_empty());
}

/// Nearly all in slots: an interface alone gets half of a table, and few buckets are full earlier.
/// Run by a release build it tells how long a drain takes:
/// `cargo test --release -p zonemeter-datapath --lib fifty_thousand -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "needs root"]
async fn fifty_thousand_flows_are_read_and_cleared_in_place() {
    let mut bench = Bench::with(|settings| settings.plan = with_tables(131_072));
    stay_on_this_cpu();
    for _ in 0..3 {
        for frame in to_scattered_peers(30_000) {
            bench.run(Direction::Transmit, &frame);
        }
        for index in 0..20_000 {
            let peer = format!("2001:db8:3::{index:x}");
            let frame = Frame::ipv6(POD6, &peer).udp(40000, 53, 52);
            bench.run(Direction::Transmit, &frame);
        }
        let began = Instant::now();
        grace::wait().expect("a grace period");
        let waited = began.elapsed();
        let drain = bench.kernel.drain().expect("drain");
        let drained = began.elapsed() - waited;
        // Those whose bucket was full: one in two hundred.
        let entries = bench.kernel.sets.entries();
        assert!((1..1000).contains(&entries), "{entries} entries");
        bench.kernel.clear().expect("clear");
        let cleared = began.elapsed() - waited - drained;
        println!(
            "drained in {drained:?}, a grace period of some {waited:?} included; cleared in {cleared:?}"
        );
        assert_eq!((drain.flows.len(), drain.overflow.len()), (50_000, 0));
        assert!(drain.flows.iter().all(|flow| flow.count.packets == 1));
        let seen = Count {
            bytes: 50_000 * 100,
            packets: 50_000,
        };
        assert_eq!(drain.seen, [seen, Count::ZERO]);
    }
    assert!(bench.drain().flows.is_empty());
}
