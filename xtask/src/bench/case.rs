//! The traffic of each case, at full speed from one pod to its neighbour.

use std::{
    io::Write,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::FromRawFd,
    process::Stdio,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use zonemeter_lab::{Lab, Pod, traffic};

/// Flows of the two cases that have many.
const FLOWS: u16 = 20_000;
/// First client port: all of them lie in the ephemeral range (32768 to 60999).
const CLIENT_PORTS: u16 = 33_000;
/// First server port: all of them lie below the ephemeral range.
const SERVER_PORTS: u16 = 2_000;
const PORT: u16 = 1_999;
const PAYLOAD_BYTES: usize = 64;
const UDP_HEADER_BYTES: usize = 8;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Case {
    /// One conversation of small datagrams.
    UdpOneFlow,
    /// Many clients of one server port: their ports are folded into one entry of the flow map.
    UdpManyClients,
    /// Many server ports: an entry of the flow map for each.
    UdpManyServers,
    /// One TCP stream in super-packets.
    TcpSegmented,
    /// One TCP stream, packet by packet.
    TcpPlain,
}

impl Case {
    pub(super) const ALL: [Self; 5] = [
        Self::UdpOneFlow,
        Self::UdpManyClients,
        Self::UdpManyServers,
        Self::TcpSegmented,
        Self::TcpPlain,
    ];

    /// The table's first column.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::UdpOneFlow => "UDP 64 B, 1 flow",
            Self::UdpManyClients => "UDP 64 B, 20,000 client ports",
            Self::UdpManyServers => "UDP 64 B, 20,000 server ports",
            Self::TcpSegmented => "TCP, GSO (per super-packet)",
            Self::TcpPlain => "TCP, no GSO",
        }
    }

    /// Sender and receiver.
    pub(super) fn pods(self, lab: &Lab) -> Result<(Pod, Pod)> {
        let prefix = if self == Self::TcpPlain { "plain-" } else { "" };
        let pod = |name: &str| lab.pod(&format!("bench/{prefix}{name}"));
        Ok((pod("sender")?, pod("receiver")?))
    }

    /// Starts sending for `duration`.
    pub(super) fn start(self, lab: &Lab, duration: Duration) -> Result<Load> {
        let (from, to) = self.pods(lab)?;
        let server = SocketAddr::new(to.address(), PORT);
        let (from, to) = (from.namespace(), to.namespace());
        Ok(match self {
            Self::UdpOneFlow => Load::Flood(traffic::udp_flood(
                from,
                to,
                server,
                PAYLOAD_BYTES,
                duration,
            )?),
            Self::UdpManyClients => {
                let ports = |flow| (CLIENT_PORTS + flow, SERVER_PORTS);
                Load::Thread(from.spawn(move || many_flows(server.ip(), ports, duration)))
            }
            Self::UdpManyServers => {
                let ports = |flow| (CLIENT_PORTS, SERVER_PORTS + flow);
                Load::Thread(from.spawn(move || many_flows(server.ip(), ports, duration)))
            }
            Self::TcpSegmented | Self::TcpPlain => {
                Load::Flood(traffic::tcp_flood(from, to, server, duration)?)
            }
        })
    }
}

/// Traffic under way; it ends by itself.
pub(super) enum Load {
    Flood(traffic::Flood),
    Thread(JoinHandle<Result<()>>),
}

impl Load {
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
/// and drops datagrams that nobody waits for before they are answered by ICMP.
pub(super) fn prepare(lab: &Lab) -> Result<()> {
    let rules = format!(
        "flush ruleset\ntable ip bench {{\nchain in {{\n\
         type filter hook prerouting priority -300\nudp dport {SERVER_PORTS}-{} drop\n}}\n}}\n",
        SERVER_PORTS + FLOWS
    );
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

/// Datagrams over and over, each with the next pair of client and server port.
fn many_flows(server: IpAddr, ports: impl Fn(u16) -> (u16, u16), duration: Duration) -> Result<()> {
    let socket = raw_udp()?;
    let packets: Vec<[u8; UDP_HEADER_BYTES + PAYLOAD_BYTES]> =
        (0..FLOWS).map(|flow| datagram(ports(flow))).collect();
    let end = Instant::now() + duration;
    for packets in packets.chunks(64).cycle() {
        for packet in packets {
            socket.send_to(packet, (server, 0)).context("sending")?;
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
