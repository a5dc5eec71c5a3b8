//! How labs come, change and go.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use zonemeter_lab::{Lab, Plan, PodPlan, remove, traffic};

fn four_pods(name: &str) -> Plan {
    Plan::new(name)
        .pod(PodPlan::new("default", "a", "a1"))
        .pod(PodPlan::new("default", "same-node", "a1"))
        .pod(PodPlan::new("default", "same-zone", "a2"))
        .pod(PodPlan::new("default", "other-zone", "b1"))
}

#[test]
fn the_cluster_file_names_a_pod_when_it_is_announced() {
    let mut lab = Lab::raise(four_pods("announce")).unwrap();
    let late = lab.wire_pod(PodPlan::new("default", "late", "a1")).unwrap();
    traffic::ping(late.namespace(), lab.pod("default/a").unwrap().address(), 1).unwrap();
    let names = |lab: &Lab| -> Vec<String> {
        let text = std::fs::read_to_string(lab.cluster_file()).unwrap();
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
        let items = list["items"].as_array().unwrap();
        let pods = items.iter().filter(|item| item["kind"] == "Pod");
        pods.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&lab), ["a", "same-node", "same-zone", "other-zone"]);
    lab.announce(&late).unwrap();
    assert_eq!(
        names(&lab),
        ["a", "same-node", "same-zone", "other-zone", "late"]
    );
    lab.unwire_pod(&late).unwrap();
    lab.withdraw(&late).unwrap();
    assert_eq!(names(&lab).len(), 4);
    let links = lab
        .node("a1")
        .unwrap()
        .namespace()
        .command("ip")
        .args(["-o", "link"])
        .output();
    assert!(
        !String::from_utf8(links.unwrap().stdout)
            .unwrap()
            .contains(late.veth())
    );
}

#[test]
fn a_killed_run_leaves_nothing_once_the_name_is_used_again() {
    let name = "killed";
    let lab = Lab::raise(four_pods(name)).unwrap();
    let node = lab.node("a1").unwrap();
    let mut sleeper = node
        .namespace()
        .command("sleep")
        .arg("600")
        .spawn()
        .unwrap();
    // Forgetting the lab is what SIGKILL does to it, except for the lock, which the kernel
    // gives back at a process' end: `end_of_run` stands for that.
    let end_of_run = lab;
    let lab = {
        let mut kept = end_of_run;
        kept.keep();
        drop(kept);
        Lab::raise(Plan::new(name)).unwrap()
    };
    assert!(
        !sleeper.wait().unwrap().success(),
        "the old lab's process was ended"
    );
    assert!(lab.pods().is_empty());
    lab.end().unwrap();
    assert_eq!(traces(name), "");
}

#[test]
fn a_lab_of_thirteen_namespaces_is_up_within_three_seconds() {
    let mut plan = Plan::new("fast");
    for index in 0..10 {
        let node = ["a1", "a2", "b1"][index % 3];
        plan = plan.pod(PodPlan::new("default", &format!("pod-{index}"), node));
    }
    let begin = Instant::now();
    let lab = Lab::raise(plan).unwrap();
    let took = begin.elapsed();
    println!("raised in {took:?}");
    drop(lab);
    println!("raised and removed in {:?}", begin.elapsed());
    assert!(took.as_secs_f64() < 3.0, "{took:?}");
    remove("fast").unwrap();
    assert_eq!(traces("fast"), "");
}

/// Namespaces and links of the lab called `name` that are still there.
fn traces(name: &str) -> String {
    let listing = Command::new("ip")
        .arg("netns")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    String::from_utf8(listing.stdout)
        .unwrap()
        .lines()
        .filter(|line| line.starts_with(&format!("zm.{name}.")))
        .collect()
}

#[test]
fn a_person_on_the_machine_reaches_every_node() {
    let lab = Lab::raise(Plan::new("management")).unwrap();
    for node in lab.nodes() {
        let patience = Duration::from_secs(10);
        let server = traffic::http_server(node.namespace(), 9464, patience).unwrap();
        let address = SocketAddr::new(node.management_address(), server.port);
        let mut stream = TcpStream::connect_timeout(&address, patience).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        stream.write_all(b"GET /10 HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("zzzzzzzzzz"), "{}: {answer}", node.name());
    }
}
