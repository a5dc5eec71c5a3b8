//! Others on the cgroups of services: what systemd denies and accounts stays so, and is counted.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use zonemeter_lab::{
    Count, Node, Systemd, Truth, Way, agent_binary, count,
    foreign::{Hook, Program, Sharing, attach_to_cgroup, cgroup_programs},
    output,
    traffic::{self, Datagrams},
    until,
};

use super::{
    echo::{Echo, ask, asked, asking, socket},
    scene::*,
};

/// How often each unit asks, and is asked.
const ASKED: u64 = 50;
const ANSWERED: u64 = 20;
/// Units, where they are, and the port of their traffic; the next one is for what they may not have.
const UNITS: [(&str, &str, u16); 3] = [
    ("accounts.service", "system.slice/accounts.service", 7000),
    ("guarded.service", "system.slice/guarded.service", 7010),
    ("inner.service", "limited.slice/inner.service", 7020),
];
/// What the agent links to: the three at the top, and the pod of the host's network.
const LINKED: u64 = 4;

fn units(denied: IpAddr) -> Vec<(&'static str, String)> {
    let policy = format!("IPAccounting=yes\nIPAddressDeny={denied}\n");
    let service = |more: &str| {
        let head = "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/sleep infinity\n";
        format!("{head}{more}")
    };
    let slice = format!("[Unit]\nDefaultDependencies=no\n[Slice]\n{policy}");
    vec![
        ("accounts.service", service("IPAccounting=yes\n")),
        ("guarded.service", service(&policy)),
        ("limited.slice", slice),
        (
            "inner.service",
            service(&format!("Slice=limited.slice\n{policy}")),
        ),
    ]
}

/// What systemd says that a unit sent and received.
fn accounted(systemd: &Systemd, unit: &str) -> [Count; 2] {
    ["Egress", "Ingress"].map(|way| Count {
        bytes: systemd.number(unit, &format!("IP{way}Bytes")).unwrap(),
        packets: systemd.number(unit, &format!("IP{way}Packets")).unwrap(),
    })
}

fn remove(node: &Node) {
    let mut command = node.namespace().command(agent_binary().unwrap());
    let command = command.arg("remove").arg("--pin-dir");
    output(command.arg(node.pin_directory())).unwrap();
}

impl Scene {
    fn folder(&self, path: &str) -> PathBuf {
        self.groups.directory().join(path)
    }

    /// Programs on a cgroup that packets to its sockets meet: its own, and with those above.
    fn programs(&self, path: &str) -> [Vec<u32>; 2] {
        [false, true]
            .map(|above| cgroup_programs(&self.folder(path), Hook::Ingress, above).unwrap())
    }

    /// What `path` sends to `to` never gets onto the wire.
    fn is_denied(&self, path: &str, to: IpAddr) {
        let (node, server) = (self.node(), SocketAddr::new(to, 7099));
        let send = || traffic::udp_send_only(node.namespace(), server, Datagrams::new(3, 400));
        let error = self.groups.inside(path, send).unwrap().unwrap_err();
        let error = error.root_cause().downcast_ref::<io::Error>().unwrap();
        assert_eq!(
            error.kind(),
            io::ErrorKind::PermissionDenied,
            "{path}: {error}"
        );
        let sent = self.lab.uplink_truth().unwrap();
        assert_eq!(sent.server(to, 7099).0, Count::default(), "{path}");
    }

    /// Ten datagrams from `from` to `port` pass the wire, and no socket of `path` gets them.
    fn is_deaf(&self, path: &str, from: &str, port: u16) {
        let (node, from) = (self.node(), self.pod(from));
        let to = SocketAddr::new(node.address(), port);
        let open = || socket(node.namespace(), to);
        let socket = self.groups.inside(path, open).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        traffic::udp_send_only(from.namespace(), to, Datagrams::new(10, 400)).unwrap();
        let arrived = || {
            let truth = self.lab.uplink_truth().unwrap();
            (received_at(&truth, port).packets == 10).then_some(())
        };
        until(WITHIN, "datagrams on the wire", arrived).unwrap();
        assert!(socket.recv(&mut [0; 500]).is_err(), "{path}");
    }

    /// Datagrams both ways with a pod that nobody denies, each side asking the other.
    fn talks(&self, path: &str, port: u16) {
        let (node, near) = (self.node(), self.pod("same-zone"));
        let server = SocketAddr::new(near.v4().unwrap(), port);
        let _echo = Echo::start(near.namespace(), server);
        let open = || asking(node.namespace(), server);
        ask(&self.groups.inside(path, open).unwrap(), ASKED);
        let at = SocketAddr::new(node.address(), port);
        let serve = || Echo::start(node.namespace(), at);
        let _own = self.groups.inside(path, serve).unwrap();
        ask(&asking(near.namespace(), at), ANSWERED);
    }

    /// Sends the same pod half a megabyte by TCP.
    fn sends(&self, path: &str, port: u16) {
        let (node, near) = (self.node(), self.pod("same-zone"));
        let sink = traffic::tcp_sink(near.namespace(), port, 1).unwrap();
        let server = SocketAddr::new(near.v4().unwrap(), port);
        let send = || traffic::tcp_send(node.namespace(), server, 500_000).unwrap();
        self.groups.inside(path, send).unwrap();
        sink.finish().unwrap();
    }
}

/// What the wire carried to a port of the node.
fn received_at(truth: &Truth, port: u16) -> Count {
    let records = truth.flows.iter().filter(|record| {
        record.way == Way::Delivered && record.ports.is_some_and(|(_, to)| to == port)
    });
    count(records)
}

/// What the wire carried between the node and anybody by this port of TCP, in both directions.
fn carried(truth: &Truth, port: u16) -> [Count; 2] {
    let of = |way, is_its: fn((u16, u16), u16) -> bool| {
        let records = truth.flows.iter().filter(|record| {
            let ports = record.ports.filter(|_| record.protocol == 6);
            record.way == way && ports.is_some_and(|ports| is_its(ports, port))
        });
        count(records)
    };
    [
        of(Way::Arrived, |(_, to), port| to == port),
        of(Way::Delivered, |(from, _), port| from == port),
    ]
}

/// By systemd itself: accounting, a policy on a service, and both on a slice.
#[test]
fn what_systemd_denies_and_accounts_stays_so_and_is_counted() {
    let mut scene = Scene::raise(plan("host-systemd"), |agent| agent);
    let (node, denied) = (scene.node(), scene.pod("other-zone").v4().unwrap());
    let systemd = Systemd::start(&node, &scene.groups, &units(denied)).unwrap();
    scene.links_to(LINKED);
    // In the other order, too.
    scene.agent.kill().unwrap();
    scene.agent.restart().unwrap();
    scene.links_to(LINKED);
    let before = UNITS.map(|(_, path, _)| scene.programs(path));
    for (programs, (unit, ..)) in before.iter().zip(UNITS) {
        let [own, met] = programs.each_ref().map(Vec::len);
        let above = if unit == "inner.service" { 2 } else { 1 };
        assert_eq!(
            (own, met),
            (1, 1 + above),
            "{unit}: systemd's own, and ours"
        );
    }
    for (unit, path, port) in UNITS {
        scene.talks(path, port);
        if unit != "accounts.service" {
            scene.is_denied(path, denied);
            scene.is_deaf(path, "other-zone", port + 1);
        }
    }
    let metrics = scene.exact();
    let talked = asked(ASKED + ANSWERED);
    for (unit, path, port) in UNITS {
        let shown = of_host(&metrics, ("workload", unit), "same-zone");
        assert_eq!(shown, [talked, talked], "{unit}");
        assert_eq!(
            accounted(&systemd, unit),
            shown,
            "{unit}: systemd's own account"
        );
        // 10 datagrams of 428 bytes came over the wire for those that may not have them.
        let [_, dropped] = of_host(&metrics, ("workload", unit), "other-zone");
        let expected = if unit == "accounts.service" { 0 } else { 4280 };
        assert_eq!(dropped.bytes, expected, "{unit}");
        scene.sends(path, port);
    }
    let metrics = scene.exact();
    let truth = scene.lab.uplink_truth().unwrap();
    for (unit, _, port) in UNITS {
        let shown = of_host(&metrics, ("workload", unit), "same-zone");
        for (shown, wire) in shown.into_iter().zip(carried(&truth, port)) {
            assert_nearly(shown - talked, wire, 1, unit);
        }
    }

    assert!(scene.agent.stop().unwrap().success());
    remove(&node);
    for ((unit, path, port), [own, _]) in UNITS.into_iter().zip(&before) {
        let only_own =
            || (scene.programs(path)[0] == *own && is_without_ours(&scene, path)).then_some(());
        until(WITHIN, "a cgroup without our program", only_own).unwrap();
        let before = accounted(&systemd, unit);
        scene.talks(path, port);
        let more = [0, 1].map(|way| accounted(&systemd, unit)[way] - before[way]);
        assert_eq!(more, [talked, talked], "{unit}: systemd's own account");
        if unit != "accounts.service" {
            scene.is_denied(path, denied);
        }
    }
}

/// Nothing but the programs of the cgroup and of the slice above it.
fn is_without_ours(scene: &Scene, path: &str) -> bool {
    let (slice, _) = path.split_once('/').unwrap();
    let [own, met] = scene.programs(path);
    let [above, _] = scene.programs(slice);
    met.len() == own.len() + above.len() && above.len() == usize::from(slice == "limited.slice")
}

/// With each way in which systemd has shared a cgroup with others, attached before our link above it
/// and after.
#[test]
fn programs_of_services_run_on_however_they_were_attached() {
    let ways = [Sharing::None, Sharing::Override, Sharing::Multi];
    let (drops, passes) = (
        Program::in_cgroup(false).unwrap(),
        Program::in_cgroup(true).unwrap(),
    );
    let mut scene = Scene::raise(plan("host-sharing"), |agent| agent);
    let (node, near) = (scene.node(), scene.pod("same-zone"));
    let mut services = Vec::new();
    let mut attach = |scene: &Scene, when: &str| {
        for (number, sharing) in ways.into_iter().enumerate() {
            for (what, program) in [("drops", &drops), ("passes", &passes)] {
                let path = format!("system.slice/{what}-{when}-{number}.service");
                scene.groups.add(&path).unwrap();
                for hook in Hook::ALL {
                    attach_to_cgroup(program, &scene.folder(&path), hook, sharing).unwrap();
                }
                services.push((path, what));
            }
        }
    };
    attach(&scene, "after");
    scene.agent.stop().unwrap();
    remove(&node);
    attach(&scene, "before");
    scene.agent.restart().unwrap();
    scene.links_to(2);
    scene.before = Scene::quiet(&scene.lab, &mut scene.agent);
    let server = SocketAddr::new(near.v4().unwrap(), 7000);
    let _echo = Echo::start(near.namespace(), server);
    for (number, (path, what)) in services.iter().enumerate() {
        let [own, met] = scene.programs(path);
        assert_eq!((own.len(), met.len()), (1, 2), "{path}");
        if *what == "drops" {
            scene.is_denied(path, near.v4().unwrap());
            scene.is_deaf(path, "same-zone", 7100 + number as u16);
            continue;
        }
        let open = || asking(node.namespace(), server);
        ask(&scene.groups.inside(path, open).unwrap(), 20);
    }
    let metrics = scene.exact();
    for (path, what) in &services {
        let unit = path.rsplit('/').next().unwrap();
        let expected = match *what {
            "drops" => [Count::default(), asked(10)],
            _ => [asked(20), asked(20)],
        };
        let mut shown = of_host(&metrics, ("workload", unit), "same-zone");
        if *what == "drops" {
            // Datagrams of 428 bytes.
            assert_eq!(shown[1].bytes, 4280, "{unit}");
            shown[1].bytes = expected[1].bytes;
        }
        assert_eq!(shown, expected, "{unit}");
    }
}

/// Where somebody has the cgroup for itself, nothing is linked: what its sockets receive has no name,
/// and is counted.
#[test]
fn a_cgroup_that_may_not_be_linked_is_counted_without_a_name() {
    let mut scene = Scene::raise(plan("host-refused"), |agent| agent);
    let (node, near) = (scene.node(), scene.pod("same-zone"));
    scene.agent.stop().unwrap();
    let path = "alone";
    scene.groups.add(path).unwrap();
    let passes = Program::in_cgroup(true).unwrap();
    attach_to_cgroup(&passes, &scene.folder(path), Hook::Ingress, Sharing::None).unwrap();
    scene.agent.restart().unwrap();
    let failed = [("state", "failed")];
    scene
        .agent
        .wait_until(WITHIN, |metrics| {
            metrics.sum("zonemeter_host_cgroups", &failed) == 1
        })
        .unwrap();
    scene.before = Scene::quiet(&scene.lab, &mut scene.agent);
    let ready = scene.agent.get("/readyz").unwrap().body;
    assert!(ready.contains("cgroups") && ready.contains(path), "{ready}");
    let server = SocketAddr::new(near.v4().unwrap(), 7000);
    let _echo = Echo::start(near.namespace(), server);
    let kernel = class(&scene.agent.settled().unwrap(), "receive", "kernel");
    let open = || asking(node.namespace(), server);
    ask(&scene.groups.inside(path, open).unwrap(), 30);
    let metrics = scene.exact();
    let shown = of_host(&metrics, ("workload", path), "same-zone");
    assert_eq!(shown, [asked(30), Count::default()]);
    let more = class(&metrics, "receive", "kernel") - kernel;
    assert_eq!(more, asked(30).bytes, "nobody's by name");
    let [own, met] = scene.programs(path);
    assert_eq!((own.len(), own), (1, met), "its own, and nothing of ours");
}
