//! One path: known traffic, and what it must do to the metrics of all nodes.

use std::{collections::BTreeMap, net::SocketAddr, thread, time::Duration};

use zonemeter_lab::traffic::{self, Datagrams, Exchange};

use crate::{
    cluster::Cluster,
    moved::{self, Bytes, Reading, Series},
    party::{Labels, Named, Party, pod},
};

const UDP: Exchange = Exchange {
    count: 20,
    request: 1000,
    answer: 300,
};
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
    /// Bytes to and from Service addresses, by the method that named the other end.
    pub(crate) methods: BTreeMap<String, u64>,
}

/// Bytes from the client to the server, and back.
#[derive(Clone, Copy, Debug)]
struct Legs {
    up: u64,
    down: u64,
}

impl Path {
    /// Sends, and waits until the metrics of all nodes show exactly that.
    pub(crate) fn take(&self, cluster: &mut Cluster) -> Shown {
        let before = Reading::take(&mut cluster.agents, cluster.family);
        let legs = self.send(cluster);
        let expected = self.expected(cluster, legs);
        let now = moved::wait(cluster, &before, &expected, self.title);
        self.shown(&expected, &now, &before)
    }

    fn send(&self, cluster: &Cluster) -> Legs {
        let lab = &cluster.lab;
        let (from, to) = (self.client.namespace(lab), self.server.namespace(lab));
        let headers = if cluster.family.has_v4() { 28 } else { 48 };
        let all = |payload: usize| u64::from(UDP.count) * (payload as u64 + headers);
        if self.what == What::OneWay {
            let what = Datagrams::new(UDP.count, UDP.request);
            let sink = traffic::udp_sink(&to, self.port, UDP.count).unwrap();
            traffic::udp_send_only(&from, self.asked, what).unwrap();
            sink.join().unwrap().unwrap();
            return Legs {
                up: all(UDP.request),
                down: 0,
            };
        }
        let (source, listen) = (self.client.socket(0), self.server.socket(self.port));
        traffic::udp_exchange((&from, source), self.asked, (&to, listen), UDP)
            .unwrap_or_else(|error| panic!("{}: {error:#}", self.title));
        let tcp = match self.what {
            What::Both => self.tcp(cluster),
            What::Udp | What::OneWay => Legs { up: 0, down: 0 },
        };
        Legs {
            up: all(UDP.request) + tcp.up,
            down: all(UDP.answer) + tcp.down,
        }
    }

    /// A transfer, by what has arrived on the wire at both ends when that stands still.
    fn tcp(&self, cluster: &Cluster) -> Legs {
        let lab = &cluster.lab;
        let arrived = || {
            let at = |party: Party| party.tcp_arrived(lab).unwrap().bytes;
            Legs {
                up: at(self.server),
                down: at(self.client),
            }
        };
        let before = arrived();
        let (from, to) = (self.client.namespace(lab), self.server.namespace(lab));
        let sink = traffic::tcp_sink(&to, self.port, 1).unwrap();
        traffic::tcp_send(&from, self.asked, TCP_BYTES).unwrap();
        sink.finish().unwrap();
        let mut after = arrived();
        loop {
            thread::sleep(Duration::from_millis(100));
            let now = arrived();
            if (now.up, now.down) == (after.up, after.down) {
                break;
            }
            after = now;
        }
        let legs = Legs {
            up: after.up - before.up,
            down: after.down - before.down,
        };
        assert!(
            legs.up > TCP_BYTES && legs.down > 0,
            "{}: {legs:?}",
            self.title
        );
        // A pod that calls itself gets both ways: what arrives there is the sum.
        match self.client == self.server {
            true => Legs {
                up: legs.up,
                down: 0,
            },
            false => legs,
        }
    }

    /// What goes up is sent by the client and received by the server, what comes down the other
    /// way round.
    fn expected(&self, cluster: &Cluster, legs: Legs) -> Bytes {
        let mut bytes = Bytes::new();
        for (party, named, [sent, received]) in [
            (self.client, self.at_client, [legs.up, legs.down]),
            (self.server, self.at_server, [legs.down, legs.up]),
        ] {
            let Party::Pod(name) = party else { continue };
            let home = pod(&cluster.lab, name).node().name().to_owned();
            for (direction, count) in [("transmit", sent), ("receive", received)] {
                let series = Series {
                    workload: name.to_owned(),
                    direction,
                    labels: named.labels(&cluster.lab, &home),
                };
                *bytes.entry(series).or_default() += count;
            }
        }
        bytes.retain(|_, count| *count > 0);
        bytes
    }

    fn shown(&self, moved: &Bytes, now: &Reading, before: &Reading) -> Shown {
        let labels = |party| {
            let Party::Pod(name) = party else { return None };
            let mut series = moved.keys().filter(|series| series.workload == name);
            Some(series.next().unwrap().labels.clone())
        };
        Shown {
            at_client: labels(self.client),
            at_server: labels(self.server),
            methods: now.methods_since(before),
        }
    }
}
