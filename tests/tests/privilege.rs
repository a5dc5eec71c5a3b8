//! Least privilege: three capabilities and nothing else, as a user who owns nothing but the pin
//! directory, with a root file system that cannot be written.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "privilege/user.rs"]
mod user;

use std::{fs, net::SocketAddr, time::Duration};

use serde_json::Value;
use zonemeter_lab::{
    Lab, NodePlan, Plan, PodPlan,
    address::Zone,
    kernel,
    traffic::{self, Datagrams},
};

use user::{CAPABILITIES, as_user, binary, give_pins, plan};

/// Their numbers in `include/uapi/linux/capability.h`: 39, 12 and 38.
const EFFECTIVE: u64 = 1 << 39 | 1 << 12 | 1 << 38;

/// What the deployment's `securityContext` asks of a container runtime.
fn wrapper(capabilities: &[&str]) -> Vec<String> {
    let read_only = "mount -o remount,bind,ro / && exec \"$0\" \"$@\"";
    let unshare = ["unshare", "--mount", "sh", "-c", read_only].map(str::to_owned);
    [unshare.to_vec(), as_user(capabilities)].concat()
}

fn raise(name: &str) -> Lab {
    let plan = Plan::empty(name)
        .node(NodePlan::new("a1", Zone::A).single_eni())
        .pod(PodPlan::new("default", "a", "a1"))
        .pod(PodPlan::new("default", "b", "a1"));
    let lab = Lab::raise(plan).unwrap();
    give_pins(&lab);
    lab
}

#[test]
fn three_capabilities_are_enough_to_count_exactly() {
    let lab = raise("privilege");
    let (a, b) = (lab.pod("default/a").unwrap(), lab.pod("default/b").unwrap());
    let modes: &[&str] = match kernel::has_tcx().unwrap() {
        true => &["tcx", "tc"],
        false => &["tc"],
    };
    for mode in modes {
        let plan = plan(&lab, &wrapper(&CAPABILITIES)).flag("--interval", "200ms");
        let mut agent = plan.flag("--attach", mode).start_ready().unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
        let line = |name: &str| {
            let found = status.lines().find_map(|line| line.strip_prefix(name));
            found.unwrap().split_whitespace().collect::<Vec<_>>()
        };
        assert_eq!(line("Uid:"), ["65534"; 4]);
        assert_eq!(line("NoNewPrivs:"), ["1"]);
        for set in ["CapEff:", "CapPrm:", "CapBnd:"] {
            assert_eq!(
                u64::from_str_radix(line(set)[0], 16).unwrap(),
                EFFECTIVE,
                "{set}"
            );
        }
        let sent = |metrics: &zonemeter_lab::Metrics| {
            let labels = [("pod", "a"), ("direction", "transmit")];
            metrics.sum("zonemeter_pod_bytes_total", &labels)
        };
        let before = sent(&agent.settled().unwrap());
        let server = SocketAddr::new(b.address(), 7000);
        let what = Datagrams::new(100, 1000);
        traffic::udp_send(a.namespace(), b.namespace(), server, what).unwrap();
        let metrics = agent.settled().unwrap();
        assert_eq!(sent(&metrics) - before, 102_800);
        assert_eq!(metrics.sum("zonemeter_interfaces", &[("mode", *mode)]), 2);
        assert!(agent.stop().unwrap().success());
    }
}

#[test]
fn a_missing_capability_is_named_by_check_and_ends_the_agent_with_one_line() {
    let lab = raise("capability");
    let node = lab.node("a1").unwrap();
    let binary = binary(&lab);
    for missing in CAPABILITIES {
        let rest: Vec<&str> = CAPABILITIES
            .into_iter()
            .filter(|one| *one != missing)
            .collect();
        let wrapper = wrapper(&rest);
        let mut command = node.namespace().command(&wrapper[0]);
        command.args(&wrapper[1..]).arg(&binary);
        command.args(["check", "--json", "--node-name", "a1", "--pin-dir"]);
        let output = command.arg(node.pin_directory()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let all = report["requirements"].as_array().unwrap();
        let capabilities = all
            .iter()
            .find(|one| one["name"] == "capabilities")
            .unwrap();
        let name = format!("CAP_{}", missing.to_uppercase());
        assert_eq!(capabilities["status"], "failed");
        assert_eq!(capabilities["found"], format!("without {name}"));

        let (status, said) = plan(&lab, &wrapper).run(Duration::from_secs(20)).unwrap();
        println!("without {name}: {said}");
        assert_eq!(status.code(), Some(2), "without {name}: {said}");
        let last = said.lines().last().unwrap();
        assert!(
            last.starts_with("zonemeter: ") && last.contains(&name),
            "{said}"
        );
    }
}
