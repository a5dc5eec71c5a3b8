//! Programs that run at the same time on several CPUs, and on a PREEMPT_RT kernel amid each other on
//! one: there are no tables there, and what several of them add to one counter is added atomically.

use std::{
    fs,
    os::fd::OwnedFd,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{
    Bench, Direction, Frame, PEER, PEER6, POD, POD6, TCP, UDP, flow, flow6, guard::run, of_flows,
    without_tables,
};
use zonemeter_model::traffic::{Count, Flow};

/// More than the CPUs of an emulated machine.
const THREADS: usize = 4;
const TURNS: u64 = 20;
const REPEAT: u32 = 500;

/// Runs the frames in turn, each many times at once, until all turns are over.
fn send(program: &OwnedFd, frames: &[Frame], at_work: &AtomicUsize) {
    for _ in 0..TURNS {
        for frame in frames {
            run(program, frame, REPEAT);
        }
    }
    at_work.fetch_sub(1, Ordering::Release);
}

#[tokio::test]
#[ignore = "needs root"]
async fn programs_that_may_interrupt_each_other_have_no_tables_and_lose_no_byte() {
    let text = fs::read_to_string("/sys/kernel/realtime").unwrap_or_default();
    let is_realtime = text.trim() == "1";
    let of_machine = of_flows(4096);
    assert_eq!(of_machine.capacity.slots == 0, is_realtime, "{of_machine}");
    let plan = match is_realtime {
        true => of_machine,
        false => without_tables(4096),
    };
    let mut bench = Bench::with(|settings| settings.plan = plan);
    let program = bench.attachable.programs.descriptor(Direction::Transmit);
    let program = program.expect("the program");
    // 20 + 20 + 100 and 40 + 8 + 52 bytes.
    let frames = [
        Frame::ipv4(POD, PEER).tcp(40000, 443, 100),
        Frame::ipv6(POD6, PEER6).udp(40000, 53, 52),
    ];
    let at_work = AtomicUsize::new(THREADS);
    let mut flows: Vec<Flow> = Vec::new();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| send(&program, &frames, &at_work));
        }
        while at_work.load(Ordering::Acquire) > 0 {
            flows.extend(bench.drain().flows);
        }
    });
    flows.extend(bench.drain().flows);
    let each = THREADS as u64 * TURNS * u64::from(REPEAT);
    for expected in [
        flow(TCP, (0, 443), (140 * each, each)),
        flow6(UDP, (0, 53), (100 * each, each)),
    ] {
        let of_peer = flows.iter().filter(|flow| flow.peer == expected.peer);
        let counted: Count = of_peer.map(|flow| flow.count).sum();
        assert_eq!(counted, expected.count, "{}", expected.peer);
    }
}
