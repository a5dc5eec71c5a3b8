//! What interfaces carried before counting began on them.

use zonemeter_model::{
    cluster::Object,
    traffic::{Interface, InterfaceChange},
};

use super::scenario::*;

/// The interface is announced, with so many packets each way before counting began.
fn announce(scenario: &mut Scenario, index: u32, before: [u64; 2]) {
    let interface = Interface {
        index,
        name: "veth".into(),
        peer_namespace: None,
        before_attach: before.map(of_packets),
        lacks: None,
    };
    let change = InterfaceChange::Attached(interface);
    scenario.account.interface(change, scenario.instant());
}

fn carried(scenario: &Scenario) -> [u64; 2] {
    packets(scenario.account.snapshot().before_attach)
}

#[test]
fn it_counts_once() {
    let mut scenario = Scenario::new(settings());
    for index in [7, 8, 7] {
        announce(&mut scenario, index, [1, 2]);
    }
    assert_eq!(carried(&scenario), [2, 4]);
}

/// A flow of the interface, or its name, may come before what it carried is read.
#[test]
fn it_counts_when_flows_came_first() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    scenario.drain_after(5, &[sent(7, "192.168.1.1", "8.8.8.8", 1)]);
    for before in [0, 3, 0, 3] {
        announce(&mut scenario, 7, [before; 2]);
    }
    assert_eq!(carried(&scenario), [3, 3]);
}

/// Counting goes on where the last process left it; a further interface adds to the sum.
#[test]
fn the_next_process_goes_on_with_it() {
    for same_boot in [true, false] {
        let mut scenario = Scenario::new(settings());
        announce(&mut scenario, 7, [1, 2]);
        let mut next = scenario.restarted(settings(), same_boot);
        announce(&mut next, 7, [0, 0]);
        assert_eq!(carried(&next), [1, 2]);
        announce(&mut next, 8, [10, 20]);
        assert_eq!(carried(&next), [11, 22]);
    }
}
