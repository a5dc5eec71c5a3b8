//! `zonemeter remove`: what agents leave goes, what belongs to others stays.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{fs, net::SocketAddr, time::Duration};

use zonemeter_lab::{
    Lab, Metrics, Node, NodePlan, Plan, Pod, PodPlan,
    address::Zone,
    agent_binary,
    foreign::{Hook, PolicyAgent, Program, Tcx, Verdict, index, pin, tc, tcx_programs},
    traffic::{self, Datagrams},
};

const DROPPED: u16 = 7999;

fn raise(name: &str) -> (Lab, Pod) {
    let plan = Plan::empty(name)
        .node(NodePlan::new("a1", Zone::A).single_eni())
        .pod(PodPlan::new("default", "a", "a1"))
        .pod(PodPlan::new("default", "b", "a1"));
    let lab = Lab::raise(plan).unwrap();
    let pod = lab.pod("default/a").unwrap();
    (lab, pod)
}

/// Exit code, standard output and standard error.
fn remove(node: &Node) -> (i32, String, String) {
    let mut command = node.namespace().command(agent_binary().unwrap());
    command.arg("remove").arg("--pin-dir");
    let output = command.arg(node.pin_directory()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn chain(pod: &Pod, hook: Hook) -> Vec<u32> {
    let node = pod.node().namespace();
    tcx_programs(node, index(node, pod.veth()).unwrap(), hook).unwrap()
}

/// 10 datagrams from one pod to the other are counted again.
fn counts_again(lab: &Lab, mode: &str) {
    let plan = lab.agent("a1").unwrap().flag("--interval", "200ms");
    let mut agent = plan.flag("--attach", mode).start_ready().unwrap();
    let (a, b) = (lab.pod("default/a").unwrap(), lab.pod("default/b").unwrap());
    let sent = |metrics: &Metrics| {
        let labels = [("pod", "a"), ("direction", "transmit")];
        metrics.sum("zonemeter_pod_bytes_total", &labels)
    };
    let before = sent(&agent.settled().unwrap());
    let server = SocketAddr::new(b.address(), 7000);
    let what = Datagrams::new(10, 1000);
    traffic::udp_send(a.namespace(), b.namespace(), server, what).unwrap();
    assert_eq!(sent(&agent.settled().unwrap()) - before, 10_280);
}

#[test]
fn links_and_maps_go_and_programs_of_others_stay() {
    let (lab, pod) = raise("remove-tcx");
    let node = pod.node();
    let mut agent = lab.agent("a1").unwrap().start_ready().unwrap();
    let (code, said, why) = remove(node);
    assert_eq!((code, said.as_str()), (2, ""));
    assert!(
        why.starts_with("zonemeter: --pin-dir: an agent uses ") && why.lines().count() == 1,
        "{why}"
    );
    let other = Program::always(Verdict::Next).unwrap();
    let placed = Tcx::first(&other, &pod, Hook::Ingress).unwrap();
    assert!(agent.stop().unwrap().success());
    assert_eq!(chain(&pod, Hook::Ingress).len(), 2);
    assert_eq!(chain(&pod, Hook::Egress).len(), 1);

    let (code, said, why) = remove(node);
    assert_eq!((code, why.as_str()), (0, ""));
    assert!(
        said.starts_with("removed 4 links, ") && said.ends_with(" 0 filters\n"),
        "{said}"
    );
    // The kernel lets go of a link that nobody holds a moment later.
    wait_until(|| chain(&pod, Hook::Egress).is_empty());
    wait_until(|| chain(&pod, Hook::Ingress).len() == 1);
    assert!(!node.pin_directory().exists());
    let (code, said, why) = remove(node);
    assert_eq!((code, why.as_str()), (0, ""));
    assert!(said.starts_with("nothing to remove: "), "{said}");
    drop(placed);
    counts_again(&lab, "tcx");
}

#[test]
fn filters_go_and_the_qdisc_and_filters_of_others_stay() {
    let (lab, pod) = raise("remove-tc");
    let node = pod.node();
    let policy = PolicyAgent::start(node, "policy", DROPPED).unwrap();
    policy.attach(&pod).unwrap();
    let plan = lab.agent("a1").unwrap().flag("--attach", "tc");
    plan.start_ready().unwrap().kill().unwrap();
    let filters = || -> String {
        let shown =
            Hook::ALL.map(|hook| tc(&pod, &format!("filter show dev VETH {}", hook.name())));
        shown.map(Result::unwrap).concat()
    };
    // On each line of ours the name of the filter, and that of its program.
    assert_eq!(
        filters().matches(" name zonemeter_").count(),
        2,
        "{}",
        filters()
    );

    let (code, said, why) = remove(node);
    assert_eq!((code, why.as_str()), (0, ""));
    assert!(said.ends_with(" maps, 4 filters\n"), "{said}");
    assert_eq!(filters().matches("zonemeter_").count(), 0);
    assert!(policy.is_attached(&pod).unwrap());
    let qdiscs = tc(&pod, "qdisc show dev VETH").unwrap();
    assert!(qdiscs.contains("clsact"), "{qdiscs}");
    counts_again(&lab, "tc");
}

/// What a newer version pinned, with maps that this one cannot read.
#[test]
fn a_downgrade_says_what_it_takes_away() {
    let (lab, pod) = raise("downgrade");
    let newer = pod.node().pin_directory().join("v999").join("links");
    let beside = pod.node().pin_directory().join("notes");
    fs::create_dir_all(&newer).unwrap();
    fs::create_dir_all(&beside).unwrap();
    let program = Program::always(Verdict::Next).unwrap();
    let pinned = pin(&program, pod.node(), "newer").unwrap();
    fs::rename(pinned, newer.join("program")).unwrap();
    let mut agent = lab.agent("a1").unwrap().start_ready().unwrap();
    let log = agent.log().unwrap();
    let said: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("is lost"))
        .collect();
    assert_eq!(said.len(), 1, "{log}");
    assert!(
        said[0].contains("layout=999") && said[0].contains("a downgrade"),
        "{log}"
    );
    assert!(!newer.exists());
    agent.stop().unwrap();
    assert_eq!(remove(pod.node()).0, 0);
    assert!(beside.exists(), "it is nobody's of ours");
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "not within 5 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}
