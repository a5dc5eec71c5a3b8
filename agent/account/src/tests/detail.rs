//! Which families have series of their own, and that the sums hold either way.

use zonemeter_model::{
    cluster::{Kind, Object},
    snapshot::Snapshot,
};

use super::scenario::*;
use crate::{Detail, Settings};

/// Two pods in one node, each with a packet to the Internet and the second with one to the other
/// zone; then the first pod goes and its series would be retired.
fn counted(detail: Detail) -> (Snapshot, Snapshot) {
    let mut scenario = Scenario::new(Settings {
        detail,
        ..settings()
    });
    for (n, name) in ["web", "api"].into_iter().enumerate() {
        let address = format!("192.168.1.{n}");
        scenario.apply(Object::Pod(pod(name, "node-1", &address)));
        scenario.attach(n as u32, "veth");
    }
    scenario.apply(Object::Pod(pod("far", "node-3", "192.168.33.1")));
    let flows = [
        sent(0, "192.168.1.0", "8.8.8.8", 1),
        sent(1, "192.168.1.1", "8.8.8.8", 2),
        sent(1, "192.168.1.1", "192.168.33.1", 4),
    ];
    let before = scenario.drain_after(5, &flows);
    scenario.delete(Kind::Pod, "shop", "web-1");
    scenario.detach(0);
    (before, scenario.drain_after(1000, &[]))
}

#[test]
fn without_pods_their_series_are_one_and_the_sums_hold() {
    let (before, after) = counted(Detail {
        pods: false,
        workloads: true,
    });
    let together = ["other cross_zone b 4", "other internet  3"];
    assert_eq!(pod_lines(&before), together);
    assert_eq!(before.workloads.len(), 3);
    // Nobody's series can be retired, and the ceiling has nothing to do with it.
    assert_eq!(pod_lines(&after), together);
    assert_eq!((packets(after.retired), after.series_folded), ([0, 0], 0));
    assert_eq!(packets(after.interface), [7, 0]);
}

#[test]
fn without_workloads_there_is_no_such_family() {
    let (before, _) = counted(Detail {
        pods: true,
        workloads: false,
    });
    let each = [
        "api-1 cross_zone b 4",
        "api-1 internet  2",
        "web-1 internet  1",
    ];
    assert_eq!(pod_lines(&before), each);
    assert_eq!((before.workloads.len(), before.series_folded), (0, 0));
}

#[test]
fn what_pods_share_is_there_at_zero_too() {
    let mut scenario = Scenario::new(Settings {
        detail: Detail {
            pods: false,
            workloads: false,
        },
        show_at_zero: true,
        ..settings()
    });
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    scenario.attach(7, "veth");
    let snapshot = scenario.drain_after(5, &[]);
    let lines = [
        "other intra_node a 0",
        "other intra_zone a 0",
        "other cross_zone b 0",
        "other internet  0",
    ];
    assert_eq!(pod_lines(&snapshot), [lines, lines].concat());
}

#[test]
fn flows_are_recorded_for_people_only_while_somebody_looks() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.0")));
    scenario.attach(0, "veth");
    let flows = [sent(0, "192.168.1.0", "8.8.8.8", 1)];
    let mut after_a_drain = |looks| {
        scenario.account.record(looks);
        let snapshot = scenario.drain_after(5, &flows);
        let recent = scenario.account.take_recent();
        (pod_lines(&snapshot), recent.recorded, recent.flows.len())
    };
    let shown = |packets: u64| vec![format!("web-1 internet  {packets}")];
    assert_eq!(after_a_drain(false), (shown(1), false, 0));
    assert_eq!(after_a_drain(true), (shown(2), true, 1));
    assert_eq!(after_a_drain(false), (shown(3), false, 0));
}
