//! The traffic of each case, at full speed from one pod to its neighbour.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::FromRawFd,
    process::Stdio,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use zonemeter_lab::{Lab, Namespace, Pod, ServicePlan, Transport, traffic};

use super::hooks::Way;

/// Flows of the cases that have many, and of those that have some.
const FLOWS: u16 = 20_000;
const SOME_FLOWS: u16 = 2_000;
/// First client port: all of them lie in the ephemeral range (32768 to 60999).
const CLIENT_PORTS: u16 = 33_000;
/// First server port: all of them lie below the ephemeral range.
const SERVER_PORTS: u16 = 2_000;
const PORT: u16 = 1_999;
/// The Service that leads to the receiver.
const CLUSTER_IP: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 70);
/// 10.200.0.0/17, which the node routes to the receiver.
const PEERS: u32 = 0x0ac8_0000;
const PEER_RANGE: &str = "10.200.0.0/17";
const PAYLOAD_BYTES: usize = 64;
const UDP_HEADER_BYTES: usize = 8;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Case {
    /// One conversation of small datagrams.
    UdpOneFlow,
    /// The same, with programs attached as filters of clsact.
    UdpOneFlowTc,
    /// Many clients of one server port: their ports are noted in one slot.
    UdpManyClients,
    /// As many server ports as lie in the caches of a small machine's CPU.
    UdpSomeServers,
    /// Many server ports.
    UdpManyServers,
    /// Many peers: a flow for each.
    UdpManyPeers,
    /// One TCP stream in super-packets.
    TcpSegmented,
    /// One TCP stream, packet by packet.
    TcpPlain,
    /// One conversation of small datagrams over IPv6.
    UdpIpv6,
    /// One conversation with a Service, whose address conntrack translates.
    ServiceOneFlow,
    /// Many client ports of a Service, which are a flow each.
    ServiceManyClients,
    /// iperf3 with so many streams, from a pod to another node or back.
    Iperf3 { streams: u8, is_received: bool },
}

const fn iperf3(streams: u8, is_received: bool) -> Case {
    Case::Iperf3 {
        streams,
        is_received,
    }
}

impl Case {
    pub(super) const ALL: [Self; 15] = [
        Self::UdpOneFlow,
        Self::UdpOneFlowTc,
        Self::UdpManyClients,
        Self::UdpSomeServers,
        Self::UdpManyServers,
        Self::UdpManyPeers,
        Self::TcpSegmented,
        Self::TcpPlain,
        Self::UdpIpv6,
        Self::ServiceOneFlow,
        Self::ServiceManyClients,
        iperf3(1, false),
        iperf3(1, true),
        iperf3(8, false),
        iperf3(8, true),
    ];

    /// The table's first column.
    pub(super) fn title(self) -> String {
        let title = match self {
            Self::UdpOneFlow => "UDP 64 B, 1 flow",
            Self::UdpOneFlowTc => "the same, attached by tc",
            Self::UdpManyClients => "UDP 64 B, 20,000 client ports",
            Self::UdpSomeServers => "UDP 64 B, 2,000 server ports",
            Self::UdpManyServers => "UDP 64 B, 20,000 server ports",
            Self::UdpManyPeers => "UDP 64 B, 20,000 peers",
            Self::TcpSegmented => "TCP, GSO (per super-packet)",
            Self::TcpPlain => "TCP, no GSO",
            Self::UdpIpv6 => "UDP 64 B over IPv6, 1 flow",
            Self::ServiceOneFlow => "UDP 64 B to a Service, 1 flow",
            Self::ServiceManyClients => "UDP 64 B to a Service, 2,000 client ports",
            Self::Iperf3 {
                streams,
                is_received,
            } => {
                let way = if is_received {
                    ", the pod receives"
                } else {
                    ", the pod sends"
                };
                return format!("iperf3 -P {streams}{way}");
            }
        };
        title.to_owned()
    }

    /// Nanoseconds above the empty program, and times the pair counter's, that are aimed at.
    pub(super) fn target(self) -> (Option<f64>, Option<f64>) {
        match self {
            Self::UdpOneFlow => (Some(45.0), Some(1.0)),
            Self::UdpManyClients => (Some(65.0), Some(1.2)),
            Self::UdpSomeServers | Self::UdpManyServers => (Some(55.0), Some(1.0)),
            Self::UdpManyPeers => (Some(400.0), None),
            Self::TcpSegmented => (Some(100.0), None),
            Self::TcpPlain => (Some(70.0), Some(1.4)),
            _ => (None, None),
        }
    }

    pub(super) fn is_iperf3(self) -> bool {
        matches!(self, Self::Iperf3 { .. })
    }

    /// For how many times as long it is measured: the packets of TCP differ much from moment to moment.
    pub(super) fn times(self) -> u64 {
        match self {
            Self::Iperf3 { .. } => 10,
            Self::TcpSegmented | Self::TcpPlain => 5,
            _ => 1,
        }
    }

    /// The pair counter knows IPv4.
    pub(super) fn has_pairs(self) -> bool {
        self != Self::UdpIpv6 && !self.is_iperf3()
    }

    pub(super) fn way(self) -> Way {
        match self {
            Self::UdpOneFlowTc => Way::Tc,
            _ => Way::Tcx,
        }
    }

    /// Sender and receiver.
    fn pods(self, lab: &Lab) -> Result<(Pod, Pod)> {
        let (from, to) = match self {
            Self::TcpPlain => ("plain-sender", "plain-receiver"),
            Self::Iperf3 { .. } => ("sender", "remote"),
            _ => ("sender", "receiver"),
        };
        let pod = |name: &str| lab.pod(&format!("bench/{name}"));
        Ok((pod(from)?, pod(to)?))
    }

    /// The pods whose veths have programs: those of the agent's node. The last one's counters are
    /// read.
    pub(super) fn measured(self, lab: &Lab) -> Result<Vec<Pod>> {
        let (from, to) = self.pods(lab)?;
        Ok(match self {
            Self::Iperf3 { .. } => vec![from],
            _ => vec![from, to],
        })
    }

    /// Starts sending for `duration`.
    pub(super) fn start(self, lab: &Lab, duration: Duration) -> Result<Load> {
        let (from, to) = self.pods(lab)?;
        let address = match self {
            Self::UdpIpv6 => to.v6()?,
            Self::ServiceOneFlow | Self::ServiceManyClients => CLUSTER_IP.into(),
            _ => to.v4()?,
        };
        let server = SocketAddr::new(address, PORT);
        let (from, to) = (from.namespace(), to.namespace());
        let clients =
            |number| (0..number).map(move |flow| (address, (CLIENT_PORTS + flow, SERVER_PORTS)));
        let servers =
            |number| (0..number).map(move |flow| (address, (CLIENT_PORTS, SERVER_PORTS + flow)));
        let peers = (0..FLOWS).map(|flow| {
            let peer = IpAddr::from((PEERS + u32::from(flow)).to_be_bytes());
            (peer, (CLIENT_PORTS, SERVER_PORTS))
        });
        Ok(match self {
            Self::UdpOneFlow | Self::UdpOneFlowTc | Self::UdpIpv6 | Self::ServiceOneFlow => {
                let flood = traffic::udp_flood(from, to, server, PAYLOAD_BYTES, duration);
                Load::Flood(flood?)
            }
            Self::UdpManyClients => Load::many(from, clients(FLOWS), duration),
            Self::ServiceManyClients => Load::many(from, clients(SOME_FLOWS), duration),
            Self::UdpSomeServers => Load::many(from, servers(SOME_FLOWS), duration),
            Self::UdpManyServers => Load::many(from, servers(FLOWS), duration),
            Self::UdpManyPeers => Load::many(from, peers, duration),
            Self::TcpSegmented | Self::TcpPlain => {
                Load::Flood(traffic::tcp_flood(from, to, server, duration)?)
            }
            Self::Iperf3 {
                streams,
                is_received,
            } => {
                let (from, to) = (from.clone(), to.clone());
                let more = iperf3_arguments(streams, is_received);
                Load::Thread(thread::spawn(move || {
                    let more: Vec<&str> = more.iter().map(String::as_str).collect();
                    traffic::iperf3_with(&from, &to, address, duration, &more).map(drop)
                }))
            }
        })
    }
}

fn iperf3_arguments(streams: u8, is_received: bool) -> Vec<String> {
    let mut arguments = vec!["--parallel".to_owned(), streams.to_string()];
    arguments.extend(is_received.then(|| "--reverse".to_owned()));
    arguments
}

/// Traffic under way; it ends by itself.
pub(super) enum Load {
    Flood(traffic::Flood),
    Thread(JoinHandle<Result<()>>),
}

impl Load {
    fn many(
        from: &Namespace,
        flows: impl Iterator<Item = (IpAddr, (u16, u16))> + Send + 'static,
        duration: Duration,
    ) -> Self {
        Self::Thread(from.spawn(move || many_flows(flows, duration)))
    }

    /// Waits for the end.
    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::Flood(flood) => flood.finish().map(|_| ()),
            Self::Thread(thread) => match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            },
        }
    }
}

/// Takes the lab's own counters out of the pods, which would cost more than what is measured,
/// drops datagrams that nobody waits for before they are answered by ICMP, and makes the Service.
pub(super) fn prepare(lab: &mut Lab) -> Result<()> {
    let service = ServicePlan::new("bench", "service", CLUSTER_IP.into())
        .port(Transport::Udp, PORT, PORT)
        .port(Transport::Udp, SERVER_PORTS, SERVER_PORTS);
    let backend = lab.pod("bench/receiver")?.v4()?;
    lab.add_service(service.backend(backend))?;
    let rules = format!(
        "flush ruleset\ntable ip bench {{\nchain in {{\n\
         type filter hook prerouting priority -300\nudp dport {SERVER_PORTS}-{} drop\n}}\n}}\n",
        SERVER_PORTS + FLOWS
    );
    let receiver = lab.pod("bench/receiver")?;
    let route = receiver
        .node()
        .namespace()
        .command("ip")
        .args([
            "route",
            "add",
            PEER_RANGE,
            "via",
            &receiver.v4()?.to_string(),
        ])
        .args(["dev", receiver.veth(), "onlink"])
        .status()
        .context("starting ip")?;
    ensure!(route.success(), "no route to the receiver");
    for pod in lab.pods() {
        let mut nft = pod.namespace().command("nft");
        let mut child = nft
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .context("starting nft")?;
        let mut input = child.stdin.take().context("nft's input")?;
        input
            .write_all(rules.as_bytes())
            .context("writing to nft")?;
        drop(input);
        ensure!(
            child.wait().context("waiting for nft")?.success(),
            "nft refused the bench's rules"
        );
    }
    Ok(())
}

/// Datagrams over and over, each to the next peer, from and to the next pair of ports.
fn many_flows(flows: impl Iterator<Item = (IpAddr, (u16, u16))>, duration: Duration) -> Result<()> {
    let socket = raw_udp()?;
    let packets: Vec<_> = flows.map(|(peer, ports)| (peer, datagram(ports))).collect();
    let end = Instant::now() + duration;
    for packets in packets.chunks(64).cycle() {
        for (peer, packet) in packets {
            socket.send_to(packet, (*peer, 0)).context("sending")?;
        }
        if Instant::now() > end {
            break;
        }
    }
    Ok(())
}

/// Source port, destination port, length, checksum (RFC 768); checksum 0 is none, in IPv4.
fn datagram((client, server): (u16, u16)) -> [u8; UDP_HEADER_BYTES + PAYLOAD_BYTES] {
    let mut packet = [0x5a; UDP_HEADER_BYTES + PAYLOAD_BYTES];
    let length = packet.len() as u16;
    for (index, field) in [client, server, length, 0].into_iter().enumerate() {
        packet[2 * index..2 * index + 2].copy_from_slice(&field.to_be_bytes());
    }
    packet
}

/// A socket that takes UDP datagrams with their header, so that one can speak for all clients
/// (raw(7)).
fn raw_udp() -> Result<UdpSocket> {
    // SAFETY: takes no pointers.
    let socket = unsafe {
        libc::socket(
            libc::AF_INET,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC,
            libc::IPPROTO_UDP,
        )
    };
    ensure!(
        socket >= 0,
        "opening a raw socket: {}",
        std::io::Error::last_os_error()
    );
    // SAFETY: the descriptor is new, nobody else owns it, and sending on it takes an address and
    // bytes as on any datagram socket.
    Ok(unsafe { UdpSocket::from_raw_fd(socket) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_begins_with_its_header() {
        // RFC 768: ports 33000 and 1999, 8 + 64 bytes, no checksum
        assert_eq!(
            datagram((33_000, 1_999))[..9],
            [0x80, 0xe8, 0x07, 0xcf, 0, 72, 0, 0, 0x5a]
        );
    }
}
