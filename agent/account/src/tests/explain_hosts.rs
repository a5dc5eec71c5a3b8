//! Why units and pods of the host's network have their names.

use zonemeter_model::{
    cluster::{Object, Pod},
    recent::Asked,
};

use super::{
    hosts::{NODE, busy, host_pod},
    scenario::*,
};

/// `kind name at address: who, and what is said first` of each address of what has this name.
fn told(scenario: &Scenario, name: &str) -> Vec<String> {
    let asked = Asked::Name(name.to_owned());
    let answered = scenario.account.answer(&asked, scenario.instant());
    assert_eq!(answered.total, answered.matches.len());
    let lines = answered.matches.iter().flat_map(|one| {
        let said = one.explained.iter().map(|explained| {
            let (kind, name, first) = (&one.kind, &one.name, &explained.evidence[0]);
            let (address, who) = (explained.address, &explained.party.workload.name);
            format!("{kind} {name} at {address}: {who}, {}", first.says)
        });
        said.collect::<Vec<_>>()
    });
    lines.collect()
}

const OF_PROXY: &str = "sockets of kubepods.slice/kubepods-podp_1.slice/cri-containerd-0a.scope \
    (id 41)";

#[test]
fn units_and_pods_are_explained_by_their_cgroups() {
    let scenario = busy();
    let unit = "sockets of system.slice/containerd.service (id 40)";
    assert_eq!(
        told(&scenario, "containerd.service"),
        [format!(
            "Unit containerd.service at {NODE}: containerd.service, {unit}"
        )]
    );
    assert_eq!(
        told(&scenario, "shop/proxy-1"),
        [format!("Pod proxy-1 at {NODE}: proxy, {OF_PROXY}")]
    );
    let kernel = "no socket of a process: RST, ICMP, neighbour discovery, NFS";
    assert_eq!(
        told(&scenario, "kernel"),
        [format!("Kernel kernel at {NODE}: kernel, {kernel}")]
    );
    assert!(told(&scenario, "sshd.service").is_empty());
}

/// A DaemonSet's pods are on all nodes, and another one may be called the same.
#[test]
fn of_a_workload_this_nodes_address_is_explained_by_its_cgroups_here() {
    let mut scenario = busy();
    let Object::Pod(proxy) = host_pod("proxy", "p-3") else {
        panic!("it is a pod");
    };
    let of = |namespace, node: &str, address: &str| {
        Object::Pod(Pod {
            name: named(namespace, "proxy-2"),
            uid: format!("{namespace} on {node}").into(),
            node: Some(node.into()),
            addresses: vec![ip(address)],
            ..proxy.clone()
        })
    };
    scenario.apply(of("shop", "node-2", "192.168.0.2"));
    scenario.apply(of("other", "node-1", NODE));
    assert_eq!(
        told(&scenario, "proxy"),
        [
            format!("Deployment proxy at {NODE}: node-1, this node node-1, zone a"),
            format!("Deployment proxy at {NODE}: proxy, {OF_PROXY}"),
            "Deployment proxy at 192.168.0.2: node-2, node node-2, zone a".to_owned(),
        ]
    );
}
