//! The life of a series: created, folded, retired.

use std::time::Duration;

use zonemeter_model::{
    cluster::{Kind, Object, Pod},
    snapshot::Snapshot,
    traffic::Flow,
};

use super::scenario::*;
use crate::Settings;

fn scenario(settings: Settings) -> Scenario {
    let mut scenario = Scenario::new(settings);
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    scenario.attach(7, "veth-a");
    scenario
}

fn exposed(snapshot: &Snapshot) -> usize {
    2 * snapshot.pods.len() + snapshot.workloads.len()
}

#[test]
fn a_series_begins_with_the_interval_of_its_first_byte() {
    let mut scenario = scenario(settings());
    scenario.drain_after(5, &[]);
    let flows = [sent(7, "192.168.1.1", "8.8.8.8", 1)];
    let created = scenario.wall();
    scenario.drain_after(5, &flows);
    let snapshot = scenario.drain_after(5, &flows);
    assert_eq!(snapshot.pods[0].created, created);
    assert_eq!(snapshot.workloads[0].created, created);
}

#[test]
fn a_gone_pods_series_is_shown_for_a_time_and_then_retired() {
    let mut scenario = scenario(settings());
    let flows = [
        sent(7, "192.168.1.1", "8.8.8.8", 2),
        received(7, "192.168.1.1", "8.8.8.8", 3),
    ];
    scenario.drain_after(5, &flows);
    scenario.delete(Kind::Pod, "shop", "web-1");
    scenario.detach(7);
    let snapshot = scenario.drain_after(299, &[]);
    assert_eq!((snapshot.pods.len(), snapshot.workloads.len()), (2, 2));
    let snapshot = scenario.drain_after(1, &[]);
    assert_eq!((snapshot.pods.len(), snapshot.workloads.len()), (0, 0));
    assert_eq!(packets(snapshot.retired), [2, 3]);

    // Back under the same name: from 0, with a new beginning.
    scenario.drain_after(100, &[]);
    let created = scenario.wall();
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    scenario.attach(8, "veth-a");
    let snapshot = scenario.drain_after(5, &[sent(8, "192.168.1.1", "8.8.8.8", 1)]);
    assert_eq!(pod_lines(&snapshot), ["web-1 internet  1"]);
    assert_eq!(snapshot.pods[0].created, created);
    assert_eq!(packets(snapshot.retired), [2, 3]);
}

#[test]
fn an_idle_series_of_a_living_pod_stays() {
    let mut scenario = scenario(settings());
    scenario.drain_after(5, &[sent(7, "192.168.1.1", "8.8.8.8", 2)]);
    let snapshot = scenario.drain_after(100_000, &[]);
    assert_eq!((snapshot.pods.len(), snapshot.workloads.len()), (1, 1));
    let finished = Pod {
        finished: true,
        ..pod("web", "node-1", "192.168.1.1")
    };
    scenario.apply(Object::Pod(finished));
    let snapshot = scenario.drain_after(5, &[]);
    assert_eq!((snapshot.pods.len(), snapshot.workloads.len()), (0, 0));
}

#[test]
fn a_workload_series_stays_while_one_of_its_pods_does() {
    let mut scenario = scenario(settings());
    let other = Pod {
        name: named("shop", "web-2"),
        ..pod("web", "node-1", "192.168.1.2")
    };
    scenario.apply(Object::Pod(other));
    scenario.drain_after(5, &[sent(7, "192.168.1.1", "8.8.8.8", 2)]);
    scenario.delete(Kind::Pod, "shop", "web-1");
    let snapshot = scenario.drain_after(300, &[]);
    assert_eq!((snapshot.pods.len(), snapshot.workloads.len()), (0, 1));
    scenario.delete(Kind::Pod, "shop", "web-2");
    let snapshot = scenario.drain_after(5, &[]);
    assert_eq!(snapshot.workloads.len(), 0);
}

/// 300 networks to talk to, so that each is a workload series of its own.
fn many_networks(scenario: &mut Scenario) -> impl Fn(u32, u64) -> Flow + use<> {
    let entries: String = (0..300)
        .map(|n| {
            format!(
                "- {{ cidr: 10.{}.{}.0/24, scope: peered, name: n{n:03} }}\n",
                n / 100,
                n % 100
            )
        })
        .collect();
    scenario.networks(&format!("networks:\n{entries}"));
    |n, packets| {
        sent(
            7,
            "192.168.1.1",
            &format!("10.{}.{}.1", n / 100, n % 100),
            packets,
        )
    }
}

#[test]
fn past_the_ceiling_only_new_increments_fold() {
    let low = Settings {
        max_series: 400,
        ..settings()
    };
    let mut scenario = scenario(low.clone());
    let to = many_networks(&mut scenario);
    let first: Vec<_> = (0..70).map(|n| to(n, 1)).collect();
    let before = scenario.drain_after(5, &first);
    assert_eq!((before.workloads.len(), before.series_folded), (70, 0));

    let all: Vec<_> = (0..300).map(|n| to(n, 1)).collect();
    scenario.drain_after(5, &all);
    let after = scenario.drain_after(5, &all);
    assert!(exposed(&after) <= 400, "{}", exposed(&after));
    for series in &before.workloads {
        let now = after
            .workloads
            .iter()
            .find(|now| now.labels == series.labels)
            .unwrap();
        assert_eq!(now.bytes, series.bytes + 2 * PACKET_BYTES);
        assert_eq!(now.created, series.created);
    }
    let [other] = &workload_lines(&after)
        .into_iter()
        .filter(|line| line.contains("other"))
        .collect::<Vec<_>>()[..]
    else {
        panic!("{after:#?}")
    };
    // Every network that has no series of its own came twice.
    let named = after.workloads.len() as u64 - 1;
    assert_eq!(other, &format!("web -> other /other {}", 2 * (300 - named)));
    assert_eq!(after.series_folded, 2 * (300 - named));
    // 400 less 192 for `other`, less a third of that for pods: half of what is left.
    assert_eq!(named, 70);

    // The next process gives its workload no further ones.
    let mut next = scenario.restarted(low, true);
    next.apply(node("node-1", "192.168.0.1", Some("a")));
    next.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    let to = many_networks(&mut next);
    let all: Vec<_> = (0..300).map(|n| to(n, 1)).collect();
    assert_eq!(next.drain_after(5, &all).workloads.len(), 71);
}

#[test]
fn pods_that_come_too_late_share_one_name() {
    let mut scenario = scenario(Settings {
        max_series: 400,
        ..settings()
    });
    let mut flows = Vec::new();
    for n in 0..200 {
        let address = format!("192.168.9.{n}");
        scenario.apply(Object::Pod(pod(&format!("p{n:03}"), "node-1", &address)));
        scenario.attach(100 + n, "veth");
        flows.push(sent(100 + n, &address, "8.8.8.8", 1));
        flows.push(received(100 + n, &address, "8.8.8.8", 1));
    }
    scenario.drain_after(5, &flows);
    let snapshot = scenario.drain_after(5, &flows);
    assert!(exposed(&snapshot) <= 400, "{}", exposed(&snapshot));
    let others = snapshot
        .pods
        .iter()
        .filter(|series| &*series.labels.namespace == "other");
    assert_eq!(
        others.map(|series| &*series.labels.pod).collect::<Vec<_>>(),
        ["other"; 2]
    );
    // Even workloads that find no room for their own `other` are in the sum.
    let bytes: u64 = snapshot.workloads.iter().map(|series| series.bytes).sum();
    assert_eq!(bytes, 2 * 400 * PACKET_BYTES);

    // Room that is given back is used by those who come then.
    for n in 0..200 {
        scenario.delete(Kind::Pod, "shop", &format!("p{n:03}-1"));
        scenario.detach(100 + n);
    }
    scenario.drain_after(300, &[]);
    let snapshot = scenario.drain_after(5, &[sent(7, "192.168.1.1", "8.8.8.8", 1)]);
    assert!(pod_lines(&snapshot).contains(&"web-1 internet  1".to_owned()));
    let other = snapshot
        .pods
        .iter()
        .filter(|series| &*series.labels.pod == "other");
    assert_eq!(other.count(), 2);
}

#[test]
fn the_retiring_time_is_a_setting() {
    let mut scenario = scenario(Settings {
        retire_after: Duration::from_secs(7),
        ..settings()
    });
    scenario.drain_after(5, &[sent(7, "192.168.1.1", "8.8.8.8", 2)]);
    scenario.delete(Kind::Pod, "shop", "web-1");
    assert_eq!(scenario.drain_after(6, &[]).pods.len(), 1);
    assert_eq!(scenario.drain_after(1, &[]).pods.len(), 0);
}

#[test]
fn a_pods_series_are_there_at_zero_before_its_first_byte() {
    let mut scenario = scenario(Settings {
        show_at_zero: true,
        ..settings()
    });
    let created = scenario.wall();
    let snapshot = scenario.drain_after(5, &[]);
    let lines = [
        "web-1 intra_node a 0",
        "web-1 intra_zone a 0",
        "web-1 cross_zone b 0",
        "web-1 internet  0",
    ];
    assert_eq!(pod_lines(&snapshot), [lines, lines].concat());
    let snapshot = scenario.drain_after(5, &[sent(7, "192.168.1.1", "8.8.8.8", 1)]);
    assert_eq!(pod_lines(&snapshot)[3], "web-1 internet  1");
    assert!(snapshot.pods.iter().all(|series| series.created == created));
    // A zone that is new to the cluster is new to the pod.
    scenario.apply(node("node-9", "192.168.64.9", Some("c")));
    let snapshot = scenario.drain_after(5, &[]);
    assert_eq!(pod_lines(&snapshot)[3], "web-1 cross_zone c 0");
    scenario.delete(Kind::Pod, "shop", "web-1");
    let snapshot = scenario.drain_after(300, &[]);
    assert_eq!(
        (snapshot.pods.len(), packets(snapshot.retired)),
        (0, [1, 0])
    );
}

#[test]
fn series_at_zero_leave_half_the_room_to_those_that_count() {
    let mut scenario = scenario(Settings {
        show_at_zero: true,
        max_series: 400,
        ..settings()
    });
    for n in 0..50 {
        let address = format!("192.168.9.{n}");
        scenario.apply(Object::Pod(pod(&format!("p{n:03}"), "node-1", &address)));
    }
    let snapshot = scenario.drain_after(5, &[]);
    assert!(
        (50..=200).contains(&exposed(&snapshot)),
        "{}",
        exposed(&snapshot)
    );
}

/// One workload with more peers than there is room for, alone at first.
#[test]
fn a_pod_with_many_peers_does_not_take_the_series_of_others() {
    let mut scenario = scenario(Settings {
        max_series: 1_000,
        ..settings()
    });
    let to = many_networks(&mut scenario);
    let hog: Vec<_> = (0..300).map(|n| to(n, 1)).collect();
    let before = scenario.drain_after(5, &hog);
    // 1,000 less 192 for `other`, less a third of that for pods: half of what is left.
    assert_eq!(before.workloads.len(), 270 + 1);
    // 100 pods of other workloads, each with a peer of its own.
    let mut flows = hog.clone();
    for n in 0..100 {
        let address = format!("192.168.9.{n}");
        scenario.apply(Object::Pod(pod(&format!("p{n:03}"), "node-1", &address)));
        flows.push(sent(100 + n, &address, &format!("10.0.{n}.1"), 1));
    }
    for _ in 0..20 {
        let snapshot = scenario.drain_after(5, &flows);
        assert!(exposed(&snapshot) <= 1_000, "{}", exposed(&snapshot));
        for old in &before.workloads {
            let now = snapshot
                .workloads
                .iter()
                .find(|now| now.labels == old.labels);
            assert!(now.is_some_and(|now| now.bytes > old.bytes), "{old:?}");
        }
        for n in 0..100 {
            let pod = format!("p{n:03}-1 peered  ");
            assert!(
                pod_lines(&snapshot)
                    .iter()
                    .any(|line| line.starts_with(&pod))
            );
            let pair = format!("p{n:03} -> Network /n{n:03} ");
            let lines = workload_lines(&snapshot);
            assert!(lines.iter().any(|line| line.starts_with(&pair)), "{pair}");
        }
    }
}

/// What a workload no longer speaks with makes room for whom it speaks with now.
#[test]
fn an_idle_pair_makes_room_for_another_of_its_workload() {
    let mut scenario = scenario(Settings {
        max_series: 400,
        ..settings()
    });
    let to = many_networks(&mut scenario);
    scenario.drain_after(5, &(0..299).map(|n| to(n, 1)).collect::<Vec<_>>());
    let late = [to(299, 7), to(0, 1)];
    let folded = scenario.drain_after(5, &late);
    assert!(!workload_lines(&folded).contains(&"web -> Network /n299 7".to_owned()));
    for _ in 0..60 {
        scenario.drain_after(5, &late);
    }
    let lines = workload_lines(&scenario.drain_after(5, &late));
    let of = |name: &str| lines.iter().filter(|line| line.contains(name)).count();
    assert_eq!(
        [of("n299"), of("n000"), of("n001"), of("other")],
        [1, 1, 0, 1]
    );
}
