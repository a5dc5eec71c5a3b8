use anyhow::{Result, ensure};
use zonemeter_model::traffic::{Count, Direction};

use super::*;
use crate::conntrack::Connection;

fn key(ports: [u16; 2]) -> LookupKey {
    LookupKey {
        protocol: 17,
        local: SocketAddr::from(([192, 168, 7, 62], ports[0])),
        peer: SocketAddr::from(([10, 100, 0, 10], ports[1])),
    }
}

fn end(host: u8) -> RealPeer {
    real_peer(
        SocketAddr::from(([192, 168, 79, host], 8080)),
        BackendMethod::Packet,
    )
}

/// What a fragment is named after flows from these client ports to these ends.
fn fragment(flows: &[(u16, Option<u8>)], last: Option<u8>) -> Option<RealPeer> {
    let fragment = key([0, 0]);
    let mut keys = BTreeSet::from([fragment]);
    let mut known = RealPeers::new();
    for (port, host) in flows {
        keys.insert(key([*port, 80]));
        known.extend(host.map(|host| (key([*port, 80]), end(host))));
    }
    let last = last.map(|host| (fragment, end(host)));
    name_fragments(&keys, &mut known, &last.into_iter().collect());
    known.get(&fragment).copied()
}

#[test]
fn a_fragment_goes_where_all_flows_of_its_addresses_go() {
    assert_eq!(
        fragment(&[(4000, Some(1)), (4001, Some(1))], None),
        Some(end(1))
    );
    assert_eq!(fragment(&[(4000, Some(1)), (4001, Some(2))], None), None);
    assert_eq!(fragment(&[(4000, Some(1)), (4001, None)], None), None);
}

#[test]
fn a_fragment_whose_first_part_came_with_the_last_drain_keeps_its_name() {
    assert_eq!(fragment(&[], Some(1)), Some(end(1)));
    assert_eq!(fragment(&[(4000, Some(1)), (4001, Some(2))], Some(1)), None);
    assert_eq!(fragment(&[], None), None);
}

/// Answers every lookup with backend 192.168.79.1:8080.
#[derive(Default)]
struct Answering {
    asked: Vec<LookupKey>,
    failing: bool,
}

impl Lookup for Answering {
    fn ask(&mut self, keys: &[LookupKey]) -> Result<Vec<Option<Connection>>> {
        ensure!(!self.failing, "no buffer space available");
        assert!(keys.len() <= BATCH);
        self.asked.extend_from_slice(keys);
        let answer = |key: &LookupKey| {
            Some(Connection {
                protocol: key.protocol,
                original: [key.local, key.peer],
                reply: [end_of(1), key.local],
            })
        };
        Ok(keys.iter().map(answer).collect())
    }
}

fn end_of(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 168, 79, host], 8080))
}

fn translator() -> Translator<Answering> {
    let mut translator = Translator::new(Some(Answering::default()));
    translator.set_addresses(cluster_dns());
    translator
}

fn cluster_dns() -> Translated {
    Translated {
        services: [IpAddr::from([10, 100, 0, 10])].into(),
        ..Translated::default()
    }
}

/// So many flows of an interface to the Service, each with more bytes than the one before it.
fn flows(interface: u32, number: u32) -> impl Iterator<Item = Flow> {
    (0..number).map(move |flow| Flow {
        interface,
        direction: Direction::Transmit,
        local: IpAddr::from([192, 168, interface as u8, (flow >> 16) as u8]),
        peer: IpAddr::from([10, 100, 0, 10]),
        protocol: 17,
        local_port: flow as u16,
        peer_port: 53,
        other_ports: false,
        real_peer: None,
        count: Count {
            bytes: u64::from(flow) + 1,
            packets: 1,
        },
    })
}

fn drain(flows: Vec<Flow>) -> Drain {
    Drain {
        instance: 1,
        epoch: 2,
        from: Instant::now(),
        until: Instant::now(),
        flows,
        seen: [Count::ZERO; 2],
        overflow: Vec::new(),
        unplaced: [Count::ZERO; 2],
        host: Default::default(),
    }
}

fn named(drain: &Drain, interface: u32) -> usize {
    let flows = drain
        .flows
        .iter()
        .filter(|flow| flow.interface == interface);
    flows.filter(|flow| flow.real_peer.is_some()).count()
}

/// Pod 1 has more flows than one drain may look up.
#[test]
fn a_pod_with_too_many_flows_takes_no_lookups_from_others() {
    let mut translator = translator();
    let too_many = MOST_LOOKUPS as u32 + 5000;
    let all = flows(1, too_many).chain(flows(2, 3000)).chain(flows(3, 1));
    let mut drain = drain(all.collect());
    translator.translate(&mut drain, &CapturedConnections::new());
    let Lookups {
        answered,
        failed,
        over_limit,
    } = translator.lookups();
    assert_eq!((named(&drain, 2), named(&drain, 3)), (3000, 1));
    assert_eq!(answered + over_limit, u64::from(too_many) + 3001);
    assert!(answered <= MOST_LOOKUPS as u64 && over_limit >= 8001 && failed == 0);
    // Of the pod that has too many, those with the most bytes.
    let largest = drain.flows[too_many as usize - 1].clone();
    assert_eq!(largest.real_peer.map(|peer| peer.port), Some(8080));
    assert!(drain.flows[0].real_peer.is_none());
}

#[test]
fn lookups_that_fail_are_counted_as_such() {
    let mut translator = translator();
    translator.table.as_mut().unwrap().failing = true;
    let mut drain = drain(flows(1, 100).collect());
    translator.translate(&mut drain, &CapturedConnections::new());
    let failed = Lookups {
        failed: 100,
        ..Lookups::default()
    };
    assert_eq!((translator.lookups(), named(&drain, 1)), (failed, 0));
}
