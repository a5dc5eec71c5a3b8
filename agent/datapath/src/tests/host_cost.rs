//! What the node's own bytes cost a packet, each program run by the kernel in turn, beside a counter of
//! pairs. As in [`guard`](super::guard), the shortest of many runs is nearly steady.

use std::{os::fd::OwnedFd, time::Duration};

use super::{
    Bench, Direction, Frame, LOOPBACK, PEER, POD, Role, guard::run_with, of_flows, yardstick,
};

const ROUNDS: usize = 60;
const REPEAT: u32 = 2_000;
/// Of the pair counter's time above the empty program's: by how much a packet to a pod may cost more
/// than one from it. Measured was 0.04.
const MOST_FOR_THE_TOTAL: f64 = 0.3;
/// Of the same, above the empty program's time: at uplinks a packet that is added to totals only, and
/// one of the node's own there or in its cgroup. Measured were 0.2 and 0.3, 1.7 and 2.3.
const MOST_AT_UPLINKS: f64 = 0.8;
const MOST_OF_HOST: f64 = 4.0;

/// A program, and the packet that it is run on.
struct Run {
    program: OwnedFd,
    frame: Vec<u8>,
    context: [u8; 192],
}

impl Run {
    fn new(program: OwnedFd, frame: &Frame) -> Self {
        Self {
            program,
            frame: frame.bytes(),
            context: frame.context(),
        }
    }

    /// The packet came in by this interface (`ingress_ifindex` of `struct __sk_buff`).
    fn came_by(mut self, interface: u32) -> Self {
        self.context[36..40].copy_from_slice(&interface.to_ne_bytes());
        self
    }
}

/// The shortest time of each.
fn least<const N: usize>(runs: [Run; N]) -> [f64; N] {
    let mut least = [f64::INFINITY; N];
    for _ in 0..ROUNDS {
        for (least, run) in least.iter_mut().zip(&runs) {
            let took = run_with(&run.program, &run.frame, &run.context, REPEAT);
            *least = least.min(took);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    least
}

/// What a pod sends is not asked for where it came from; what it gets is, for the total of what came
/// by an uplink. That is all that the node's own bytes cost a pod's packets on its veth. On an uplink
/// they pass a program more, and the node's own do.
#[tokio::test]
#[ignore = "needs root"]
async fn a_pods_packet_costs_hardly_more_by_the_nodes_own_bytes() {
    let mut bench = Bench::with(|settings| {
        settings.plan = of_flows(8192);
        // Each test run's socket is then a host process's.
        settings.has_cgroup2 = false;
    });
    bench.take_for_uplink(LOOPBACK);
    let (veth, uplink) = (LOOPBACK + 1, LOOPBACK);
    let sent = Frame::ipv4(POD, PEER).udp(40000, 53, 64);
    let got = Frame::ipv4(PEER, POD).udp(53, 40000, 64);
    let mut program = |role, direction| {
        let program = bench.attachable.programs.descriptor_of(role, direction);
        program.expect("the program")
    };
    let (to_pod, from_pod) = (Direction::Receive, Direction::Transmit);
    let runs = [
        Run::new(yardstick::empty().expect("the empty program"), &sent),
        Run::new(yardstick::pairs(30).expect("the pair counter"), &sent),
        Run::new(program(Role::Pod, from_pod), &sent),
        Run::new(program(Role::Pod, to_pod), &got).came_by(veth),
        Run::new(program(Role::Pod, to_pod), &got).came_by(uplink),
        Run::new(program(Role::Uplink, to_pod), &sent).came_by(veth),
        Run::new(program(Role::Uplink, to_pod), &sent),
        Run::new(program(Role::Uplink, from_pod), &got),
        Run::new(
            bench
                .attachable
                .programs
                .descriptor_in_cgroup()
                .expect("the program"),
            &got,
        ),
    ];
    let [
        empty,
        pairs,
        from_pod,
        from_node,
        from_uplink,
        of_pod,
        of_host,
        arrived,
        received,
    ] = least(runs);
    println!("empty {empty} ns, pairs {pairs} ns");
    println!(
        "veth: from a pod {from_pod} ns, to it from the node {from_node} ns, from an uplink {from_uplink} ns"
    );
    println!(
        "uplink: a pod's packet leaves {of_pod} ns, the node's own {of_host} ns, one arrives {arrived} ns"
    );
    println!("cgroup: a socket receives {received} ns");
    let most = MOST_FOR_THE_TOTAL * (pairs - empty);
    assert!(from_uplink - from_pod <= most, "one more total");
    for (own, most) in [
        (of_pod, MOST_AT_UPLINKS),
        (arrived, MOST_AT_UPLINKS),
        (of_host, MOST_OF_HOST),
        (received, MOST_OF_HOST),
    ] {
        assert!(own - empty <= most * (pairs - empty), "{own} ns");
    }
}
