//! An object that is described anew keeps its addresses; one that takes its place gets them then.

use zonemeter_model::cluster::{Kind, Object, Pod, Workload};

use super::scenario::*;

/// What `node-1`'s pod sent in 5 s to an address of which this object has told after 4 s.
fn told_late(scenario: &mut Scenario, object: Object, peer: &str) -> Vec<String> {
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    scenario.drain_after(5, &[]);
    scenario.wait(4);
    scenario.apply(object);
    let snapshot = scenario.drain_after(1, &[sent(7, "192.168.1.1", peer, 1)]);
    [pod_lines(&snapshot), workload_lines(&snapshot)].concat()
}

fn db() -> Pod {
    pod("db", "node-3", "192.168.33.1")
}

fn of_workload(name: &str, pod: Pod) -> Object {
    let workload = Workload {
        kind: "StatefulSet".into(),
        name: name.into(),
    };
    Object::Pod(Pod { workload, ..pod })
}

#[test]
fn a_pod_that_gets_its_node_had_its_address_before() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(Object::Pod(Pod { node: None, ..db() }));
    let lines = told_late(&mut scenario, Object::Pod(db()), "192.168.33.1");
    let expected = ["web-1 cross_zone b 1", "web -> Deployment shop/db 1"];
    assert_eq!(lines, expected);
}

#[test]
fn a_pod_that_gets_another_workload_had_its_address_before() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(Object::Pod(db()));
    let late = of_workload("store", db());
    let lines = told_late(&mut scenario, late, "192.168.33.1");
    let expected = ["web-1 cross_zone b 1", "web -> StatefulSet shop/store 1"];
    assert_eq!(lines, expected);
}

#[test]
fn a_pod_behind_a_veth_sends_as_the_workload_that_it_has_now() {
    // Found by its name, by `printf shop.db-1 | sha1sum`, and by the route.
    for veth in ["eni7fd651e3ab8", "veth"] {
        let mut scenario = Scenario::new(settings());
        let db = pod("db", "node-1", "192.168.1.1");
        scenario.apply(Object::Pod(db.clone()));
        scenario.attach(7, veth);
        let flows = [sent(7, "192.168.1.1", "8.8.8.8", 1)];
        scenario.drain_after(5, &flows);
        scenario.apply(of_workload("store", db));
        let lines = workload_lines(&scenario.drain_after(5, &flows));
        assert_eq!(lines, ["db ->  / 1", "store ->  / 1"], "{veth}");
    }
}

#[test]
fn a_namesake_with_another_uid_has_the_address_from_then_on() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(Object::Pod(db()));
    let uid = "another".into();
    let late = of_workload("store", Pod { uid, ..db() });
    let lines = told_late(&mut scenario, late, "192.168.33.1");
    let expected = ["web-1 cross_zone b 1", "web -> Deployment shop/db 1"];
    assert_eq!(lines, expected);
}

#[test]
fn a_node_that_gets_its_zone_keeps_the_age_of_its_address() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(node("node-9", "192.168.64.9", None));
    scenario.wait(4);
    scenario.apply(node("node-9", "192.168.64.9", Some("c")));
    let explained = scenario
        .account
        .explain(ip("192.168.64.9"), scenario.instant());
    let [node, ..] = &explained.evidence[..] else {
        panic!("{explained:?}")
    };
    assert_eq!(node.says, "node node-9, zone c");
    assert_eq!(node.age.map(|age| age.as_secs()), Some(4));
}

#[test]
fn who_had_an_address_is_told_for_five_minutes() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(Object::Pod(db()));
    scenario.drain_after(5, &[]);
    scenario.delete(Kind::Pod, "shop", "db-1");
    let told = |scenario: &Scenario| {
        let now = scenario.instant();
        let explained = scenario.account.explain(ip("192.168.33.1"), now);
        let mut evidence = explained.evidence.iter();
        evidence.any(|one| one.says.contains("shop/db-1"))
    };
    scenario.drain_after(299, &[]);
    assert!(told(&scenario));
    scenario.drain_after(1, &[]);
    assert!(!told(&scenario));
}
