//! The programs of uplinks and cgroups. `BPF_PROG_TEST_RUN` gives each packet a socket in the root of
//! cgroup v2, whose id is 1.

use super::{frame::Frame, *};
use zonemeter_common::hardware_address;
use zonemeter_model::traffic::{Class, HostDrain, HostFlow};

const NODE: &str = "192.168.7.1";
const NODE6: &str = "2001:db8:1::1";
const ROOT_CGROUP: u64 = 1;

fn count(bytes: u64, packets: u64) -> Count {
    Count { bytes, packets }
}

/// Every socket is a host process's, as where there is no cgroup v2.
fn without_cgroups() -> Bench {
    Bench::with(|settings| settings.has_cgroup2 = false)
}

impl Bench {
    /// tc egress of an uplink is the hook that is "to the pod" on a pod's veth.
    fn leaves(&mut self, frame: &Frame) {
        self.at_uplink(Direction::Receive, frame);
    }

    fn arrives(&mut self, frame: &Frame) {
        self.at_uplink(Direction::Transmit, frame);
    }

    fn at_uplink(&mut self, hook: Direction, frame: &Frame) {
        let (bytes, context) = (frame.bytes(), frame.context());
        let run = self
            .attachable
            .programs
            .test_run(Role::Uplink, hook, &bytes, &context);
        assert_eq!(run.expect("the kernel takes the frame"), -1);
    }

    /// Has the programs take an interface for an uplink.
    pub(super) fn take_for_uplink(&mut self, index: u32) {
        let map = &mut self.attachable.uplinks;
        let mut table = map.get(&0, 0).expect("the table of uplinks");
        assert!(table.insert(index, hardware_address([2, 0, 0, 0, 0, 1])));
        map.set(0, table, 0).expect("the table of uplinks");
    }

    fn is_received(&mut self, bytes: &[u8], frame: &Frame) {
        let run = self
            .attachable
            .programs
            .test_run_in_cgroup(bytes, &frame.context());
        assert_eq!(
            run.expect("the kernel takes the packet"),
            1,
            "0 would drop it"
        );
    }

    /// What passed the uplinks; nothing of it is any pod's.
    fn host(&mut self) -> HostDrain {
        let drain = self.drain();
        assert_eq!((drain.flows, drain.seen), (Vec::new(), [Count::ZERO; 2]));
        let host = drain.host;
        for direction in Direction::ALL {
            let flows = host.flows.iter().map(|one| &one.flow);
            let flows = flows.filter(|flow| flow.direction == direction);
            let sum = flows.map(|flow| flow.count).sum::<Count>();
            let [_, _, of_hosts, of_kernel] = host.sent;
            let seen = match direction {
                Direction::Transmit => of_hosts + of_kernel,
                Direction::Receive => host.received_by_sockets,
            };
            assert_eq!(
                sum + host.unplaced[direction as usize],
                seen,
                "{direction:?}"
            );
        }
        host
    }
}

fn host_flow(cgroup: u64, local: &str, peer: &str, of: Flow) -> HostFlow {
    let flow = Flow {
        interface: 0,
        local: ip(local),
        peer: ip(peer),
        ..of
    };
    HostFlow { cgroup, flow }
}

#[tokio::test]
#[ignore = "needs root"]
async fn what_a_socket_sends_is_counted_with_its_cgroup() {
    let mut bench = without_cgroups();
    let tcp = Frame::ipv4(NODE, PEER)
        .tcp_with_options(40000, 443, 12, 5 * 500)
        .segments(Segments {
            count: 5,
            size: 500,
        });
    bench.leaves(&tcp);
    bench.leaves(&Frame::ipv6(NODE6, PEER6).udp(53, 40000, 100));
    let host = bench.host();
    // 5 x (20 + 32 + 500), and 40 + 8 + 100
    let expected = [
        host_flow(ROOT_CGROUP, NODE, PEER, flow(TCP, (0, 443), (2760, 5))),
        host_flow(ROOT_CGROUP, NODE6, PEER6, flow(UDP, (53, 0), (148, 1))),
    ];
    assert_eq!(host.flows, expected);
    assert_eq!(host.sent[Class::Host as usize], count(2908, 6));
    assert_eq!(bench.host(), HostDrain::default(), "once");
}

#[tokio::test]
#[ignore = "needs root"]
async fn what_the_kernel_sends_has_no_cgroup_and_no_ports() {
    let mut bench = Bench::new();
    bench.leaves(&Frame::ipv4(NODE, PEER).tcp(443, 40000, 0));
    bench.leaves(&Frame::ipv4(NODE, PEER).tcp(80, 50000, 0));
    bench.leaves(&Frame::ipv4(NODE, PEER).icmp(56));
    let mut host = bench.host();
    host.flows.sort_by_key(|one| one.flow.protocol);
    let expected = [
        host_flow(0, NODE, PEER, flow(ICMP, (0, 0), (84, 1))),
        host_flow(0, NODE, PEER, flow(TCP, (0, 0), (80, 2))),
    ];
    assert_eq!(host.flows, expected);
    assert_eq!(host.sent[Class::Kernel as usize], count(164, 3));
}

#[tokio::test]
#[ignore = "needs root"]
async fn what_arrives_is_as_long_as_its_header_says() {
    let mut bench = Bench::new();
    bench.arrives(
        &Frame::ipv4(PEER, NODE)
            .tcp(443, 40000, 0)
            .stated()
            .padding(6),
    );
    bench.arrives(
        &Frame::ipv6(PEER6, NODE6)
            .udp(53, 40000, 4)
            .stated()
            .padding(2),
    );
    let tagged = Frame::ipv4(PEER, NODE).vlan(0x8100).tcp(443, 40000, 100);
    bench.arrives(&tagged.stated());
    // What grows in reassembly is counted as it was on the wire.
    let merged = Frame::ipv4(PEER, NODE)
        .tcp(443, 40000, 3000)
        .segments(Segments {
            count: 3,
            size: 1000,
        });
    bench.arrives(&merged.stated());
    bench.arrives(&Frame::ethernet(0x0806, 28));
    let received = bench.host().received;
    // 40, 40 + 8 + 4, 140, 3 x 1040
    assert_eq!(received, count(40 + 52 + 140 + 3120, 6));
    assert_eq!(bench.host().received, Count::ZERO, "once");
    let skipped = bench.kernel.uplink_skipped().unwrap();
    assert!(skipped.contains(&(SkipReason::Arp, count(42, 1))));
    assert_eq!(bench.skipped(SkipReason::Arp), Count::ZERO, "no pod's");
}

#[tokio::test]
#[ignore = "needs root"]
async fn sockets_receive_tcp_and_unicast_udp_that_came_by_an_uplink() {
    let mut bench = Bench::new();
    let frame = Frame::ipv4(PEER, NODE).tcp(443, 40000, 100);
    bench.is_received(&frame.bytes(), &frame);
    assert_eq!(bench.host(), HostDrain::default(), "by another interface");
    bench.take_for_uplink(LOOPBACK);
    bench.is_received(&frame.bytes(), &frame);
    let datagram = Frame::ipv6(PEER6, NODE6).udp(40000, 53, 10);
    bench.is_received(&datagram.bytes(), &datagram);
    // Headers that few packets have.
    let options = Frame::ipv4(PEER, NODE).ipv4_options(8).tcp(443, 40000, 7);
    bench.is_received(&options.bytes(), &options);
    let extension = Frame::ipv6(PEER6, NODE6)
        .destination_options(16)
        .udp(40000, 53, 20);
    bench.is_received(&extension.bytes(), &extension);
    let ping = Frame::ipv4(PEER, NODE).icmp(56);
    bench.is_received(&ping.bytes(), &ping);
    let broadcast = Frame::ipv4(PEER, NODE).udp(67, 68, 300);
    let mut bytes = broadcast.bytes();
    bytes[..6].fill(0xff);
    bench.is_received(&bytes, &broadcast);
    // An interface of another network namespace has the same index and another address.
    let mut bytes = frame.bytes();
    bytes[5] = 9;
    bench.is_received(&bytes, &frame);
    let host = bench.host();
    let received = |of| Flow {
        direction: Direction::Receive,
        ..of
    };
    let expected = [
        host_flow(
            ROOT_CGROUP,
            NODE,
            PEER,
            // 20 + 20 + 100, and 28 + 20 + 7
            received(flow(TCP, (0, 443), (140 + 55, 2))),
        ),
        host_flow(
            ROOT_CGROUP,
            NODE6,
            PEER6,
            // 40 + 8 + 10, and 40 + 16 + 8 + 20
            received(flow(UDP, (53, 0), (58 + 84, 2))),
        ),
    ];
    assert_eq!(host.flows, expected);
    assert_eq!(host.received_by_sockets, count(195 + 142, 4));
}

#[tokio::test]
#[ignore = "needs root"]
async fn flows_without_room_are_counted_without_a_name() {
    let mut bench = without_cgroups();
    for last in 1..=200 {
        let peer = format!("192.168.79.{last}");
        bench.leaves(&Frame::ipv4(NODE, &peer).tcp(40000, 443, 0));
    }
    let host = bench.host();
    assert_eq!(host.sent[Class::Host as usize], count(200 * 40, 200));
    assert!(host.flows.len() < 200 && host.unplaced[0].packets > 0);
}
