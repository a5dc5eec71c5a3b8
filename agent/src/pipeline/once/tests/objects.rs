//! What the tests count: one pod of this node, its peers and their flows.

use super::*;

/// One pod behind interface 7 that everything comes from.
pub(super) fn introduce(account: &mut Account) {
    let now = Instant::now();
    account.apply(
        Change::Applied(Object::Node(Node {
            name: "node-1".into(),
            addresses: Vec::new(),
            zone: Some("a".into()),
            zone_id: None,
            hybrid: false,
        })),
        now,
    );
    account.apply(
        Change::Applied(Object::Pod(Pod {
            name: Name {
                namespace: "shop".into(),
                name: "cart".into(),
            },
            uid: "1".into(),
            node: Some("node-1".into()),
            addresses: vec![local()],
            host_network: false,
            finished: false,
            workload: Workload {
                kind: "Pod".into(),
                name: "cart".into(),
            },
            source_nat: None,
        })),
        now,
    );
    let interface = Interface {
        index: 7,
        name: "veth7".into(),
        peer_namespace: None,
        before_attach: [Count::ZERO; 2],
        lacks: None,
    };
    account.interface(InterfaceChange::Attached(interface), now);
    account.interface(InterfaceChange::Routed(7, local()), now);
}

fn local() -> IpAddr {
    Ipv4Addr::new(192, 168, 7, 62).into()
}

pub(super) fn count(packets: u64) -> Count {
    Count {
        bytes: packets * 100,
        packets,
    }
}

pub(super) fn flow(peer: u8, packets: u64) -> Flow {
    Flow {
        interface: 7,
        direction: Direction::Transmit,
        local: local(),
        peer: Ipv4Addr::new(203, 0, 113, peer).into(),
        protocol: 6,
        local_port: 0,
        peer_port: 443,
        other_ports: false,
        real_peer: None,
        count: count(packets),
    }
}
