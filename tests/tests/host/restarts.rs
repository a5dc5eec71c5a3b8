//! Cgroups that go and come again under their names: units that restart, and pods of the host's
//! network.

use std::{
    collections::BTreeSet,
    fs,
    net::{SocketAddr, UdpSocket},
    os::unix::fs::MetadataExt as _,
    path::Path,
    thread,
};

use zonemeter_lab::{Count, Lab, Metrics, PodPlan, pinned, until};

use super::{
    echo::{Echo, ask, asked, asking},
    scene::*,
};

const API: &str = "system.slice/api.service";
const RESTARTS: u64 = 15;
/// Of configurations: any numbers that are not those of other pods.
const HASHES: u64 = 0x7b8c_2f60_f5df_c5b0;

/// Cgroups that the process watches (`/proc/PID/fdinfo`, proc(5)), by inode. It watches files of other
/// file systems, too.
fn watched(pid: u32, file_system: u64) -> BTreeSet<u64> {
    let mut inodes = BTreeSet::new();
    // The kernel's own form of a device without a major number.
    let device = format!("{file_system:x}");
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap() {
        // A descriptor may be closed meanwhile.
        let told = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        for line in told.lines().filter(|line| line.starts_with("inotify ")) {
            let field = |name| line.split(' ').find_map(|word| word.strip_prefix(name));
            if field("sdev:") == Some(device.as_str()) {
                inodes.insert(u64::from_str_radix(field("ino:").unwrap(), 16).unwrap());
            }
        }
    }
    inodes
}

/// Inodes of this folder and of all below it.
fn folders(at: &Path) -> BTreeSet<u64> {
    let mut inodes = BTreeSet::from([fs::metadata(at).unwrap().ino()]);
    for entry in fs::read_dir(at).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            inodes.extend(folders(&entry.path()));
        }
    }
    inodes
}

/// Links of the process to cgroups.
fn links(pid: u32) -> u64 {
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    let told = entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap_or_default());
    told.filter(|told| told.contains("link_type:\tcgroup"))
        .count() as u64
}

impl Scene {
    fn watched(&self) -> BTreeSet<u64> {
        let root = fs::metadata(self.groups.directory()).unwrap();
        watched(self.agent.pid(), root.dev())
    }

    /// Waits until the agent has looked at the cgroup with this id.
    fn has_seen(&self, id: u64) {
        let seen = || self.watched().contains(&id).then_some(());
        until(WITHIN, "the agent at a cgroup", seen).unwrap();
    }

    /// Every folder is watched, and no other; what is linked is pinned, and nothing else.
    pub(super) fn leaks_nothing(&self) {
        let (pid, all) = (self.agent.pid(), folders(self.groups.directory()));
        let same = || (self.watched() == all).then_some(());
        let same = until(WITHIN, "watches of exactly what is there", same);
        assert!(same.is_ok(), "{:?} for {all:?}", self.watched());
        let linked = linked(&self.agent.scrape().unwrap());
        assert_eq!(links(pid), linked);
        assert_eq!(
            pinned(self.node().pin_directory(), "cgroups") as u64,
            linked
        );
    }
}

/// The sockets of a unit that has ended go on for a while, beside those of the next one.
#[test]
fn a_unit_that_restarts_while_it_sends_is_one_unit() {
    let mut scene = Scene::raise(plan("host-units"), |agent| agent);
    let (node, near) = (scene.node(), scene.pod("same-zone"));
    let server = SocketAddr::new(near.v4().unwrap(), 7000);
    let _echo = Echo::start(near.namespace(), server);
    thread::scope(|scope| {
        let scene = &scene;
        let restarts = scope.spawn(move || {
            let mut before: Option<UdpSocket> = None;
            for _ in 0..RESTARTS {
                let id = scene.groups.add(API).unwrap();
                scene.has_seen(id);
                let open = || asking(node.namespace(), server);
                let now = scene.groups.inside(API, open).unwrap();
                ask(&now, 10);
                if let Some(before) = before.replace(now) {
                    ask(&before, 10);
                }
                scene.groups.remove(API).unwrap();
            }
            ask(&before.unwrap(), 10);
        });
        while !restarts.is_finished() {
            check_host_family(&scene.agent.scrape().unwrap());
        }
        restarts.join().unwrap();
    });
    let metrics = scene.exact();
    let all = asked(20 * RESTARTS);
    is_exact(&metrics, ("workload", "api.service"), [all, all]);
    assert_eq!(unknown(&metrics), 0);
    scene.leaks_nothing();
}

/// What `who` sent and received, in one series each.
fn is_exact(metrics: &Metrics, who: (&str, &str), bytes: [Count; 2]) {
    assert_eq!(of_host(metrics, who, "same-zone"), bytes, "{who:?}");
    let labels = [who];
    let series = metrics.select("zonemeter_host_bytes_total", &labels);
    assert_eq!(series.count(), 2, "{who:?}: one in each direction");
}

/// A pod of the host's network, and the cgroups of it that the kubelet and a runtime make: `UID`
/// stands for its uid, `U_ID` for the same with `_` in place of `-`.
struct HostPod {
    name: String,
    /// A static pod's, which is its uid to the kubelet.
    hash: Option<String>,
    pod: &'static str,
    container: &'static str,
}

impl HostPod {
    fn plan(&self) -> PodPlan {
        let plan = PodPlan::new("kube-system", &self.name, "a1");
        match &self.hash {
            Some(hash) => plan.config_hash(hash),
            None => plan,
        }
    }

    fn folder(&self, lab: &Lab) -> String {
        let key = format!("kube-system/{}", self.name);
        let uid = self.hash.clone();
        let uid = uid.unwrap_or_else(|| lab.pod_uid(&key).unwrap());
        let folder = self.pod.replace("U_ID", &uid.replace('-', "_"));
        folder.replace("UID", &uid)
    }
}

/// Both drivers of the kubelet, static pods, and containers with cgroups of their own.
fn host_pods(round: u32) -> [HostPod; 6] {
    let of = |name: &str, pod, container| HostPod {
        name: format!("{name}-{round}"),
        hash: None,
        pod,
        container,
    };
    let is_static = |pod: HostPod| HostPod {
        hash: Some(format!(
            "{:0>32x}",
            u64::from(round) + HASHES + pod.name.len() as u64
        )),
        ..pod
    };
    let burstable = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_ID.slice";
    let guaranteed = "kubepods.slice/kubepods-podU_ID.slice";
    [
        of("systemd", burstable, "cri-containerd-0a.scope"),
        of("nested", guaranteed, "cri-containerd-0b.scope/init.scope"),
        of("cgroupfs", "kubepods/podUID", "0c"),
        of("deeper", "kubepods/besteffort/podUID", "0d/one/two"),
        is_static(of("static", burstable, "cri-containerd-0e.scope")),
        is_static(of("mirrored", "kubepods/burstable/podUID", "0f")),
    ]
}

#[test]
fn pods_of_the_host_network_that_come_and_go_are_named() {
    let mut scene = Scene::raise(plan("host-pods"), |agent| agent);
    let near = scene.pod("same-zone");
    let server = SocketAddr::new(near.v4().unwrap(), 7000);
    let _echo = Echo::start(near.namespace(), server);
    let mut expected = Vec::new();
    for pod in (0..2).flat_map(host_pods) {
        let [sent, received] = scene.lives(&pod, server);
        expected.push((pod.name, sent, received));
    }
    let metrics = scene.exact();
    for (name, sent, received) in expected {
        is_exact(&metrics, ("pod", &name), [asked(sent), asked(received)]);
    }
    assert_eq!(unknown(&metrics), 0);
    scene.leaks_nothing();
}

impl Scene {
    /// The whole life of a pod: how often it sent to `server`, and how often it was answered with its
    /// cgroup linked. A static pod runs before the API has its mirror: the agent waits for the name,
    /// and links when it has it.
    fn lives(&mut self, pod: &HostPod, server: SocketAddr) -> [u64; 2] {
        let proxy = PodPlan::new("kube-system", "proxy", "a1");
        let with_it = vec![proxy.clone(), pod.plan()];
        let others = linked(&self.agent.scrape().unwrap());
        if pod.hash.is_none() {
            self.lab.set_host_pods(with_it.clone()).unwrap();
        }
        let folder = pod.folder(&self.lab);
        let container = format!("{folder}/{}", pod.container);
        let id = self.groups.add(&container).unwrap();
        self.has_seen(id);
        let node = self.node();
        let open = || asking(node.namespace(), server);
        let socket = self.groups.inside(&container, open).unwrap();
        let mut early = 0;
        if pod.hash.is_some() {
            early = 5;
            ask(&socket, early);
            check_host_family(&self.agent.settled().unwrap());
            self.lab.set_host_pods(with_it).unwrap();
        }
        self.links_to(others + 1);
        ask(&socket, 10);
        drop(socket);
        self.groups.remove(&folder).unwrap();
        self.lab.set_host_pods(vec![proxy]).unwrap();
        self.links_to(others);
        [early + 10, 10]
    }
}
