//! One path: known traffic, and what it must do to the metrics of all nodes.

use std::net::SocketAddr;

use zonemeter_lab::{
    Family,
    traffic::{self, Datagrams},
};

use crate::{
    cluster::Cluster,
    exchange::{Exchange, udp_exchange},
    moved::{self, Bytes, Methods, Series},
    party::{Labels, Named, Party, pod},
};

const UDP: Exchange = Exchange {
    count: 20,
    request: 1000,
    answer: 300,
};
const FRAGMENTED: Exchange = Exchange {
    count: 10,
    request: 4000,
    answer: 3000,
};
/// Fragments of a datagram of [`FRAGMENTED`], either way, at an MTU of 1500.
const FRAGMENTS: u64 = 3;
const REFUSED: u32 = 3;
const TCP_BYTES: u64 = 300_000;

/// What goes over a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// UDP there and back, and a TCP transfer.
    Both,
    /// UDP there and back.
    Udp,
    /// UDP that nobody answers.
    OneWay,
    /// UDP there and back, in fragments of which only the first has ports.
    Fragments,
    /// UDP that is answered by ICMP errors, because nobody listens.
    Refused,
}

/// A path from a client by an address to a server.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) title: &'static str,
    pub(crate) client: Party,
    /// Address and port that the client asks.
    pub(crate) asked: SocketAddr,
    pub(crate) server: Party,
    /// The port that the server listens on.
    pub(crate) port: u16,
    pub(crate) what: What,
    /// Whom the metrics name at the client, if that is a pod.
    pub(crate) at_client: Named,
    /// Whom the metrics name at the server, if that is a pod.
    pub(crate) at_server: Named,
}

/// What the metrics showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) at_client: Option<Labels>,
    pub(crate) at_server: Option<Labels>,
    pub(crate) methods: Methods,
}

/// Bytes from the client to the server, and back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Legs {
    pub(crate) up: u64,
    pub(crate) down: u64,
}

impl Path {
    /// Sends, and waits until the metrics of all nodes show exactly that.
    pub(crate) fn take(&self, cluster: &mut Cluster) -> Shown {
        let before = self.tcp_arrived(cluster);
        self.send(cluster)
            .unwrap_or_else(|error| panic!("{}: {error:#}", self.title));
        let moved = moved::wait(cluster, self.title, |cluster| {
            self.expected(cluster, before)
        });
        Shown {
            at_client: labels(&moved.bytes, self.client),
            at_server: labels(&moved.bytes, self.server),
            methods: moved.methods,
        }
    }

    fn send(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let lab = &cluster.lab;
        let (from, to) = (self.client.namespace(lab), self.server.namespace(lab));
        let (source, listen) = (self.client.socket(0), self.server.socket(self.port));
        let exchange = |what| udp_exchange((&from, source), self.asked, (&to, listen), what);
        match self.what {
            What::Udp => exchange(UDP)?,
            What::Fragments => exchange(FRAGMENTED)?,
            What::Both => {
                exchange(UDP)?;
                let sink = traffic::tcp_sink(&to, self.port, 1)?;
                traffic::tcp_send(&from, self.asked, TCP_BYTES)?;
                return sink.finish().map(drop);
            }
            What::OneWay => {
                let what = Datagrams::new(UDP.count, UDP.request);
                let sink = traffic::udp_sink(&to, self.port, UDP.count)?;
                traffic::udp_send_only(&from, self.asked, what)?;
                return sink.join().unwrap().map(drop);
            }
            // Each from a socket of its own: one that has got an error would not send again.
            What::Refused => {
                let what = Datagrams::new(1, UDP.request);
                return (0..REFUSED)
                    .try_for_each(|_| traffic::udp_send_only(&from, self.asked, what));
            }
        };
        Ok(())
    }

    /// The datagrams by their sizes, and TCP by what has arrived over the wires since `before`.
    fn legs(&self, cluster: &Cluster, before: Legs) -> Legs {
        let (udp, tcp) = (self.udp(cluster.family), self.tcp_arrived(cluster));
        // A pod that calls itself gets both ways: what arrives there is the sum.
        let down = match self.client == self.server {
            true => 0,
            false => tcp.down - before.down,
        };
        Legs {
            up: udp.up + tcp.up - before.up,
            down: udp.down + down,
        }
    }

    /// Layer-3 bytes of all datagrams: headers are those of IP (RFC 791, RFC 8200) and of UDP.
    fn udp(&self, family: Family) -> Legs {
        let (ip, fragment) = if family.has_v4() { (20, 20) } else { (40, 48) };
        let all = |count: u32, payload: usize| u64::from(count) * (payload as u64 + 8 + ip);
        let cut = |payload: usize| {
            u64::from(FRAGMENTED.count) * (payload as u64 + 8 + FRAGMENTS * fragment)
        };
        let (up, down) = match self.what {
            What::Both | What::Udp => (all(UDP.count, UDP.request), all(UDP.count, UDP.answer)),
            What::OneWay => (all(UDP.count, UDP.request), 0),
            What::Fragments => (cut(FRAGMENTED.request), cut(FRAGMENTED.answer)),
            What::Refused => (
                all(REFUSED, UDP.request),
                u64::from(REFUSED) * unreachable(family),
            ),
        };
        Legs { up, down }
    }

    /// TCP that has arrived at either end so far; 0 where the path has none.
    fn tcp_arrived(&self, cluster: &Cluster) -> Legs {
        if self.what != What::Both {
            return Legs::default();
        }
        let at = |party: Party| party.tcp_arrived(&cluster.lab).unwrap().bytes;
        Legs {
            up: at(self.server),
            down: at(self.client),
        }
    }

    fn expected(&self, cluster: &Cluster, before: Legs) -> Bytes {
        let mut bytes = Bytes::new();
        let ends = [(self.client, self.at_client), (self.server, self.at_server)];
        add(&mut bytes, cluster, ends, self.legs(cluster, before));
        bytes
    }
}

/// "Port unreachable" with as much of a datagram of [`UDP`] as fits: into 576 bytes in IPv4
/// (RFC 1812, 4.3.2.3), into 1280 in IPv6 (RFC 4443, 2.4), where all of it does.
fn unreachable(family: Family) -> u64 {
    match family.has_v4() {
        true => 576,
        false => 40 + 8 + 40 + 8 + UDP.request as u64,
    }
}

/// Adds what two parties, each with whom the metrics name there, must show: what goes up is sent
/// by the first and received by the second, what comes down the other way round.
pub(crate) fn add(
    bytes: &mut Bytes,
    cluster: &Cluster,
    [(client, at_client), (server, at_server)]: [(Party, Named); 2],
    legs: Legs,
) {
    for (party, named, [sent, received]) in [
        (client, at_client, [legs.up, legs.down]),
        (server, at_server, [legs.down, legs.up]),
    ] {
        let Party::Pod(name) = party else { continue };
        let home = pod(&cluster.lab, name).node().name().to_owned();
        for (direction, count) in [("transmit", sent), ("receive", received)] {
            if count > 0 {
                let series = Series {
                    workload: name.to_owned(),
                    direction,
                    labels: named.labels(&cluster.lab, &home),
                };
                *bytes.entry(series).or_default() += count;
            }
        }
    }
}

fn labels(moved: &Bytes, party: Party) -> Option<Labels> {
    let Party::Pod(name) = party else { return None };
    let mut series = moved.keys().filter(|series| series.workload == name);
    Some(series.next().unwrap().labels.clone())
}
