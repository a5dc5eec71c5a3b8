//! What the account says of a node name that is nobody's and of pods without an interface.

use std::time::Duration;

use zonemeter_model::{
    cluster::{Change, Kind, Object, Pod},
    condition::{Conditions, Status},
};

use super::scenario::*;

/// `printf shop.w0-1 | sha1sum`, and of `shop.w1-1`.
const VETHS: [&str; 2] = ["eni07a10230e2e", "eniea485c40a3f"];

/// Everything is listed: the nodes of the scenario, and these pods.
fn listed(scenario: &mut Scenario, pods: &[Pod]) {
    for kind in [Kind::Node, Kind::Pod] {
        scenario.change(Change::ListStarted(kind));
        if kind == Kind::Node {
            scenario.apply(node("node-1", "192.168.0.1", Some("a")));
        } else {
            let pods = pods.iter().cloned().map(Object::Pod);
            pods.for_each(|pod| scenario.apply(pod));
        }
        scenario.change(Change::ListDone(kind));
    }
}

fn conditions(scenario: &mut Scenario) -> Conditions {
    let now = scenario.instant();
    scenario.account.conditions(now)
}

fn pods_counted(scenario: &mut Scenario) -> (Status, u64) {
    let told = conditions(scenario);
    (told.pods_counted, told.uncounted_pods)
}

fn two_pods() -> [Pod; 2] {
    [
        pod("w0", "node-1", "192.168.1.0"),
        pod("w1", "node-1", "192.168.1.1"),
    ]
}

#[test]
fn nothing_is_said_before_everything_was_listed() {
    let mut scenario = Scenario::blank(settings());
    scenario.apply(Object::Pod(pod("w0", "node-1", "192.168.1.0")));
    let told = conditions(&mut scenario);
    assert!(matches!(told.own_node, Status::Unknown(_)));
    assert!(matches!(told.pods_counted, Status::Unknown(_)));
    assert_eq!(told.uncounted_pods, 0);
}

#[test]
fn a_node_name_that_no_node_has_is_said() {
    let mut scenario = Scenario::blank(crate::Settings {
        node_name: "nobody".into(),
        ..settings()
    });
    listed(&mut scenario, &two_pods());
    let told = conditions(&mut scenario);
    let Status::Fails(text) = told.own_node else {
        panic!("{told:?}");
    };
    assert!(
        text.contains("\"nobody\"") && text.contains("--node-name"),
        "{text}"
    );
    assert_eq!(told.pods_counted, Status::Holds);
    scenario.apply(node("nobody", "192.168.0.9", Some("a")));
    assert_eq!(conditions(&mut scenario).own_node, Status::Holds);
}

/// At once: there is nothing to wait for.
#[test]
fn that_no_pod_has_an_interface_is_said_at_once() {
    let mut scenario = Scenario::blank(settings());
    listed(&mut scenario, &two_pods());
    let (status, uncounted) = pods_counted(&mut scenario);
    let Status::Fails(text) = status else {
        panic!("{status:?}");
    };
    assert_eq!(uncounted, 2);
    assert!(text.contains("shop/w0-1, shop/w1-1"), "{text}");
    scenario.attach_into(7, VETHS[0], Some(1));
    scenario.attach_into(8, VETHS[1], Some(2));
    assert_eq!(pods_counted(&mut scenario), (Status::Holds, 0));
}

#[test]
fn three_pods_without_an_interface_are_named_and_more_are_hinted_at() {
    for (pods, named) in [
        (3, "(shop/w0-1, shop/w1-1, shop/w2-1)"),
        (4, "(shop/w0-1, shop/w1-1, shop/w2-1, ...)"),
        (5, "(shop/w0-1, shop/w1-1, shop/w2-1, ...)"),
    ] {
        let mut scenario = Scenario::blank(settings());
        let of = |at| pod(&format!("w{at}"), "node-1", &format!("192.168.1.{at}"));
        listed(&mut scenario, &(0..pods).map(of).collect::<Vec<_>>());
        let (status, uncounted) = pods_counted(&mut scenario);
        assert_eq!(uncounted, pods);
        assert!(
            matches!(&status, Status::Fails(text) if text.contains(named)),
            "{status:?}"
        );
    }
}

/// The API keeps a pod for some time whose interface is gone.
#[test]
fn one_without_an_interface_has_time_and_is_no_failure() {
    let mut scenario = Scenario::blank(settings());
    scenario.attach_into(7, VETHS[0], Some(1));
    listed(&mut scenario, &two_pods());
    assert_eq!(pods_counted(&mut scenario), (Status::Holds, 0));
    scenario.wait(29);
    assert_eq!(pods_counted(&mut scenario), (Status::Holds, 0));
    scenario.wait(1);
    let (status, uncounted) = pods_counted(&mut scenario);
    assert!(matches!(&status, Status::InPart(text) if text.contains("shop/w1-1")));
    assert_eq!(uncounted, 1);
    scenario.detach(7);
    assert_eq!(pods_counted(&mut scenario).1, 1);
    scenario.wait(30);
    let (status, uncounted) = pods_counted(&mut scenario);
    assert!(matches!(status, Status::Fails(_)));
    assert_eq!(uncounted, 2);
    scenario.delete(Kind::Pod, "shop", "w0-1");
    scenario.delete(Kind::Pod, "shop", "w1-1");
    assert_eq!(pods_counted(&mut scenario), (Status::Holds, 0));
}

#[test]
fn pods_that_need_no_interface_lack_none() {
    let [finished, of_host] = two_pods();
    let unscheduled = Pod {
        addresses: Vec::new(),
        ..pod("w2", "node-1", "192.168.1.2")
    };
    let elsewhere = pod("w3", "node-2", "192.168.1.3");
    let pods = [
        Pod {
            finished: true,
            ..finished
        },
        Pod {
            host_network: true,
            ..of_host
        },
        unscheduled,
        elsewhere,
    ];
    let mut scenario = Scenario::blank(settings());
    listed(&mut scenario, &pods);
    assert_eq!(pods_counted(&mut scenario), (Status::Holds, 0));
}

/// Where names of interfaces tell nothing: by the route, before any packet; and an interface that
/// nothing is known of may be any pod's. One that leads to no other namespace is no pod's.
#[test]
fn other_names_need_a_route_or_leave_it_open() {
    let mut scenario = Scenario::blank(settings());
    scenario.attach(3, "eth0");
    scenario.attach_into(7, "lxc1", Some(1));
    scenario.route(7, "192.168.1.0");
    listed(&mut scenario, &two_pods());
    assert_eq!(pods_counted(&mut scenario).1, 0);
    scenario.wait(30);
    let (status, uncounted) = pods_counted(&mut scenario);
    assert!(matches!(&status, Status::InPart(text) if text.contains("shop/w1-1")));
    assert_eq!(uncounted, 1);
    scenario.unroute(7, "192.168.1.0");
    assert_eq!(pods_counted(&mut scenario), (Status::Holds, 0));
    scenario.wait(30);
    let (status, uncounted) = pods_counted(&mut scenario);
    assert!(matches!(status, Status::Fails(_)), "{status:?}");
    assert_eq!(uncounted, 1);
    scenario.attach_into(8, "lxc2", Some(2));
    assert_eq!(pods_counted(&mut scenario), (Status::Holds, 0));
}

#[test]
fn a_snapshot_says_of_what_node_and_time_it_is() {
    let mut scenario = Scenario::new(settings());
    scenario.drain_after(5, &[]);
    let since = scenario.instant() - Duration::from_secs(5);
    let snapshot = scenario.drain_after(7, &[]);
    let covered = snapshot.covered.unwrap();
    let times = (covered.since, covered.until, covered.ended);
    assert_eq!(times, (since, scenario.instant(), scenario.wall()));
    let zone = snapshot.zone.unwrap();
    let names = (&*zone.node, &*zone.zone, &*zone.zone_id);
    assert_eq!(names, ("node-1", "a", "id-a"));
}
