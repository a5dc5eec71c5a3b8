//! Installed by Helm, run as rendered, upgraded, uninstalled.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use zonemeter_lab::{
    Agent, Lab, Node, NodePlan, Plan, PodPlan, Source,
    address::Zone,
    chart,
    foreign::{Hook, index, tcx_programs},
    oracle,
    prometheus::{Objects, Prometheus, Series, Settings},
    traffic::{self, Datagrams},
};

use super::{
    container::{Container, host_path, image_binary},
    kubelet::{self, NAMESPACE},
};

const PATIENCE: Duration = Duration::from_secs(30);
const NODES: [&str; 2] = ["a1", "b1"];
/// CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (`include/uapi/linux/capability.h`).
const CAPABILITIES: u64 = 1 << 39 | 1 << 12 | 1 << 38;

fn raise(name: &str) -> Lab {
    let plan = Plan::empty(name)
        .source(Source::Api)
        .node(NodePlan::new("a1", Zone::A).single_eni())
        .node(NodePlan::new("b1", Zone::B).single_eni())
        .pod(PodPlan::new("default", "a", "a1"))
        .pod(PodPlan::new("default", "near", "a1"))
        .pod(PodPlan::new("default", "far", "b1"));
    Lab::raise(plan).unwrap()
}

fn values(lab: &Lab) -> String {
    let networks = fs::read_to_string(lab.networks_file()).unwrap();
    let networks: String = networks
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    let file = lab.directory().join("values.yaml");
    fs::write(
        &file,
        format!("interval: 200ms\nnetworks:\n  content:\n{networks}"),
    )
    .unwrap();
    file.to_str().unwrap().to_owned()
}

fn helm(lab: &mut Lab, arguments: &[&str]) -> String {
    let directory = lab.directory().to_owned();
    let kubeconfig = lab.api().unwrap().admin_kubeconfig().unwrap();
    let namespace = format!("--namespace={NAMESPACE}");
    let arguments = [arguments, &[&namespace]].concat();
    chart::helm(&directory, Some(&kubeconfig), &arguments).unwrap()
}

/// The agent's container of the DaemonSet as the server has it now, on each node.
fn start(lab: &mut Lab, binary: &Path) -> (Vec<Agent>, Vec<Container>) {
    let workload = kubelet::awaited(lab.api().unwrap(), "daemonset", "live-zonemeter");
    let mut started = (Vec::new(), Vec::new());
    for name in NODES {
        let node = lab.node(name).unwrap();
        let container = kubelet::container(lab, &node, &workload, "zonemeter", binary);
        let plan = lab.agent(name).unwrap().in_container(container.command());
        started.0.push(plan.start_ready().unwrap());
        started.1.push(container);
    }
    started
}

fn send(lab: &Lab) {
    let a = lab.pod("default/a").unwrap();
    for peer in ["default/near", "default/far"] {
        let peer = lab.pod(peer).unwrap();
        let to = SocketAddr::new(peer.address(), 7000);
        let what = Datagrams::new(100, 1000);
        traffic::udp_send(a.namespace(), peer.namespace(), to, what).unwrap();
        traffic::tcp_transfer(a.namespace(), peer.namespace(), peer.address(), 0, 300_000).unwrap();
    }
}

/// As a second build would be: another file, the same behaviour.
fn second_build(lab: &Lab) -> PathBuf {
    let path = lab.directory().join("second-build");
    fs::copy(image_binary().unwrap(), &path).unwrap();
    let mut file = fs::File::options().append(true).open(&path).unwrap();
    file.write_all(b"second build").unwrap();
    path
}

#[test]
fn installed_it_counts_upgraded_it_loses_nothing_uninstalled_it_leaves_nothing() {
    let mut lab = raise("chart");
    let values = values(&lab);
    kubelet::have_operator(lab.api().unwrap());
    let began = Instant::now();
    helm(&mut lab, &["install", "live", ".", "--values", &values]);
    let (mut agents, containers) = start(&mut lab, &image_binary().unwrap());
    println!(
        "agents ready {:?} after helm install began",
        began.elapsed()
    );
    agents.iter().for_each(is_confined);
    send(&lab);
    oracle::wait_exact(&lab, &mut agents, &[]).unwrap();
    prometheus_sees_it(&mut lab, &agents, began);

    let next = [
        "upgrade",
        "live",
        ".",
        "--values",
        &values,
        "--set=image.tag=next",
    ];
    helm(&mut lab, &next);
    for agent in &mut agents {
        assert!(agent.stop().unwrap().success());
    }
    send(&lab);
    drop(containers);
    let second = second_build(&lab);
    let (mut agents, containers) = start(&mut lab, &second);
    send(&lab);
    oracle::wait_exact(&lab, &mut agents, &[]).unwrap();

    uninstall(&mut lab, agents);
    drop(containers);
    for name in NODES {
        leaves_nothing(&lab, &lab.node(name).unwrap());
    }
    let left = "serviceaccounts,configmaps,daemonsets,jobs,roles,rolebindings,clusterroles,clusterrolebindings";
    let get = [
        "get",
        left,
        "--all-namespaces",
        "--output=name",
        "--selector=app.kubernetes.io/instance=live",
    ];
    let left = lab.api().unwrap().kubectl(&get).unwrap();
    assert_eq!(left, "");
}

/// Three capabilities, containerd's seccomp profile, no new privileges.
pub(super) fn is_confined(agent: &Agent) {
    let of_runtime = agent.pid();
    let children = format!("/proc/{of_runtime}/task/{of_runtime}/children");
    let pid = fs::read_to_string(children).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap();
    let line = |name: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap().trim().to_owned()
    };
    assert_eq!(
        u64::from_str_radix(&line("CapEff:"), 16).unwrap(),
        CAPABILITIES
    );
    assert_eq!(
        (line("Seccomp:"), line("NoNewPrivs:")),
        ("2".into(), "1".into())
    );
}

/// By the PodMonitor and the PrometheusRules, without times of creation.
fn prometheus_sees_it(lab: &mut Lab, agents: &[Agent], began: Instant) {
    let api = lab.api().unwrap();
    let monitor = kubelet::awaited(api, "podmonitor", "live-zonemeter");
    let rules = ["live-zonemeter", "live-zonemeter-prices"];
    let rules = rules.map(|name| kubelet::awaited(api, "prometheusrule", name));
    let (monitor, rules) = (&monitor, &rules[..]);
    let mut settings = Settings::new("operator");
    settings.created_timestamps = false;
    let objects = Objects { monitor, rules };
    let prometheus = Prometheus::start_for(lab, agents, &settings, objects).unwrap();
    let node = lab.node("a1").unwrap().object_name();
    let ours = format!(
        "zonemeter_pod_bytes_total{{namespace='default', pod='a', scope='cross_zone', \
         direction='transmit', instance='{node}'}} > 0"
    );
    let is_there = |found: &[Series]| !found.is_empty();
    prometheus.query_until(&ours, PATIENCE, is_there).unwrap();
    // What came before the first scrape is of a time that Prometheus does not know.
    send(lab);
    let dollars =
        "sum(namespace_workload:zonemeter_transfer_dollars:increase5m{scope='cross_zone'}) > 0";
    prometheus.query_until(dollars, PATIENCE, is_there).unwrap();
    println!(
        "first cross-zone dollars {:?} after helm install began",
        began.elapsed()
    );
    let prices = "zonemeter:price:dollars_per_gigabyte{scope='cross_zone'} == 0.01";
    let both = |found: &[Series]| found.len() == 2;
    prometheus.query_until(prices, PATIENCE, both).unwrap();
    let renamed = prometheus.query("{exported_namespace!=''}").unwrap();
    assert!(renamed.is_empty(), "{renamed:?}");
    let created = prometheus
        .query("{__name__=~'zonemeter_.*_created'}")
        .unwrap();
    assert!(created.is_empty(), "{created:?}");
}

/// `helm uninstall`, with what kubelets and controllers do meanwhile.
fn uninstall(lab: &mut Lab, mut agents: Vec<Agent>) {
    let name = "live-zonemeter-remove";
    let directory = lab.directory().to_owned();
    let kubeconfig = lab.api().unwrap().admin_kubeconfig().unwrap();
    let helm = thread::spawn(move || {
        let words = [
            "uninstall",
            "live",
            "--namespace=kube-system",
            "--timeout=5m",
        ];
        chart::helm(&directory, Some(&kubeconfig), &words)
    });
    let mut daemon_set = None;
    kubelet::wait("the hook", || {
        daemon_set = kubelet::object(lab.api().unwrap(), "daemonset", name);
        daemon_set.is_some() || helm.is_finished()
    });
    let Some(daemon_set) = daemon_set else {
        panic!("helm uninstall ended before its hook: {:?}", helm.join());
    };
    assert!(kubelet::object(lab.api().unwrap(), "daemonset", "live-zonemeter").is_none());
    let removing: Vec<_> = NODES
        .iter()
        .map(|node| {
            let node = lab.node(node).unwrap();
            let binary = image_binary().unwrap();
            let container = kubelet::container(lab, &node, &daemon_set, "remove", &binary);
            thread::spawn(move || container.run())
        })
        .collect();
    // The pods of both DaemonSets are there for a moment: the agents are being stopped.
    for agent in &mut agents {
        assert!(agent.stop().unwrap().success());
    }
    for node in removing {
        let said = node.join().unwrap().unwrap();
        assert!(
            said.starts_with("removed ") && said.contains(" 1 files"),
            "{said}"
        );
    }
    let ready = json!({ "observedGeneration": 1, "desiredNumberScheduled": 2, "currentNumberScheduled": 2,
        "numberMisscheduled": 0, "numberReady": 2 });
    kubelet::set_status(lab.api().unwrap(), "daemonset", name, &ready);
    let job = kubelet::awaited(lab.api().unwrap(), "job", name);
    let node = lab.node("a1").unwrap();
    let binary = image_binary().unwrap();
    let container = kubelet::container(lab, &node, &job, "await", &binary);
    assert_eq!(container.run().unwrap(), "removed on 2 nodes\n");
    let now = Command::new("date")
        .args(["-u", "+%FT%TZ"])
        .output()
        .unwrap();
    let now = String::from_utf8(now.stdout).unwrap().trim().to_owned();
    let condition = |kind: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": now, "lastProbeTime": now });
    let complete = json!({ "startTime": now, "completionTime": now, "succeeded": 1,
        "conditions": [condition("SuccessCriteriaMet"), condition("Complete")] });
    kubelet::set_status(lab.api().unwrap(), "job", name, &complete);
    helm.join().unwrap().unwrap();
}

fn leaves_nothing(lab: &Lab, node: &Node) {
    for path in ["/sys/fs/bpf/zonemeter", "/var/lib/zonemeter"] {
        let path = host_path(node, Path::new(path));
        assert!(!path.exists(), "{} is there", path.display());
    }
    for pod in lab
        .pods()
        .iter()
        .filter(|pod| pod.node().name() == node.name())
    {
        let veth = index(node.namespace(), pod.veth()).unwrap();
        kubelet::wait("programs gone", || {
            Hook::ALL.into_iter().all(|hook| {
                tcx_programs(node.namespace(), veth, hook)
                    .unwrap()
                    .is_empty()
            })
        });
    }
}
