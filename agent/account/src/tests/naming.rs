//! Whose bytes they are: addresses over time, lists, veths.

use zonemeter_model::{
    cluster::{Change, Kind, Object, Pod},
    recent::{Evidence, Source},
    snapshot::Reason,
};

use super::scenario::*;

/// `node-1` with pod `web` behind interface 7.
fn scenario() -> Scenario {
    let mut scenario = Scenario::new(settings());
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    scenario.attach(7, "veth");
    scenario
}

fn to(peer: &str, packets: u64) -> [zonemeter_model::traffic::Flow; 1] {
    [sent(7, "192.168.1.1", peer, packets)]
}

#[test]
fn a_reused_address_belongs_to_who_had_it_during_the_drains_interval() {
    let mut scenario = scenario();
    scenario.apply(Object::Pod(pod("old", "node-2", "192.168.2.1")));
    scenario.drain_after(5, &to("192.168.2.1", 1));
    scenario.wait(4);
    scenario.delete(Kind::Pod, "shop", "old-1");
    // 4 s of this interval were the old pod's.
    scenario.drain_after(1, &to("192.168.2.1", 10));
    scenario.drain_after(30, &[]);
    scenario.wait(3);
    scenario.apply(Object::Pod(pod("new", "node-3", "192.168.2.1")));
    // The new pod's first packets came before its event.
    let snapshot = scenario.drain_after(2, &to("192.168.2.1", 100));
    assert_eq!(
        workload_lines(&snapshot),
        [
            "web -> Deployment shop/old 11",
            "web -> Deployment shop/new 100"
        ]
    );
    let explained = scenario
        .account
        .explain(ip("192.168.2.1"), scenario.instant());
    let said = |one: &Evidence| {
        let age = one.age.map(|age| age.as_secs());
        (one.source, one.says.clone(), age, one.decides)
    };
    let pod = |says: &str, age, decides| (Source::Pod, says.to_owned(), Some(age), decides);
    let evidence: Vec<_> = explained.evidence.iter().map(said).collect();
    let [now, node, former, range] = &evidence[..] else {
        panic!("{explained:?}")
    };
    assert_eq!(*now, pod("shop/new-1 on node node-3", 2, true));
    let zone = (
        Source::Node,
        "node node-3, zone b".to_owned(),
        Some(45),
        true,
    );
    assert_eq!(*node, zone);
    assert_eq!(*former, pod("shop/old-1 had it until 36 s ago", 45, false));
    let private = "192.168.0.0/16 private".to_owned();
    assert_eq!(*range, (Source::SpecialRange, private, None, false));
    assert_eq!(&*explained.party.pod, "new-1");
}

#[test]
fn a_finished_pod_gives_up_its_address_and_a_terminating_one_does_not() {
    let mut scenario = scenario();
    let job = pod("job", "node-2", "192.168.2.1");
    scenario.apply(Object::Pod(job.clone()));
    scenario.drain_after(5, &to("192.168.2.1", 1));
    scenario.apply(Object::Pod(Pod {
        finished: true,
        ..job
    }));
    scenario.apply(Object::Pod(pod("next", "node-3", "192.168.2.1")));
    let snapshot = scenario.drain_after(5, &to("192.168.2.1", 2));
    assert_eq!(
        workload_lines(&snapshot),
        [
            "web -> Deployment shop/job 1",
            "web -> Deployment shop/next 2"
        ]
    );
    // The finished pod's object goes much later: its address is another's by then.
    scenario.delete(Kind::Pod, "shop", "job-1");
    let snapshot = scenario.drain_after(5, &to("192.168.2.1", 3));
    assert!(workload_lines(&snapshot).contains(&"web -> Deployment shop/next 5".to_owned()));
}

/// Its object may stay for days, and a list may tell of it after the pod that has its address now.
#[test]
fn a_finished_pod_has_no_address_whenever_it_is_told_of() {
    let mut scenario = scenario();
    let finished = |name| Pod {
        finished: true,
        ..pod(name, "node-2", "192.168.2.1")
    };
    let owner = |scenario: &Scenario| {
        let explained = scenario
            .account
            .explain(ip("192.168.2.1"), scenario.instant());
        explained.party.workload.name.to_string()
    };
    scenario.apply(Object::Pod(pod("job", "node-2", "192.168.2.1")));
    assert_eq!(owner(&scenario), "job");
    scenario.wait(1);
    scenario.apply(Object::Pod(finished("job")));
    assert_eq!(owner(&scenario), "");
    scenario.wait(1);
    scenario.apply(Object::Pod(pod("next", "node-3", "192.168.2.1")));
    scenario.apply(Object::Pod(finished("other")));
    assert_eq!(owner(&scenario), "next");
}

#[test]
fn an_address_goes_back_to_the_pod_that_still_claims_it() {
    let mut scenario = scenario();
    scenario.apply(Object::Pod(pod("first", "node-2", "192.168.2.1")));
    scenario.apply(Object::Pod(pod("second", "node-2", "192.168.2.1")));
    assert_eq!(
        &*scenario
            .account
            .explain(ip("192.168.2.1"), scenario.instant())
            .party
            .workload
            .name,
        "second"
    );
    scenario.delete(Kind::Pod, "shop", "second-1");
    assert_eq!(
        &*scenario
            .account
            .explain(ip("192.168.2.1"), scenario.instant())
            .party
            .workload
            .name,
        "first"
    );
}

#[test]
fn a_namesake_on_another_node_takes_over() {
    let mut scenario = scenario();
    scenario.apply(Object::Pod(pod(
        "db",
        "node-2",
        "192.168.2.1,2600:1f16::21",
    )));
    scenario.drain_after(5, &to("192.168.2.1", 1));
    scenario.wait(1);
    scenario.apply(Object::Pod(pod(
        "db",
        "node-3",
        "192.168.33.1,2600:1f16::31",
    )));
    let snapshot = scenario.drain_after(4, &to("192.168.33.1", 2));
    assert_eq!(
        pod_lines(&snapshot),
        ["web-1 intra_zone a 1", "web-1 cross_zone b 2"]
    );
    assert_eq!(seen(&scenario, "2600:1f16::31").1, "b");
    // The addresses of the one before are nobody's.
    assert_eq!(seen(&scenario, "2600:1f16::21").1, "");
}

/// The API tells of a pod before it has an address, and of one family before the other.
#[test]
fn addresses_that_come_later_are_the_pods_too() {
    let mut scenario = scenario();
    let db = pod("db", "node-3", "192.168.33.1,2600:1f16::31");
    for known in 0..=2 {
        scenario.wait(1);
        scenario.apply(Object::Pod(Pod {
            addresses: db.addresses[..known].to_vec(),
            ..db.clone()
        }));
        let zones = ["192.168.33.1", "2600:1f16::31"].map(|of| seen(&scenario, of).1);
        let expected = [0, 1].map(|at| if at < known { "b" } else { "" });
        assert_eq!(zones, expected);
    }
}

/// Where the CNI gives the moved pod the address that it had, the one before is still another pod,
/// elsewhere: what was sent to it stays in its zone.
#[test]
fn a_namesake_with_the_same_address_is_another_pod() {
    let mut scenario = scenario();
    scenario.apply(Object::Pod(pod("db", "node-2", "192.168.2.1")));
    scenario.drain_after(5, &[]);
    scenario.wait(4);
    scenario.apply(Object::Pod(pod("db", "node-3", "192.168.2.1")));
    // 4 s of this interval were the first one's.
    scenario.drain_after(1, &to("192.168.2.1", 1));
    let snapshot = scenario.drain_after(5, &to("192.168.2.1", 2));
    assert_eq!(
        pod_lines(&snapshot),
        ["web-1 intra_zone a 1", "web-1 cross_zone b 2"]
    );
}

#[test]
fn what_a_list_does_not_hold_is_gone() {
    let mut scenario = scenario();
    for (name, address) in [
        ("one", "192.168.2.1"),
        ("two", "192.168.2.2"),
        ("three", "192.168.2.3"),
    ] {
        scenario.apply(Object::Pod(pod(name, "node-2", address)));
    }
    let known = |scenario: &Scenario| {
        ["192.168.2.1", "192.168.2.2", "192.168.2.3"].map(|address| {
            scenario
                .account
                .explain(ip(address), scenario.instant())
                .evidence[0]
                .source
        })
    };
    // A list that breaks off says nothing.
    scenario.change(Change::ListStarted(Kind::Pod));
    scenario.apply(Object::Pod(pod("one", "node-2", "192.168.2.1")));
    assert_eq!(known(&scenario), [Source::Pod; 3]);
    scenario.change(Change::ListStarted(Kind::Pod));
    scenario.apply(Object::Pod(pod("two", "node-2", "192.168.2.2")));
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    scenario.delete(Kind::Pod, "shop", "web-1");
    scenario.change(Change::ListDone(Kind::Service));
    scenario.change(Change::ListDone(Kind::Pod));
    assert_eq!(
        known(&scenario),
        [Source::SpecialRange, Source::Pod, Source::SpecialRange]
    );
    assert_eq!(scenario.account.snapshot().cluster_objects, [3, 1, 0, 0]);
    // The end of a list that never began says nothing either.
    scenario.change(Change::ListDone(Kind::Node));
    assert_eq!(scenario.account.snapshot().cluster_objects, [3, 1, 0, 0]);
}

#[test]
fn a_list_of_nodes_and_services_replaces_them() {
    let mut scenario = scenario();
    scenario.apply(service("shop", "cart", "10.100.0.7"));
    for kind in [Kind::Node, Kind::Service] {
        scenario.change(Change::ListStarted(kind));
        scenario.change(Change::ListDone(kind));
    }
    assert_eq!(scenario.account.snapshot().cluster_objects, [0, 1, 0, 0]);
    assert_eq!(
        scenario
            .account
            .explain(ip("10.100.0.7"), scenario.instant())
            .evidence[0]
            .source,
        Source::SpecialRange
    );
    assert_eq!(
        scenario
            .account
            .explain(ip("192.168.0.2"), scenario.instant())
            .evidence[0]
            .source,
        Source::SpecialRange
    );
    assert_eq!(scenario.account.snapshot().zone, None);
}

/// As after what is deleted one by one.
#[test]
fn after_a_list_zones_and_services_are_asked_for_anew() {
    let mut scenario = scenario();
    scenario.apply(Object::Pod(pod("far", "node-3", "192.168.33.1")));
    scenario.apply(service("shop", "cart", "10.100.0.7"));
    let services = |scenario: &mut Scenario| {
        let changed = scenario.account.changed_translated()?;
        Some(changed.services.len())
    };
    assert_eq!(services(&mut scenario), Some(1));
    scenario.drain_after(5, &to("192.168.33.1", 1));
    scenario.change(Change::ListStarted(Kind::Node));
    scenario.apply(node("node-1", "192.168.0.1", Some("a")));
    scenario.change(Change::ListDone(Kind::Node));
    let snapshot = scenario.drain_after(5, &to("192.168.33.1", 2));
    assert_eq!(
        pod_lines(&snapshot),
        ["web-1 cross_zone b 1", "web-1 vpc  2"]
    );
    assert_eq!(services(&mut scenario), Some(1), "nodes are translated too");
    scenario.change(Change::ListStarted(Kind::Service));
    scenario.change(Change::ListDone(Kind::Service));
    assert_eq!(services(&mut scenario), Some(0));
}

/// sha1("shop.web-1") and sha1("shop.api-1") begin so, by `printf … | sha1sum`.
const WEB_VETH: &str = "eni751425ce827";
const API_VETH: &str = "enidc9f65f8e42";

#[test]
fn a_veth_is_its_pods_by_name_whatever_the_address() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    scenario.attach(7, WEB_VETH);
    let flows = [
        sent(7, "fe80::5", "ff02::2", 3),
        // It asks for an address.
        sent(7, "0.0.0.0", "255.255.255.255", 2),
    ];
    let snapshot = scenario.drain_after(5, &flows);
    assert_eq!(pod_lines(&snapshot), ["web-1 link_local  5"]);
    assert_eq!(
        scenario.account.pod_behind(7),
        Some(&named("shop", "web-1"))
    );
    assert_eq!(scenario.account.pod_behind(8), None);
}

/// The names of this node's veths are hashes, so one whose pod is not known yet waits, even
/// where the book has another pod under its address.
#[test]
fn a_veth_with_an_unknown_hash_is_not_read_by_a_stale_address() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    scenario.attach(7, WEB_VETH);
    scenario.attach(8, API_VETH);
    let snapshot = scenario.drain_after(5, &[sent(8, "192.168.1.1", "8.8.8.8", 3)]);
    assert_eq!(packets(snapshot.pending), [3, 0]);
    scenario.apply(Object::Pod(pod("api", "node-1", "192.168.1.1")));
    let snapshot = scenario.drain_after(5, &[]);
    assert_eq!(pod_lines(&snapshot), ["api-1 internet  3"]);
}

#[test]
fn only_pods_of_this_node_with_an_own_address_are_behind_veths() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(Object::Pod(pod("web", "node-2", "192.168.1.1")));
    let host = Pod {
        host_network: true,
        ..pod("api", "node-1", "192.168.0.1")
    };
    scenario.apply(Object::Pod(host));
    scenario.attach(7, WEB_VETH);
    scenario.attach(8, API_VETH);
    let flows = [
        sent(7, "192.168.1.1", "8.8.8.8", 1),
        sent(8, "192.168.0.1", "8.8.8.8", 2),
    ];
    let snapshot = scenario.drain_after(5, &flows);
    assert_eq!(
        (packets(snapshot.pending), snapshot.pods.len()),
        ([3, 0], 0)
    );
    // Scheduled here after all.
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    let snapshot = scenario.drain_after(5, &[]);
    assert_eq!(pod_lines(&snapshot), ["web-1 internet  1"]);
}

/// A StatefulSet's next pod has the name of the last one, and so its veth's name.
#[test]
fn a_restarted_pod_has_a_new_interface_of_the_same_name() {
    let mut scenario = Scenario::new(settings());
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    scenario.attach(7, WEB_VETH);
    scenario.drain_after(5, &[sent(7, "192.168.1.1", "8.8.8.8", 1)]);
    scenario.delete(Kind::Pod, "shop", "web-1");
    scenario.attach(9, WEB_VETH);
    let next = Pod {
        uid: "another".into(),
        ..pod("web", "node-1", "192.168.1.2")
    };
    scenario.apply(Object::Pod(next));
    // The last packets of the first one are drained after its end.
    let flows = [
        sent(7, "192.168.1.1", "8.8.8.8", 10),
        sent(9, "192.168.1.2", "8.8.8.8", 100),
    ];
    let snapshot = scenario.drain_after(5, &flows);
    scenario.detach(7);
    assert_eq!(pod_lines(&snapshot), ["web-1 internet  111"]);
    assert_eq!(unattributed(&snapshot, Reason::UnknownPod), [0, 0]);
}
