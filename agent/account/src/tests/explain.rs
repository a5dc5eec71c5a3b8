//! Why: the rule in words, and what a name means.

use zonemeter_model::{
    cluster::{Object, Pod, Workload},
    recent::Asked,
};

use super::scenario::*;

/// `node-1` in zone a with pod `web`, a database of two pods and its Service.
fn scenario() -> Scenario {
    let mut scenario = Scenario::new(settings());
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    scenario.apply(Object::Pod(pod("db", "node-2", "192.168.2.1")));
    let second = Pod {
        name: named("shop", "db-2"),
        ..pod("db", "node-3", "192.168.3.1")
    };
    scenario.apply(Object::Pod(second));
    scenario.apply(service("shop", "db", "10.100.0.7"));
    scenario.networks(
        "vpc: [192.168.0.0/16]\nnetworks:\n\
         - { cidr: 192.168.9.0/24, name: rds, zone: b }\n\
         - { cidr: 192.168.10.0/24, name: efs, zoneId: id-a }\n\
         - { cidr: 192.168.11.0/24, name: somewhere }\n\
         - { cidr: 52.94.0.0/22, name: s3, scope: aws_service }\n",
    );
    scenario
}

fn rule(scenario: &Scenario, address: &str) -> String {
    let now = scenario.instant();
    scenario.account.explain(ip(address), now).rule
}

/// `kind namespace/name: addresses` of each thing of that name.
fn meant(scenario: &Scenario, name: &str) -> Vec<String> {
    let asked = Asked::Name(name.to_owned());
    let answered = scenario.account.answer(&asked, scenario.instant());
    assert_eq!(
        (&*answered.node, answered.total),
        ("node-1", answered.matches.len())
    );
    let lines = answered.matches.iter().map(|one| {
        let addresses: Vec<_> = one
            .explained
            .iter()
            .map(|explained| explained.address.to_string())
            .collect();
        assert_eq!(addresses.len(), one.addresses);
        let addresses = addresses.join(" ");
        format!("{} {}/{}: {addresses}", one.kind, one.namespace, one.name)
    });
    lines.collect()
}

#[test]
fn the_rule_that_decided_is_said() {
    let mut scenario = scenario();
    scenario.apply(node("node-4", "192.168.0.4", None));
    for (address, rule) in [
        ("192.168.1.1", "a pod of this node, or this node itself"),
        ("192.168.0.1", "a pod of this node, or this node itself"),
        (
            "192.168.2.1",
            "a pod elsewhere whose node has a zone: the same as this node's",
        ),
        (
            "192.168.32.3",
            "a node elsewhere whose node has a zone: another than this node's",
        ),
        (
            "10.100.0.7",
            "an address of a Service: the backend that conntrack chooses decides for each flow, \
             and where it is not known, nothing does",
        ),
        (
            "192.168.9.4",
            "an entry of the networks file with a zone: another than this node's",
        ),
        (
            "192.168.10.4",
            "an entry of the networks file with a zone: the same as this node's",
        ),
        (
            "192.168.11.4",
            "an entry of the networks file without a zone",
        ),
        (
            "52.94.1.1",
            "an entry of the networks file that states the scope",
        ),
        (
            "192.168.200.1",
            "in a range of the VPC, and no pod, node or entry has it",
        ),
        (
            "10.1.2.3",
            "private, and outside of the VPC's ranges by the networks file (192.168.0.0/16)",
        ),
        (
            "169.254.169.254",
            "link-local, multicast and broadcast addresses stay on the link",
        ),
        (
            "127.0.0.1",
            "no address that traffic between machines can have",
        ),
        ("1.1.1.1", "any other address is the internet's"),
    ] {
        assert_eq!(self::rule(&scenario, address), rule, "{address}");
    }
    for (name, address, part) in [
        ("in-entry", "192.168.9.1", "the entry of the networks file"),
        (
            "in-vpc",
            "192.168.7.1",
            "its address is in a range of the VPC",
        ),
        ("on-prem", "10.1.2.9", "its address is private and outside"),
        ("nowhere", "198.18.0.9", "nothing tells where"),
    ] {
        scenario.apply(node(name, address, None));
        let said = rule(&scenario, address);
        let expected = format!("a node elsewhere whose node has no zone of AWS: {part}");
        assert!(said.starts_with(&expected), "{address}: {said}");
    }
    let zoneless = "a pod elsewhere whose node has a zone: this node's own zone is not known";
    scenario.apply(node("node-1", "192.168.0.1", None));
    assert_eq!(rule(&scenario, "192.168.2.1"), zoneless);
    scenario.networks("vpc: []\nnetworks: []\n");
    assert!(rule(&scenario, "10.1.2.3").contains("no range of the VPC is given"));
}

#[test]
fn a_name_means_everything_that_has_it() {
    let scenario = scenario();
    let workload_and_service = [
        "Deployment shop/db: 192.168.2.1 192.168.3.1",
        "Service shop/db: 10.100.0.7",
    ];
    for name in ["shop/db", "db"] {
        assert_eq!(meant(&scenario, name), workload_and_service, "{name}");
    }
    assert_eq!(
        meant(&scenario, "shop/db-2"),
        ["Pod shop/db-2: 192.168.3.1"]
    );
    assert_eq!(meant(&scenario, "node-2").len(), 1);
    assert_eq!(meant(&scenario, "rds"), ["Network /rds: 192.168.9.0"]);
    let none: [&str; 0] = [];
    for name in ["other/db", "nobody", ""] {
        assert_eq!(meant(&scenario, name), none, "{name}");
    }
    assert_eq!(
        meant(&scenario, "db.shop.svc.cluster.local"),
        workload_and_service
    );
}

/// A pod that nobody controls is its own workload: one thing, not two.
#[test]
fn much_of_one_name_is_cut_with_its_number() {
    let mut scenario = scenario();
    for number in 0..30 {
        scenario.apply(Object::Pod(Pod {
            name: named(&format!("team-{number:02}"), "cache"),
            workload: Workload {
                kind: "Pod".into(),
                name: "cache".into(),
            },
            ..pod("cache", "node-2", &format!("192.168.2.{}", 100 + number))
        }));
    }
    let asked = Asked::Name("cache".to_owned());
    let answered = scenario.account.answer(&asked, scenario.instant());
    assert_eq!((answered.total, answered.matches.len()), (30, 20));
    assert_eq!(&*answered.matches[0].namespace, "team-00");
}
