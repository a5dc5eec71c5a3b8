use zonemeter_model::cluster::Workload;

use super::*;

fn name(text: &str) -> Name {
    Name {
        namespace: "default".into(),
        name: text.into(),
    }
}

/// A pod with the uid `<name>-<version>`, so that namesakes differ.
fn pod(text: &str, node: &str, version: u64) -> PodEvent {
    let pod = Pod {
        name: name(text),
        uid: format!("{text}-{version}").into(),
        node: (!node.is_empty()).then(|| node.into()),
        addresses: Vec::new(),
        host_network: false,
        finished: false,
        workload: Workload {
            kind: "Pod".into(),
            name: text.into(),
        },
        source_nat: None,
    };
    PodEvent::Applied(pod, version)
}

fn gone(text: &str, version: u64) -> PodEvent {
    PodEvent::Deleted(name(text), version)
}

/// `own` events from this node's watch, the others from the other.
#[derive(Default)]
struct Joined {
    pods: Pods,
    told: Vec<String>,
}

impl Joined {
    fn listed() -> Self {
        let mut joined = Self::default();
        joined.own(PodEvent::ListStarted).own(PodEvent::ListDone);
        joined
            .others(PodEvent::ListStarted)
            .others(PodEvent::ListDone);
        joined.told.clear();
        joined
    }

    fn own(&mut self, event: PodEvent) -> &mut Self {
        let mut out = Vec::new();
        self.pods.own(event, &mut out);
        self.tell(out)
    }

    fn others(&mut self, event: PodEvent) -> &mut Self {
        let mut out = Vec::new();
        self.pods.others(event, &mut out);
        self.tell(out)
    }

    fn tell(&mut self, changes: Vec<Change>) -> &mut Self {
        self.told.extend(changes.iter().map(|change| match change {
            Change::ListStarted(_) => "started".to_owned(),
            Change::ListDone(_) => "done".to_owned(),
            Change::Deleted(_, name) => format!("-{}", name.name),
            Change::Applied(Object::Pod(pod)) => format!("+{}", pod.uid),
            Change::Applied(other) => panic!("{other:?}"),
        }));
        self
    }

    #[track_caller]
    fn told(&mut self, expected: &[&str]) {
        assert_eq!(std::mem::take(&mut self.told), expected);
    }
}

#[test]
fn own_pods_are_told_before_the_others_are_listed() {
    let mut joined = Joined::default();
    joined
        .others(PodEvent::ListStarted)
        .others(pod("far", "b", 1));
    joined.own(PodEvent::ListStarted).own(pod("near", "a", 2));
    joined.told(&["started", "+far-1", "+near-2"]);
}

#[test]
fn the_list_is_done_when_both_are() {
    let mut joined = Joined::default();
    joined
        .others(PodEvent::ListStarted)
        .others(PodEvent::ListDone);
    joined
        .own(PodEvent::ListStarted)
        .own(pod("near", "a", 2))
        .told(&["started", "+near-2"]);
    joined.own(PodEvent::ListDone).told(&["done"]);
    let mut joined = Joined::default();
    joined
        .own(PodEvent::ListStarted)
        .own(PodEvent::ListDone)
        .told(&[]);
    joined
        .others(PodEvent::ListStarted)
        .others(PodEvent::ListDone)
        .told(&["started", "done"]);
}

#[test]
fn a_new_list_of_the_others_keeps_own_pods() {
    let mut joined = Joined::listed();
    joined
        .own(pod("near", "a", 2))
        .others(pod("far", "b", 3))
        .told(&["+near-2", "+far-3"]);
    joined
        .others(PodEvent::ListStarted)
        .others(PodEvent::ListDone);
    joined.told(&["started", "+near-2", "done"]);
}

#[test]
fn a_new_list_of_own_pods_drops_what_vanished_and_nothing_else() {
    let mut joined = Joined::listed();
    joined
        .own(pod("gone", "a", 1))
        .own(pod("stays", "a", 2))
        .others(pod("far", "b", 3));
    joined.told.clear();
    joined
        .own(PodEvent::ListStarted)
        .own(pod("stays", "a", 2))
        .own(PodEvent::ListDone);
    joined.told(&["+stays-2", "-gone"]);
}

#[test]
fn a_pod_that_is_scheduled_here_stays_in_either_order() {
    let mut joined = Joined::listed();
    joined
        .others(pod("new", "", 5))
        .own(pod("new", "a", 6))
        .others(gone("new", 6));
    joined.told(&["+new-5", "+new-6"]);
    let mut joined = Joined::listed();
    joined
        .others(pod("new", "", 5))
        .others(gone("new", 6))
        .own(pod("new", "a", 6));
    joined.told(&["+new-5", "-new", "+new-6"]);
    let mut joined = Joined::listed();
    joined
        .own(pod("new", "a", 6))
        .others(pod("new", "", 5))
        .others(gone("new", 6));
    joined.told(&["+new-6"]);
}

#[test]
fn a_namesake_elsewhere_takes_over_in_either_order() {
    let mut joined = Joined::listed();
    joined
        .own(pod("db", "a", 1))
        .others(pod("db", "b", 9))
        .own(gone("db", 8));
    joined.told(&["+db-1", "+db-9"]);
    let mut joined = Joined::listed();
    joined
        .own(pod("db", "a", 1))
        .own(gone("db", 8))
        .others(pod("db", "b", 9));
    joined.told(&["+db-1", "-db", "+db-9"]);
}

#[test]
fn a_namesake_that_comes_here_takes_over_in_either_order() {
    let mut joined = Joined::listed();
    joined
        .others(pod("db", "b", 1))
        .own(pod("db", "a", 9))
        .others(gone("db", 8));
    joined.told(&["+db-1", "+db-9"]);
    let mut joined = Joined::listed();
    joined
        .others(pod("db", "b", 1))
        .others(gone("db", 8))
        .own(pod("db", "a", 9));
    joined.told(&["+db-1", "-db", "+db-9"]);
}

#[test]
fn a_pod_that_is_gone_is_gone() {
    let mut joined = Joined::listed();
    joined.own(pod("near", "a", 1)).own(gone("near", 2));
    joined.others(pod("far", "b", 3)).others(gone("far", 4));
    joined.told(&["+near-1", "-near", "+far-3", "-far"]);
    joined.others(PodEvent::ListStarted).told(&["started"]);
}
