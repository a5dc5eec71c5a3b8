//! What a packet costs beside a counter of pairs, both run by the kernel in turn: it must not grow.
//! Time on a shared machine is not steady; the shortest of many runs is nearly so.

use std::{
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    time::Duration,
};

use aya_obj::generated::bpf_cmd;

use super::{Bench, Direction, Frame, PEER, PEER6, POD, POD6, of_flows, yardstick};
use crate::syscall;

const ROUNDS: usize = 60;
const REPEAT: u32 = 2_000;
/// Of the pair counter's time above the empty program's. Measured were 0.31 and 0.40.
const MOST: [f64; 2] = [0.7, 0.75];

/// Instructions that the verifier may walk; before there were tables it was 8,168.
const MOST_WALKED: u32 = 60_000;

/// Has the kernel run a program so many times; nanoseconds of one run, by the kernel's clock.
pub(super) fn run(program: &OwnedFd, frame: &Frame, repeat: u32) -> f64 {
    run_with(program, &frame.bytes(), &[], repeat)
}

/// As [`run`], with what the kernel is to tell the program of the packet (`struct __sk_buff`).
pub(super) fn run_with(program: &OwnedFd, frame: &[u8], context: &[u8], repeat: u32) -> f64 {
    let mut attr = syscall::attr();
    attr.test.prog_fd = program.as_fd().as_raw_fd() as u32;
    attr.test.data_size_in = frame.len() as u32;
    attr.test.data_in = frame.as_ptr() as u64;
    if !context.is_empty() {
        attr.test.ctx_size_in = context.len() as u32;
        attr.test.ctx_in = context.as_ptr() as u64;
    }
    attr.test.repeat = repeat;
    // SAFETY: frame and context outlive the call, and are as long as is said.
    let result = unsafe { syscall::bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr) };
    result.expect("a test run");
    // SAFETY: the member that the command answered in.
    f64::from(unsafe { attr.test.duration })
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_packet_costs_hardly_more_than_with_a_counter_of_pairs() {
    let mut bench = Bench::with(|settings| settings.plan = of_flows(8192));
    let ipv4 = Frame::ipv4(POD, PEER).udp(40000, 53, 64);
    let ipv6 = Frame::ipv6(POD6, PEER6).udp(40000, 53, 64);
    let own = bench.attachable.programs.descriptor(Direction::Transmit);
    let own = own.expect("the program");
    let empty = yardstick::empty().expect("the empty program");
    let pairs = yardstick::pairs(30).expect("the pair counter");
    let mut least = [f64::INFINITY; 4];
    for _ in 0..ROUNDS {
        let runs = [
            (&empty, &ipv4),
            (&pairs, &ipv4),
            (&own, &ipv4),
            (&own, &ipv6),
        ];
        for (least, (program, frame)) in least.iter_mut().zip(runs) {
            *least = least.min(run(program, frame, REPEAT));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let [empty, pairs, ipv4, ipv6] = least;
    let above = |ns: f64| (ns - empty).max(1.0);
    println!("empty {empty} ns, pairs {pairs} ns, IPv4 {ipv4} ns, IPv6 {ipv6} ns");
    for (own, most) in [ipv4, ipv6].into_iter().zip(MOST) {
        assert!(above(own) <= most * above(pairs), "{least:?}");
    }
}

/// A million is what the kernel allows; what an old or slow CPU walks at each load is felt earlier.
#[tokio::test]
#[ignore = "needs root"]
async fn the_verifier_has_little_to_walk() {
    let mut bench = Bench::new();
    for direction in Direction::ALL {
        let program = bench.attachable.programs.descriptor(direction);
        let program = program.expect("the program");
        let path = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
        let told = std::fs::read_to_string(path).unwrap_or_default();
        let walked = told
            .lines()
            .find_map(|line| line.strip_prefix("verified_insns:"));
        // Linux 5.16 and newer tell.
        if let Some(walked) = walked {
            println!("{direction:?}: {} instructions", walked.trim());
            assert!(walked.trim().parse::<u32>().expect("a number") <= MOST_WALKED);
        }
    }
}
