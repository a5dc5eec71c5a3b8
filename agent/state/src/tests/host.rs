//! The node's own part of a file.

use zonemeter_model::{
    snapshot::{HostKind, HostLabels, HostParty, HostSeries},
    traffic::{Flow, HostDrain, HostFlow},
};

use super::*;
use crate::{frame::frame, record::Step};

pub(super) fn host(number: u32, count: Count) -> HostSeries {
    HostSeries {
        labels: HostLabels {
            party: HostParty {
                kind: HostKind::Unit,
                namespace: "".into(),
                pod: "".into(),
                workload: Workload {
                    kind: "Unit".into(),
                    name: format!("unit{number}.service").into(),
                },
            },
            zone: "a".into(),
            direction: Direction::Receive,
            scope: Scope::Internet,
            peer_namespace: "shop".into(),
            peer_workload: Workload {
                kind: "Node".into(),
                name: "n".into(),
            },
            peer_zone: "b".into(),
            via: Via::Nat,
        },
        count,
        own: Count::ZERO,
        created: UNIX_EPOCH + Duration::from_secs(5),
    }
}

/// One flow that waits, as it is read again: its peer as it really is, and no ports.
pub(super) fn held_host(epoch: u64) -> HostDrain {
    let flow = Flow {
        interface: 0,
        direction: Direction::Transmit,
        local: "192.168.0.1".parse().unwrap(),
        peer: "2001:db8::7".parse().unwrap(),
        protocol: 0,
        local_port: 0,
        peer_port: 0,
        other_ports: false,
        real_peer: None,
        count: count(epoch, 1),
    };
    HostDrain {
        flows: vec![HostFlow {
            cgroup: u64::MAX - epoch,
            flow,
        }],
        sent: [count(1, 1), count(2, 1), count(epoch, 1), count(4, 1)],
        received: count(5, epoch),
        received_by_pods: count(6, 1),
        received_by_sockets: count(7, 1),
        unplaced: [count(8, 1), count(9, 1)],
    }
}

/// As an agent of before the node's own bytes were counted wrote it.
#[test]
fn a_file_of_version_1_is_read_on() {
    let [first, ..] = three();
    let without_host = |kept: &Kept| {
        let mut kept = kept.clone();
        let snapshot = Arc::make_mut(&mut kept.snapshot);
        (snapshot.hosts, snapshot.uplinks) = Default::default();
        (snapshot.uplink_received, snapshot.hosts_retired) = Default::default();
        kept.held_host = Default::default();
        kept
    };
    let step = Step::between(&Kept::default(), &first);
    let owner = file::Owner {
        node: "node-1".to_owned(),
        boot: "boot".to_owned(),
    };
    let frames = [
        frame(&postcard::to_stdvec(&owner).unwrap()).unwrap(),
        frame(&postcard::to_stdvec(&step).unwrap()).unwrap(),
    ];
    let bytes = [b"zonemeter totals 1\n", &frames.concat()[..]].concat();
    let read = file::read(&bytes, "node-1").unwrap().kept;
    assert_eq!(format!("{read:?}"), format!("{:?}", without_host(&first)));
}
