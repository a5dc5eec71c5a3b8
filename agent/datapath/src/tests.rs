//! The loaded programs on crafted frames (`BPF_PROG_TEST_RUN`): what each frame adds to which
//! counter, with expected numbers worked out by hand from the RFCs. Needs root.

mod drain;
mod frame;
mod guard;
mod host;
mod host_cost;
mod map_memory;
mod plans;
mod preemption;
mod restart;
mod tables;
mod without_types;
mod yardstick;

use std::{net::IpAddr, time::Instant};

use zonemeter_common::SkipReason;
use zonemeter_model::traffic::{Count, Direction, Drain, Flow};

use self::{
    frame::{Frame, Segments},
    plans::{
        of_flows, stay_on_this_cpu, to_peers, to_scattered_peers, with_tables, without_tables,
    },
};
use super::{
    Attachable, Kernel, Settings,
    object::{self, Role},
    translate::Methods,
};

/// `BPF_PROG_TEST_RUN` puts the frame on the loopback device.
const LOOPBACK: u32 = 1;
const POD: &str = "192.168.7.62";
const PEER: &str = "192.168.79.49";
const POD6: &str = "2001:db8:1::7";
const PEER6: &str = "2001:db8:2::9";
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;

struct Bench {
    kernel: Kernel,
    attachable: Attachable,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn settings() -> Settings {
        Settings {
            plan: of_flows(64),
            fold_ports: true,
            ephemeral_ports: [32768, 60999],
            methods: Methods {
                packet: true,
                table: true,
            },
            has_cgroup2: true,
            pin_dir: None,
        }
    }

    /// Programs and maps of its own; dropped, it leaves nothing behind.
    fn with(adjust: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Self::settings();
        adjust(&mut settings);
        let (object, _warnings) =
            object::load(&settings, None).expect("the programs load: run as root");
        let (kernel, attachable) =
            Kernel::new(object, settings.methods, Instant::now()).expect("maps");
        Self { kernel, attachable }
    }

    fn run(&mut self, direction: Direction, frame: &Frame) {
        let verdict = self
            .attachable
            .programs
            .test_run(Role::Pod, direction, &frame.bytes(), &frame.context())
            .expect("the kernel takes the frame");
        assert_eq!(
            verdict, -1,
            "a verdict other than NEXT decides over other programs"
        );
    }

    fn drain(&mut self) -> Drain {
        let drain = self.kernel.drain().expect("drain");
        self.kernel.clear().expect("clear");
        for direction in Direction::ALL {
            let of_flows: Count = drain
                .flows
                .iter()
                .filter(|f| f.direction == direction)
                .map(|f| f.count)
                .sum();
            let (seen, overflow) = (
                drain.seen[direction as usize],
                drain.overflowed()[direction as usize],
            );
            assert_eq!(of_flows + overflow, seen, "conservation, {direction:?}");
        }
        drain
    }

    /// Runs one frame from the pod and returns the one flow that it made.
    fn transmit(&mut self, frame: &Frame) -> Flow {
        self.run(Direction::Transmit, frame);
        let mut flows = self.drain().flows;
        assert_eq!(flows.len(), 1, "{flows:?}");
        flows.remove(0)
    }

    fn skipped(&self, reason: SkipReason) -> Count {
        let all = self.kernel.skipped().expect("skip map");
        let found = all.into_iter().find(|(found, _)| *found == reason);
        found.expect("every reason").1
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn flow(protocol: u8, ports: (u16, u16), count: (u64, u64)) -> Flow {
    Flow {
        interface: LOOPBACK,
        direction: Direction::Transmit,
        local: ip(POD),
        peer: ip(PEER),
        protocol,
        local_port: ports.0,
        peer_port: ports.1,
        other_ports: false,
        real_peer: None,
        count: Count {
            bytes: count.0,
            packets: count.1,
        },
    }
}

fn flow6(protocol: u8, ports: (u16, u16), count: (u64, u64)) -> Flow {
    Flow {
        local: ip(POD6),
        peer: ip(PEER6),
        ..flow(protocol, ports, count)
    }
}

#[tokio::test]
#[ignore = "needs root"]
async fn tcp_counts_layer_3_bytes_and_folds_the_ephemeral_port() {
    let mut bench = Bench::new();
    let frame = Frame::ipv4(POD, PEER).tcp(40000, 80, 100);
    // 20 IPv4 + 20 TCP + 100 payload; the 14 bytes of Ethernet are not layer 3.
    assert_eq!(bench.transmit(&frame), flow(TCP, (0, 80), (140, 1)));
}

#[tokio::test]
#[ignore = "needs root"]
async fn to_the_pod_local_and_peer_change_sides() {
    let mut bench = Bench::new();
    bench.run(
        Direction::Receive,
        &Frame::ipv4(PEER, POD).tcp(80, 40000, 0),
    );
    let expected = Flow {
        direction: Direction::Receive,
        ..flow(TCP, (0, 80), (40, 1))
    };
    assert_eq!(bench.drain().flows, [expected]);
}

#[tokio::test]
#[ignore = "needs root"]
async fn two_default_pings_are_168_bytes() {
    let mut bench = Bench::new();
    let ping = Frame::ipv4(POD, PEER).icmp(56);
    bench.run(Direction::Transmit, &ping);
    bench.run(Direction::Transmit, &ping);
    assert_eq!(bench.drain().flows, [flow(ICMP, (0, 0), (168, 2))]);
}

#[tokio::test]
#[ignore = "needs root"]
async fn both_ports_stay_where_neither_is_certainly_ephemeral() {
    let mut bench = Bench::new();
    let both = Frame::ipv4(POD, PEER).udp(40000, 50000, 10);
    assert_eq!(bench.transmit(&both), flow(UDP, (40000, 50000), (38, 1)));
    let neither = Frame::ipv4(POD, PEER).udp(5353, 5353, 10);
    assert_eq!(bench.transmit(&neither), flow(UDP, (5353, 5353), (38, 1)));
}

#[tokio::test]
#[ignore = "needs root"]
async fn full_ports_are_kept_when_asked() {
    let mut bench = Bench::with(|settings| settings.fold_ports = false);
    let frame = Frame::ipv4(POD, PEER).tcp(40000, 80, 0);
    assert_eq!(bench.transmit(&frame), flow(TCP, (40000, 80), (40, 1)));
}

#[tokio::test]
#[ignore = "needs root"]
async fn super_packets_count_as_the_packets_they_become() {
    let mut bench = Bench::new();
    let tcp = Frame::ipv4(POD, PEER)
        .tcp_with_options(40000, 80, 12, 5 * 500)
        .segments(Segments {
            count: 5,
            size: 500,
        });
    // 5 x (20 + 32 + 500)
    assert_eq!(bench.transmit(&tcp), flow(TCP, (0, 80), (2760, 5)));
    let udp = Frame::ipv4(POD, PEER)
        .udp(40000, 53, 2100)
        .segments(Segments {
            count: 3,
            size: 700,
        });
    // 3 x (20 + 8 + 700)
    assert_eq!(bench.transmit(&udp), flow(UDP, (0, 53), (2184, 3)));
    let ipv6 = Frame::ipv6(POD6, PEER6)
        .tcp_with_options(40000, 80, 12, 1200)
        .segments(Segments {
            count: 2,
            size: 600,
        });
    // 2 x (40 + 32 + 600)
    assert_eq!(bench.transmit(&ipv6), flow6(TCP, (0, 80), (1344, 2)));
    // What is left of one that was cut keeps the number, and is a single packet (`skb_segment`).
    let rest = Frame::ipv4(POD, PEER)
        .tcp(40000, 80, 100)
        .segments(Segments { count: 5, size: 0 });
    assert_eq!(bench.transmit(&rest), flow(TCP, (0, 80), (140, 1)));
}

#[tokio::test]
#[ignore = "needs root"]
async fn ip_options_belong_to_the_header() {
    let mut bench = Bench::new();
    let plain = Frame::ipv4(POD, PEER).ipv4_options(8).tcp(40000, 80, 100);
    assert_eq!(bench.transmit(&plain), flow(TCP, (0, 80), (148, 1)));
    let segmented = Frame::ipv4(POD, PEER)
        .ipv4_options(8)
        .tcp(40000, 80, 1000)
        .segments(Segments {
            count: 2,
            size: 500,
        });
    // 2 x (28 + 20 + 500)
    assert_eq!(bench.transmit(&segmented), flow(TCP, (0, 80), (1096, 2)));
}

#[tokio::test]
#[ignore = "needs root"]
async fn later_fragments_have_no_ports() {
    let mut bench = Bench::new();
    // What stands where ports would be is payload: 0x7a7a is "zz", 31354.
    let later = Frame::ipv4(POD, PEER).fragment(185).raw(UDP, &[0x7a; 64]);
    assert_eq!(bench.transmit(&later), flow(UDP, (0, 0), (84, 1)));
    let first = Frame::ipv4(POD, PEER).more_fragments().udp(40000, 53, 56);
    assert_eq!(bench.transmit(&first), flow(UDP, (0, 53), (84, 1)));
    let later6 = Frame::ipv6(POD6, PEER6).fragment(185).raw(UDP, &[0x7a; 64]);
    // 40 + 8 of the fragment header + 64
    assert_eq!(bench.transmit(&later6), flow6(UDP, (0, 0), (112, 1)));
}

#[tokio::test]
#[ignore = "needs root"]
async fn ipv6_extension_headers_are_walked() {
    let mut bench = Bench::new();
    let frame = Frame::ipv6(POD6, PEER6)
        .hop_by_hop(8)
        .routing(24)
        .destination_options(16)
        .tcp(40000, 443, 1000)
        .segments(Segments {
            count: 2,
            size: 500,
        });
    // 2 x (40 + 8 + 24 + 16 + 20 + 500)
    assert_eq!(bench.transmit(&frame), flow6(TCP, (0, 443), (1216, 2)));
    let authenticated = Frame::ipv6(POD6, PEER6)
        .authentication(24)
        .udp(40000, 53, 10);
    assert_eq!(bench.transmit(&authenticated), flow6(UDP, (0, 53), (82, 1)));
    let unfragmented = Frame::ipv6(POD6, PEER6).fragment(0).udp(40000, 53, 10);
    assert_eq!(bench.transmit(&unfragmented), flow6(UDP, (0, 53), (66, 1)));
}

#[tokio::test]
#[ignore = "needs root"]
async fn super_packets_with_many_extension_headers_are_counted_as_on_the_wire() {
    let mut bench = Bench::new();
    for headers in [9, 32] {
        let segments = Segments {
            count: 5,
            size: 500,
        };
        let frame = with_extensions(headers).tcp(40000, 443, 2500);
        // Each segment repeats 40 bytes of IPv6, the extensions and 20 bytes of TCP.
        let bytes = 5 * (40 + 8 * headers as u64 + 20 + 500);
        assert_eq!(
            bench.transmit(&frame.segments(segments)),
            flow6(TCP, (0, 443), (bytes, 5))
        );
    }
    assert_eq!(bench.skipped(SkipReason::ExtensionDepth), Count::ZERO);
}

fn with_extensions(headers: usize) -> Frame {
    (0..headers).fold(Frame::ipv6(POD6, PEER6), |frame, _| {
        frame.destination_options(8)
    })
}

#[tokio::test]
#[ignore = "needs root"]
async fn more_extension_headers_than_are_walked_lose_ports_and_no_bytes() {
    let mut bench = Bench::new();
    let flow = bench.transmit(&with_extensions(33).udp(40000, 53, 10));
    assert_eq!(bench.skipped(SkipReason::ExtensionDepth).packets, 1);
    assert_eq!((flow.protocol, flow.peer_port), (60, 0));
    assert_eq!(
        flow.count,
        Count {
            bytes: 40 + 33 * 8 + 18,
            packets: 1
        }
    );
}

#[tokio::test]
#[ignore = "needs root"]
async fn vlan_tags_in_the_data_are_layer_2() {
    let mut bench = Bench::new();
    let one = Frame::ipv4(POD, PEER).vlan(0x8100).tcp(40000, 80, 100);
    assert_eq!(bench.transmit(&one), flow(TCP, (0, 80), (140, 1)));
    let two = Frame::ipv6(POD6, PEER6)
        .vlan(0x8100)
        .vlan(0x88a8)
        .tcp(40000, 80, 100);
    assert_eq!(bench.transmit(&two), flow6(TCP, (0, 80), (160, 1)));
}

#[tokio::test]
#[ignore = "needs root"]
async fn what_is_not_counted_has_a_reason() {
    let mut bench = Bench::new();
    bench.run(Direction::Transmit, &Frame::ethernet(0x0806, 28));
    bench.run(Direction::Transmit, &Frame::ethernet(0x88cc, 40));
    bench.run(
        Direction::Transmit,
        &Frame::ipv4(POD, PEER).version(5).tcp(1, 2, 0),
    );
    let three_tags = Frame::ipv4(POD, PEER)
        .vlan(0x8100)
        .vlan(0x8100)
        .vlan(0x88a8)
        .tcp(1, 2, 0);
    bench.run(Direction::Transmit, &three_tags);
    assert_eq!(
        bench.skipped(SkipReason::Arp),
        Count {
            bytes: 42,
            packets: 1
        }
    );
    assert_eq!(
        bench.skipped(SkipReason::NotIp),
        Count {
            bytes: 54,
            packets: 1
        }
    );
    assert_eq!(
        bench.skipped(SkipReason::Malformed),
        Count {
            bytes: 54,
            packets: 1
        }
    );
    assert_eq!(
        bench.skipped(SkipReason::VlanDepth),
        Count {
            bytes: 66,
            packets: 1
        }
    );
    let drain = bench.drain();
    assert!(
        drain.flows.is_empty() && drain.seen == [Count::ZERO; 2],
        "{drain:?}"
    );
}
