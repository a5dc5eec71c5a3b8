//! The node's own bytes, counted with what the chart gives the agent and no more.

use std::{fs, net::SocketAddr, os::unix::fs::symlink, path::Path, time::Duration};

use serde_json::json;
use zonemeter_lab::{
    Agent, Count, HostGroups, Lab, Metrics, Node, NodePlan, Plan, PodPlan, Source,
    address::Zone,
    mount::Mount,
    traffic::{self, Datagrams},
};

use super::{
    container::{host_path, image_binary},
    kubelet, running,
};

const PATIENCE: Duration = Duration::from_secs(30);
const UNIT: &str = "system.slice/kubelet.service";
/// Where the chart mounts the node's cgroups.
const CGROUPS: &str = "/host/sys/fs/cgroup";

/// Gives the node, below its root, the cgroups of a tree: as a mount of version 2.
fn has_cgroups(node: &Node, groups: &HostGroups) -> Mount {
    let tree = groups.directory().to_str().unwrap();
    let mount = Mount::new(&["--bind", tree]).unwrap();
    let at = host_path(node, Path::new("/sys/fs/cgroup"));
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    symlink(mount.path(), at).unwrap();
    mount
}

/// The container has them read-only.
fn are_read_only(agent: &Agent) {
    let of_runtime = agent.pid();
    let children = format!("/proc/{of_runtime}/task/{of_runtime}/children");
    let pid = fs::read_to_string(children).unwrap();
    let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", pid.trim())).unwrap();
    let mut lines = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let mount = lines.find(|words| words[4] == CGROUPS).unwrap();
    assert!(
        mount[5].split(',').any(|option| option == "ro"),
        "{mount:?}"
    );
    assert!(mount.contains(&"cgroup2"), "{mount:?}");
}

/// What the kubelet sent and received, by the agent.
fn shown(metrics: &Metrics) -> [Count; 2] {
    ["transmit", "receive"].map(|direction| {
        let labels = [
            ("workload", "kubelet.service"),
            ("peer_workload", "far"),
            ("direction", direction),
        ];
        Count {
            bytes: metrics.sum("zonemeter_host_bytes_total", &labels),
            packets: metrics.sum("zonemeter_host_packets_total", &labels),
        }
    })
}

#[test]
fn with_the_charts_rights_and_mounts_the_nodes_own_bytes_are_exact() {
    let plan = Plan::empty("chart-own")
        .source(Source::Api)
        .node(NodePlan::new("a1", Zone::A).single_eni())
        .node(NodePlan::new("b1", Zone::B).single_eni())
        .pod(PodPlan::new("default", "a", "a1"))
        .pod(PodPlan::new("default", "far", "b1"));
    let mut lab = Lab::raise(plan).unwrap();
    let (node, far) = (lab.node("a1").unwrap(), lab.pod("default/far").unwrap());
    let groups = HostGroups::new(&lab.name()).unwrap();
    groups.add(UNIT).unwrap();
    let _mount = has_cgroups(&node, &groups);
    let mut workload = kubelet::awaited(lab.api().unwrap(), "daemonset", "zonemeter");
    let arguments = &mut workload["spec"]["template"]["spec"]["containers"][0]["args"];
    let arguments = arguments.as_array_mut().unwrap();
    // A node of the lab has veths for cards.
    arguments.push(json!("--uplink=eth*"));
    let binary = image_binary().unwrap();
    let container = kubelet::container(&mut lab, &node, &workload, "zonemeter", &binary);
    let plan = lab.agent("a1").unwrap().in_container(container.command());
    let mut agent = plan.start_ready().unwrap();
    running::is_confined(&agent);
    are_read_only(&agent);
    let is_linked = |metrics: &Metrics| {
        metrics.sum("zonemeter_host_cgroups", &[("state", "linked")]) == 1
            && metrics.sum("zonemeter_uplinks", &[]) == 1
    };
    agent.wait_until(PATIENCE, is_linked).unwrap();

    let there = SocketAddr::new(far.address(), 7000);
    let here = SocketAddr::new(node.address(), 7001);
    let sink = traffic::udp_sink(far.namespace(), there.port(), 50).unwrap();
    let own = || {
        traffic::udp_send_only(node.namespace(), there, Datagrams::new(50, 1000)).unwrap();
        traffic::udp_sink(node.namespace(), here.port(), 40).unwrap()
    };
    let own = groups.inside(UNIT, own).unwrap();
    traffic::udp_send_only(far.namespace(), here, Datagrams::new(40, 300)).unwrap();
    sink.join().unwrap().unwrap();
    own.join().unwrap().unwrap();
    let metrics = agent.settled().unwrap();
    let truth = lab.uplink_truth().unwrap();
    let wire = [
        truth.arrived(node.address(), far.address()),
        truth.delivered(far.address(), node.address()),
    ];
    // 20 bytes of IPv4 and 8 of UDP each.
    let expected = [(50, 1028), (40, 328)].map(|(packets, size)| Count {
        bytes: packets * size,
        packets,
    });
    assert_eq!(wire, expected);
    assert_eq!(shown(&metrics), expected);
    let failed = [("state", "failed")];
    assert_eq!(metrics.sum("zonemeter_host_cgroups", &failed), 0);
    assert!(agent.stop().unwrap().success());
}
