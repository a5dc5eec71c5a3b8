//! The drain: each byte once, whatever the size of the maps.

use zonemeter_model::traffic::{Count, Direction, Overflow};

use super::{Bench, Frame, LOOPBACK, PEER, POD, TCP, UDP, flow, to_peers, without_tables};

#[tokio::test]
#[ignore = "needs root"]
async fn what_finds_no_room_loses_detail_and_no_bytes() {
    let mut bench = Bench::with(|settings| settings.plan = without_tables(8));
    for frame in to_peers(100) {
        bench.run(Direction::Transmit, &frame);
    }
    let drain = bench.drain();
    // An interface gets another entry while it has fewer than are free.
    assert_eq!(drain.flows.len(), 4);
    assert_eq!(
        drain.seen[0],
        Count {
            bytes: 100 * 100,
            packets: 100
        }
    );
    let overflow = Overflow {
        interface: LOOPBACK,
        direction: Direction::Transmit,
        count: Count {
            bytes: 96 * 100,
            packets: 96,
        },
    };
    assert_eq!(drain.overflow, [overflow]);
    assert_eq!(drain.unplaced, [Count::ZERO; 2]);
    // Drained once, in each of the two sets.
    for _ in 0..2 {
        assert_eq!(bench.drain().overflow, []);
    }
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_drain_brings_each_byte_once() {
    let mut bench = Bench::new();
    let frame = Frame::ipv4(POD, PEER).tcp(40000, 80, 60);
    bench.run(Direction::Transmit, &frame);
    let first = bench.kernel.drain().expect("drain");
    // A drain that was not cleared is read again, not replaced.
    bench.run(Direction::Transmit, &frame);
    let again = bench.kernel.drain().expect("drain");
    assert_eq!((first.epoch, &first.flows), (again.epoch, &again.flows));
    bench.kernel.clear().expect("clear");
    let second = bench.drain();
    assert_eq!(second.epoch, first.epoch + 1);
    assert_eq!(second.flows, [flow(TCP, (0, 80), (100, 1))]);
    assert!(bench.drain().flows.is_empty());
}

#[tokio::test]
#[ignore = "needs root"]
async fn more_flows_than_one_batch_are_all_read() {
    let mut bench = Bench::with(|settings| settings.plan = without_tables(100_000));
    for frame in to_peers(50_000) {
        bench.run(Direction::Transmit, &frame);
    }
    let drain = bench.drain();
    assert_eq!(drain.flows.len(), 50_000);
    assert_eq!(
        drain.seen[0],
        Count {
            bytes: 50_000 * 100,
            packets: 50_000
        }
    );
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_set_that_could_not_be_cleared_is_not_written_to() {
    let mut bench = Bench::with(|settings| settings.plan = without_tables(64));
    for frame in to_peers(3) {
        bench.run(Direction::Transmit, &frame);
    }
    let first = bench.kernel.drain().expect("drain");
    bench.kernel.sets.spoil_clearing().expect("one flow less");
    assert!(bench.kernel.clear().is_err());
    let late = Frame::ipv4(POD, PEER).udp(9, 9, 72);
    bench.run(Direction::Transmit, &late);
    let again = bench.kernel.drain().expect("drain");
    assert_eq!((first.instance, first.epoch), (again.instance, again.epoch));
    bench.kernel.clear().expect("what is left of it");
    assert_eq!(bench.drain().flows, [flow(UDP, (9, 9), (100, 1))]);
    // The set that could not be cleared at first.
    assert!(bench.drain().flows.is_empty());
}
